import assert from "node:assert/strict";
import { makePrivateKey, signerOf, verifyEd25519 } from "../../lib/adapters/node_keys.ts";

Deno.test("a signature is right for its key and text, and for nothing else", () => {
  const signer = signerOf(makePrivateKey());
  const other = signerOf(makePrivateKey());
  const signature = signer.sign("a text, ü");
  assert(verifyEd25519(signer.publicKey, "a text, ü", signature));
  assert.notEqual(signer.publicKey, other.publicKey);
  for (
    const [key, text, by] of [
      [other.publicKey, "a text, ü", signature],
      [signer.publicKey, "a text, u", signature],
      [signer.publicKey, "a text, ü", other.sign("a text, ü")],
      [signer.publicKey, "a text, ü", signature.slice(0, -4)],
      [signer.publicKey, "a text, ü", ""],
      ["", "a text, ü", signature],
      ["A".repeat(43), "a text, ü", signature],
      ["not base64url!", "a text, ü", signature],
    ]
  ) assert.equal(verifyEd25519(key, text, by), false, `${key} ${by}`);
});

Deno.test("signerOf() gives the same key for the same text, and refuses what is no Ed25519 key", () => {
  const key = makePrivateKey();
  assert.equal(signerOf(key).publicKey, signerOf(key).publicKey);
  for (const none of ["", "AAAA", key.slice(4)]) assert.throws(() => signerOf(none));
});

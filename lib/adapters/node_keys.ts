/** Ed25519 by node:crypto. */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { Signer, Verify } from "../contracts/keys.ts";

/** A new private key: PKCS #8 in base64url, for `signerOf`. */
export function makePrivateKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return privateKey.export({ type: "pkcs8", format: "der" }).toString("base64url");
}

/** Throws when `privateKey` is none that `makePrivateKey` has made. */
export function signerOf(privateKey: string): Signer {
  const key = createPrivateKey({ key: Buffer.from(privateKey, "base64url"), type: "pkcs8", format: "der" });
  if (key.asymmetricKeyType !== "ed25519") throw new Error("not an Ed25519 key");
  return {
    publicKey: rawPublicKey(createPublicKey(key)),
    sign: (text) => sign(null, Buffer.from(text), key).toString("base64url"),
  };
}

export const verifyEd25519: Verify = (publicKey, text, signature) => {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
  } catch {
    return false; // Not a key: then nothing was signed with it.
  }
  return verify(null, Buffer.from(text), key, Buffer.from(signature, "base64url"));
};

function rawPublicKey(key: KeyObject): string {
  return key.export({ format: "jwk" }).x!;
}

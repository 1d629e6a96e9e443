/**
 * The deck's side of a session before it begins: a hello that bears a key is answered with a challenge and counts once the
 * proof is right; one without a key counts as it is, and the core decides whether that is enough for its node.
 */
import type { Verify } from "../contracts/keys.ts";
import type { Random } from "../contracts/random.ts";
import type { DeckMessage, Hello, Proof } from "../messages/session.ts";
import { proofText } from "../session/node_proof.ts";

export interface Admission {
  /** A hello came: what to answer, or that it counts as it is. */
  hello(hello: Hello): { readonly kind: "challenge"; readonly message: DeckMessage } | { readonly kind: "admitted" };
  /** A proof came: the hello that it proves, or why it proves none. */
  proof(
    proof: Proof,
  ): { readonly kind: "proven"; readonly hello: Hello } | { readonly kind: "refused"; readonly why: string };
}

export function createAdmission({ clusterId, random, verify, dialledBy }: {
  readonly clusterId: string;
  readonly random: Random;
  readonly verify: Verify;
  readonly dialledBy: "deck" | "sailor";
}): Admission {
  let pending: { readonly hello: Hello; readonly publicKey: string; readonly nonce: string } | undefined;
  return {
    hello(hello) {
      if (hello.publicKey === undefined) return { kind: "admitted" };
      // Two, because one has 122 random bits.
      const nonce = `${random.uuid()}/${random.uuid()}`;
      pending = { hello, publicKey: hello.publicKey, nonce };
      return { kind: "challenge", message: { kind: "challenge", clusterId, nonce } };
    },
    proof({ signature }) {
      if (!pending) return { kind: "refused", why: "a proof came that nobody had asked for" };
      const { hello, publicKey, nonce } = pending;
      // A challenge is for one proof: a wrong one cannot be followed by a better guess.
      pending = undefined;
      const { nodeId, instance } = hello;
      if (verify(publicKey, proofText({ clusterId, nodeId, instance, nonce, dialledBy }), signature)) {
        return { kind: "proven", hello };
      }
      return { kind: "refused", why: `the proof of node ${hello.name} is not right` };
    },
  };
}

/**
 * How a sailor proves that it is the node it says: the deck sends a challenge that was never used before, the sailor signs
 * it together with whom it is meant for. Owns the text that is signed.
 */

export interface ProofSubject {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Of the sailor's process. */
  readonly instance: string;
  /** The deck's challenge. */
  readonly nonce: string;
  /**
   * Who dialled. A sailor answers whoever reaches its listener; without this, such a caller could pass the answers on and
   * join the deck as that node.
   */
  readonly dialledBy: "deck" | "sailor";
}

/** The first line keeps the signature from meaning anything elsewhere. JSON keeps the parts apart. */
export function proofText({ clusterId, nodeId, instance, nonce, dialledBy }: ProofSubject): string {
  return `ormen session proof 1\n${JSON.stringify([clusterId, nodeId, instance, nonce, dialledBy])}`;
}

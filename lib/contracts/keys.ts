/** Keys by which a node is known again: Ed25519, texts in base64url without padding. */

/** The node's own key; the private half never leaves whoever implements this. */
export interface Signer {
  readonly publicKey: string;
  sign(text: string): string;
}

/** Whether `signature` was made of `text` with the key that belongs to `publicKey`. False, too, for what are no keys. */
export type Verify = (publicKey: string, text: string, signature: string) => boolean;

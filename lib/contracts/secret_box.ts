/** Seals secret values for the store, passed in: keys and ciphers are no business of the deck. */
export interface SecretBox {
  /** Of no use under another name. */
  seal(name: string, value: string): Promise<string>;
  /** Throws a sentence when it was sealed with another key, for another name, or was changed. */
  open(name: string, sealed: string): Promise<string>;
}

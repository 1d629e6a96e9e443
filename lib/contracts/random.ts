/** Chance, passed in. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A version 4 UUID. */
  uuid(): string;
}

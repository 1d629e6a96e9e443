/**
 * A token that the deck has made: what it may do, and its digest. The token itself is shown to its maker once and is
 * never here.
 */

/**
 * admin  everything
 * join   a sailor's session with the deck, nothing else
 * read   what shows state, events and output; nothing that changes or runs anything
 */
export type Role = "admin" | "join" | "read";
export const ROLES: readonly Role[] = ["admin", "join", "read"];

export interface TokenRecord {
  readonly id: string;
  /** Unique among the tokens that are kept. */
  readonly name: string;
  readonly role: Role;
  /** SHA-256 in hex. The token has 256 random bits, so that a slow digest would add nothing. */
  readonly digest: string;
  readonly createdMs: number;
  /** Wall time from which it is refused; null: never. */
  readonly expiresMs: number | null;
}

export const TOKENS_MAX = 1_000;

export function isExpired(token: TokenRecord, nowMs: number): boolean {
  return token.expiresMs !== null && token.expiresMs <= nowMs;
}

/**
 * Idempotency keys: the same key gives the same task ids, so that a request sent twice makes its tasks once, whichever deck
 * answers and however often it was restarted in between. What was promised under a key, and for which body, is the deck's
 * to remember.
 */
import { createHash } from "node:crypto";
import { Refusal } from "./problems.ts";

/** Null: the request bears none. Throws Refusal 400. */
export function idempotencyKey(headers: Headers): string | null {
  const key = headers.get("idempotency-key");
  if (key === null) return null;
  if (/^[\x21-\x7e]{1,256}$/.test(key)) return key;
  throw new Refusal(400, "badRequest", "an Idempotency-Key has 1 to 256 visible ASCII characters");
}

/** A version 8 UUID (RFC 9562: made by the application) from the SHA-256 of key and index. */
export function taskIdOf(key: string, index: number): string {
  const bytes = createHash("sha256").update(`ormen task\n${key}\n${index}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6] & 0x0f) | 0x80;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function bodyDigest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

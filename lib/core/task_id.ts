/** Ids that the deck gives to tasks. */

/**
 * A version 8 UUID (RFC 9562: made by the application): it begins with the chance of `uuid`, so that its first letters tell it
 * from others, and ends with `wallMs` in 48 bits, by which records of about the same time lie together in the store.
 */
export function taskIdAt(uuid: string, wallMs: number): string {
  return `${uuid.slice(0, 14)}8${uuid.slice(15, 24)}${wallMs.toString(16).padStart(12, "0").slice(-12)}`;
}

/** UUIDs as github.com/google/uuid reads them, with its words for those that it does not. */

/** What Go would have said, without the handler's prefix. */
export class GoDecodeError extends Error {}

const HEX = "[0-9a-f]";
const UUID = new RegExp(`^${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}$`);
const NIL_UUID = "00000000-0000-0000-0000-000000000000";

/** All forms that github.com/google/uuid reads, in the usual one; null for the nil UUID. Throws GoDecodeError. */
export function parseUuid(text: string): string | null {
  let body = text.toLowerCase();
  const bytes = new TextEncoder().encode(text).length;
  switch (bytes) {
    case 36:
      break;
    case 45:
      if (!body.startsWith("urn:uuid:")) {
        throw new GoDecodeError(`invalid urn prefix: ${JSON.stringify(text.slice(0, 9))}`);
      }
      body = body.slice(9);
      break;
    case 38:
      body = body.slice(1, 37);
      break;
    case 32:
      body = `${body.slice(0, 8)}-${body.slice(8, 12)}-${body.slice(12, 16)}-${body.slice(16, 20)}-${body.slice(20)}`;
      break;
    default:
      throw new GoDecodeError(`invalid UUID length: ${bytes}`);
  }
  if (!UUID.test(body)) throw new GoDecodeError("invalid UUID format");
  return body === NIL_UUID ? null : body;
}

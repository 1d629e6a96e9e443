/**
 * Where a request of a user's may go. Names are looked up here and the addresses are judged and then dialled as they are:
 * a name that is looked up a second time may lead elsewhere.
 *
 * Link-local addresses are refused: there, machines of cloud providers tell secrets of theirs to whoever asks.
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

const REFUSED = new BlockList();
REFUSED.addSubnet("169.254.0.0", 16, "ipv4");
REFUSED.addSubnet("fe80::", 10, "ipv6");
// The list knows IPv4 that is mapped into IPv6 by itself, but not what a gateway translates.
REFUSED.addSubnet("64:ff9b::169.254.0.0", 112, "ipv6");
// The one address of that kind which is not link-local.
REFUSED.addAddress("fd00:ec2::254", "ipv6");

/** At least one, in the order in which they are to be tried. Throws a sentence. */
export async function addressesOf(hostname: string): Promise<string[]> {
  const bare = hostname.replace(/^\[|\]$/g, "");
  const found = isIP(bare) ? [bare] : await lookUp(bare);
  const refused = found.find(isRefused);
  if (refused !== undefined) {
    const which = refused === bare ? "" : `, which is ${refused}`;
    throw new Error(`sailors make no requests to link-local addresses such as ${bare}${which}`);
  }
  return found;
}

export function isRefused(address: string): boolean {
  const [bare] = address.split("%");
  return REFUSED.check(bare, isIP(bare) === 6 ? "ipv6" : "ipv4");
}

async function lookUp(hostname: string): Promise<string[]> {
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    throw new Error(
      code === "ENOTFOUND" ? `no address is known of ${hostname}` : `${hostname} cannot be looked up: ${message}`,
    );
  }
}

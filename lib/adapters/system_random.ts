/** The machine's chance. */
import type { Random } from "../contracts/random.ts";

export function createSystemRandom(): Random {
  return { next: () => Math.random(), uuid: () => crypto.randomUUID() };
}

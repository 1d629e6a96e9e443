/**
 * binpack: fills nodes one after the other.
 * Nomad's score of a node, 20 - (10^freeCpu + 10^freeMemory) with free shares after the placement, is best at 18 for
 * a full node and 0 for an empty one (Google's BestFit v3, as nomad/structs/funcs.go names it).
 */
import type { Scheduler } from "./rudder.ts";
import { usageAfter } from "./usage.ts";

export const binpack: Scheduler = {
  name: "binpack",
  sampling: "packed",
  score: (candidate, { demand }) => {
    const after = usageAfter(candidate, demand);
    return -(20 - (10 ** (1 - after.cpu) + 10 ** (1 - after.memory)));
  },
};

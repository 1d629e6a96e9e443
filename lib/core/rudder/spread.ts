/** spread: the node with the fewest tasks; what is used of it breaks ties. */
import type { Scheduler } from "./rudder.ts";
import { usageBefore } from "./usage.ts";

export const spread: Scheduler = {
  name: "spread",
  sampling: "spread",
  score: (candidate) => {
    const before = usageBefore(candidate);
    return candidate.tasks * 10 + Math.max(before.cpu, before.memory);
  },
};

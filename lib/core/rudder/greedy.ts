/** greedy: the node with the least of its processor reserved; the measured load breaks ties, then its tasks. */
import type { Scheduler } from "./rudder.ts";
import { usageBefore } from "./usage.ts";

export const greedy: Scheduler = {
  name: "greedy",
  sampling: "spread",
  score: (candidate) => {
    const cores = candidate.mast.capacity.cpuCores;
    const load = Math.min(1, Number(candidate.live.stats?.load.last1min ?? 0) / cores);
    return usageBefore(candidate).cpu * 1e6 + load * 1e3 + Math.min(candidate.tasks, 999);
  },
};

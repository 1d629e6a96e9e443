/**
 * epvm: the node whose cost grows least.
 *
 * The cost of a resource whose share u is used is n^u, n being the number of nodes; the cost of a placement is the
 * growth of the sum over processor and memory (Amir, Awerbuch, Barak, Borgstrom, Keren: An Opportunity Cost Approach
 * for Job Assignment in a Scalable Computing Cluster, 2000). Exponential in u, it keeps every resource of every node
 * away from its limit. With a single node n would be 1 and all costs 0, so n is at least 2.
 * The processor's share is what is reserved or what is measured (load of the last minute), whichever is more.
 */
import type { Scheduler } from "./rudder.ts";
import { usageAfter, usageBefore } from "./usage.ts";

export const epvm: Scheduler = {
  name: "epvm",
  sampling: "spread",
  score: (candidate, { demand, nodes }) => {
    const n = Math.max(2, nodes);
    const before = usageBefore(candidate);
    const after = usageAfter(candidate, demand);
    const measured = Math.min(1, Number(candidate.live.stats?.load.last1min ?? 0) / candidate.mast.capacity.cpuCores);
    const cpu = Math.max(before.cpu, measured);
    const cpuGrowth = n ** (cpu + after.cpu - before.cpu) - n ** cpu;
    const memoryGrowth = n ** after.memory - n ** before.memory;
    return cpuGrowth + memoryGrowth + candidate.tasks * 1e-9;
  },
};

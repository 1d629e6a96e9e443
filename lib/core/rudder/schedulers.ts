/** The schedulers by name, and what they share. */
import { binpack } from "./binpack.ts";
import { epvm } from "./epvm.ts";
import { greedy } from "./greedy.ts";
import { roundRobin } from "./round_robin.ts";
import type { Scheduler, SchedulerName } from "./rudder.ts";
import { spread } from "./spread.ts";

export const SCHEDULERS: Readonly<Record<SchedulerName, Scheduler>> = {
  roundrobin: roundRobin,
  greedy,
  epvm,
  binpack,
  spread,
};

/**
 * Placements in one process: the choice and the booking of the attempt, over nodes that exist only as records.
 *
 *   deno run -A tests/bench/placements.ts
 *
 * Order: { scheduler, nodes, count, how }. `how`: "built" is what the deck does; "full" looks at every node for each placement.
 * Answer: placements a second, and on how many nodes they came to lie.
 */
import type { AttemptRecord } from "../../lib/core/attempt.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import { taskDocument } from "../../lib/core/documents/task.ts";
import { NO_LOCAL_USE } from "../../lib/core/mast.ts";
import type { MastRecord } from "../../lib/core/mast.ts";
import { reservationOf } from "../../lib/core/rudder/filters.ts";
import { choose } from "../../lib/core/rudder/rudder.ts";
import type { SchedulerName } from "../../lib/core/rudder/rudder.ts";
import { SCHEDULERS } from "../../lib/core/rudder/schedulers.ts";
import { State } from "../../lib/core/state.ts";
import { answerOrders } from "./orders.ts";

interface Order {
  readonly scheduler: SchedulerName;
  readonly nodes: number;
  readonly count: number;
  readonly how: "built" | "full";
}

export interface Placed {
  readonly perSecond: number;
  readonly nodesUsed: number;
}

const GIB = 2 ** 30;
const SPECS = [[0.1, 64], [0.25, 256], [0.5, 512], [1, 1024]].map(([cpu, mib], i) =>
  taskDocument.parse({ name: `task-${i}`, image: "none", cpu, memory: `${mib}MiB` })
);

function clusterOf(nodes: number): State {
  const state = new State();
  for (let i = 0; i < nodes; i++) {
    const mast: MastRecord = {
      id: `n${i}`,
      name: `node-${i}`,
      api: "",
      ip: "",
      labels: { zone: `z${i % 3}` },
      engineId: `e${i}`,
      runtimes: ["docker"],
      abilities: ["steps", "secrets", "services", "http"],
      capacity: { cpuCores: [8, 16, 32][i % 3], memoryBytes: [16, 32, 64][i % 3] * GIB, diskBytes: 500 * GIB },
      version: "bench",
      status: "ready",
      eligibility: "eligible",
      createdMs: 0,
      statusSinceMs: 0,
    };
    state.apply({ kind: "mast", id: mast.id, value: mast });
    const load = { last1min: (i * 7 % 40) / 10 };
    const stats = { memory: {}, disk: { all: 1, used: 0, free: 1, freeInodes: 1 }, cpu: {}, load, taskCount: 0 };
    state.live.set(mast.id, { sessionId: `s${i}`, instance: "i", heardMonoMs: 0, stats, local: NO_LOCAL_USE });
  }
  return state;
}

function place({ scheduler, nodes, count, how }: Order): Placed {
  const state = clusterOf(nodes);
  const used = new Set<string>();
  const fromMs = performance.now();
  for (let turn = 0; turn < count; turn++) {
    const spec = SPECS[turn % SPECS.length];
    const choice = choose(state, SCHEDULERS[scheduler], spec, { turn, ...(how === "full" ? { everyNode: true } : {}) });
    if (choice.kind === "refused") throw new Error(choice.why);
    const { id: nodeId, engineId } = choice.candidate.mast;
    used.add(nodeId);
    const value: AttemptRecord = {
      ...{ id: `t${turn}-1`, sailId: `t${turn}`, number: 1, nodeId, engineId, state: "assigned", desired: "run" },
      ...{ graceMs: 10_000, reservation: reservationOf(spec), reported: false, holding: true, reason: null },
      ...{ createdMs: 0, endedMs: null, observed: NOTHING_OBSERVED },
    };
    state.apply({ kind: "attempt", id: value.id, value });
  }
  return { perSecond: count / ((performance.now() - fromMs) / 1000), nodesUsed: used.size };
}

await answerOrders((order: Order) => {
  // Once for the compiler.
  place({ ...order, count: Math.min(order.count, 2_000) });
  return place(order);
});
Deno.exit(0);

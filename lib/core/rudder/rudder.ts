/**
 * The rudder: chooses a mast for a task. filter -> score -> pick.
 * Owns the interface of the schedulers and the sentence that says why nothing fits; filters live in filters.ts.
 */
import type { TaskSpec } from "../documents/task.ts";
import type { MastRecord } from "../mast.ts";
import type { State } from "../state.ts";
import type { Candidate, PromisedPlace, Refusal } from "./filters.ts";
import { createUnbookedUses, demandOf, examine } from "./filters.ts";
import { describeRefusals } from "./explain.ts";

/** Chooses among nodes that fit; at least one is given. Pure: what it remembers comes in and goes out as `turn`. */
export interface Scheduler {
  readonly name: SchedulerName;
  /** The better candidate has the lower score. */
  score(candidate: Candidate, context: ScoreContext): number;
}

export interface ScoreContext {
  readonly demand: Demand;
  /** Number of nodes in the cluster. */
  readonly nodes: number;
  /** Counts placements, for those that take turns. */
  readonly turn: number;
  /** Position of the candidate among all nodes in name order. */
  readonly position: number;
}

export interface Demand {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly hostPorts: readonly string[];
}

export type SchedulerName = "roundrobin" | "greedy" | "epvm" | "binpack" | "spread";

export type Choice =
  | { readonly kind: "placed"; readonly candidate: Candidate }
  | { readonly kind: "refused"; readonly why: string };

/**
 * The node for `spec`, or why there is none. `avoid` is left out when another fits (a node that has just failed it);
 * `exclude` is always left out (a node that it must leave); room that is `promised` to others is taken.
 */
export function choose(
  state: State,
  scheduler: Scheduler,
  spec: TaskSpec,
  options: {
    readonly turn: number;
    readonly avoid?: string;
    readonly exclude?: string;
    readonly promised?: readonly PromisedPlace[];
    /** No other node will do. */
    readonly only?: string;
    /** Nodes of a lower rank are taken first, whatever the scheduler thinks of them. */
    readonly rank?: (mast: MastRecord) => number;
  },
): Choice {
  const demand = demandOf(spec);
  const refusals: Refusal[] = [];
  const nodes = state.masts.size;
  let best: Candidate | undefined;
  let bestScore = Infinity;
  let bestRank = Infinity;
  let avoided: Candidate | undefined;
  let position = 0;
  const unbookedUseOf = createUnbookedUses(state, options.promised);
  for (const name of [...state.mastsByName.keys()].sort()) {
    const mast = state.masts.get(state.mastsByName.get(name)!)!;
    const at = position++;
    if (mast.id === options.exclude) continue;
    if (options.only !== undefined && mast.id !== options.only) continue;
    const result = examine(state, mast, spec, demand, unbookedUseOf);
    if (result.kind === "refusal") {
      refusals.push(result);
      continue;
    }
    if (mast.id === options.avoid) {
      avoided = result;
      continue;
    }
    const score = scheduler.score(result, { demand, nodes, turn: options.turn, position: at });
    const rank = options.rank?.(mast) ?? 0;
    if (rank < bestRank || (rank === bestRank && score < bestScore)) {
      best = result;
      bestScore = score;
      bestRank = rank;
    }
  }
  const candidate = best ?? avoided;
  return candidate ? { kind: "placed", candidate } : { kind: "refused", why: describeRefusals(refusals, demand) };
}

/**
 * The rudder: chooses a mast for a task. filter -> score -> pick.
 * Owns the interface of the schedulers and what is remembered of placements; which nodes are looked at at all is
 * sampling.ts, whether one fits filters.ts.
 *
 * 1. Up to EVERY_NODE_UP_TO nodes, and for replicas that are spread, every node is looked at: the choice is the best.
 * 2. Beyond, a sample is, in which the best is chosen. A sample in which nothing fits is followed by a look at every node,
 *    so that a task waits only when it fits nowhere; what that look found is remembered until something changes.
 */
import type { TaskSpec } from "../documents/task.ts";
import type { MastRecord } from "../mast.ts";
import type { EngineBook, State } from "../state.ts";
import { describeRefusals } from "./explain.ts";
import type { Candidate, PromisedPlace, Refusal } from "./filters.ts";
import { createUnbookedUses, demandOf, examine } from "./filters.ts";
import { FOUND_MAX, memoryOf, sample } from "./sampling.ts";
import type { Sampling } from "./sampling.ts";

/** Chooses among nodes that fit; at least one is given. Pure: what it remembers comes in and goes out as `turn`. */
export interface Scheduler {
  readonly name: SchedulerName;
  readonly sampling: Sampling;
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

export interface ChooseOptions {
  readonly turn: number;
  readonly avoid?: string;
  readonly exclude?: string;
  readonly promised?: readonly PromisedPlace[];
  /** No other node will do. */
  readonly only?: string;
  /** Nodes of a lower rank are taken first, whatever the scheduler thinks of them. */
  readonly rank?: (mast: MastRecord) => number;
  /** Looks at every node, however many there are. */
  readonly everyNode?: boolean;
}

/** Below it every node is looked at for each placement: what a sample saves is not worth the worse choice. */
export const EVERY_NODE_UP_TO = 200;

/**
 * The node for `spec`, or why there is none. `avoid` is left out when another fits (a node that has just failed it);
 * `exclude` is always left out (a node that it must leave); room that is `promised` to others is taken.
 */
export function choose(state: State, scheduler: Scheduler, spec: TaskSpec, options: ChooseOptions): Choice {
  const search = new Search(state, scheduler, spec, options);
  if (options.only !== undefined) {
    if (state.masts.has(options.only)) search.look(options.only);
    return search.outcome();
  }
  // Another question than others ask: its answer is worth nothing to them.
  const isPlain = options.exclude === undefined && options.promised === undefined && options.rank === undefined;
  const memory = memoryOf(state);
  const known = isPlain ? memory.refusalOf(spec) : undefined;
  if (known !== undefined) return { kind: "refused", why: known };
  const isSampled = state.masts.size > EVERY_NODE_UP_TO && options.rank === undefined && !options.everyNode;
  if (!isSampled) search.lookAtAll(state.mastOrder);
  else if (!sample(search, scheduler.sampling, memory, options.turn)) search.lookAtAll(state.mastOrder);
  const choice = search.outcome();
  if (choice.kind === "placed") {
    if (isSampled) memory.placed(spec, choice.candidate.mast.id, search.found);
  } else if (isPlain) memory.refused(spec, choice.why);
  return choice;
}

/** One look for a place: what has been looked at, and the best of what fits. */
export class Search {
  readonly #demand: Demand;
  readonly #nodes: number;
  readonly #unbookedUseOf: (engineId: string) => EngineBook;
  readonly #refusals: Refusal[] = [];
  #best: Candidate | undefined;
  #bestScore = Infinity;
  #bestRank = Infinity;
  #avoided: Candidate | undefined;
  /** Of nodes that fit, as many as FOUND_MAX. */
  readonly found: string[] = [];

  constructor(
    readonly state: State,
    readonly scheduler: Scheduler,
    readonly spec: TaskSpec,
    readonly options: ChooseOptions,
  ) {
    this.#demand = demandOf(spec);
    this.#nodes = state.masts.size;
    this.#unbookedUseOf = createUnbookedUses(state, options.promised);
  }

  lookAtAll(ids: readonly string[]): void {
    this.#refusals.length = 0;
    for (let at = 0; at < ids.length; at++) this.look(ids[at], at);
  }

  /** True when the node fits and is not to be avoided. `position` is its place in the order of names. */
  look(id: string, position = 0): boolean {
    const { state, options } = this;
    if (id === options.exclude) return false;
    const mast = state.masts.get(id)!;
    const result = examine(state, mast, this.spec, this.#demand, this.#unbookedUseOf);
    if (result.kind === "refusal") {
      this.#refusals.push(result);
      return false;
    }
    if (id === options.avoid) {
      this.#avoided = result;
      return false;
    }
    if (this.found.length < FOUND_MAX) this.found.push(id);
    const { turn } = options;
    const score = this.scheduler.score(result, { demand: this.#demand, nodes: this.#nodes, turn, position });
    const rank = options.rank?.(mast) ?? 0;
    if (rank < this.#bestRank || (rank === this.#bestRank && score < this.#bestScore)) {
      this.#best = result;
      this.#bestScore = score;
      this.#bestRank = rank;
    }
    return true;
  }

  outcome(): Choice {
    const candidate = this.#best ?? this.#avoided;
    if (candidate) return { kind: "placed", candidate };
    return { kind: "refused", why: describeRefusals(this.#refusals, this.#demand) };
  }
}

/**
 * Which nodes of a large cluster are looked at for a placement, and what is remembered from one to the next.
 *
 * A sample is a window over all nodes in a shuffled order that goes on with each placement, as Nomad's scheduler takes the
 * first few of a shuffled list (nomad/scheduler/stack.go): every node comes up as often as any other. For schedulers that fill
 * node after node the nodes that were filled last are looked at, too; without them each sample would open new ones.
 *
 * What is remembered is a help and never needed: a State that has just been loaded has none.
 */
import type { TaskSpec } from "../documents/task.ts";
import type { State } from "../state.ts";
import { signatureOfSpec } from "./filters.ts";
import type { Search } from "./rudder.ts";

/**
 * spread  the best lies anywhere
 * packed  the best is likely to be one that was taken last
 * inTurn  the best is the first that fits, in the order of names, from the turn on
 */
export type Sampling = "spread" | "packed" | "inTurn";

/** Nodes that fit among which is chosen. */
const CANDIDATES = 16;
/** Nodes that are looked at for them; if none of these fits, all are. */
const LOOKS_MAX = 128;
/** Of a look at every node, nodes that fitted and are tried first by the next task of the kind. */
export const FOUND_MAX = 64;
const RECENT_MAX = 8;
/** Kinds of tasks of which something is remembered. */
const KINDS_MAX = 500;

/** True when a node was found. */
export function sample(search: Search, sampling: Sampling, memory: PlacementMemory, turn: number): boolean {
  const { mastOrder } = search.state;
  const nodes = mastOrder.length;
  if (sampling === "inTurn") {
    for (let i = 0; i < Math.min(LOOKS_MAX, nodes); i++) {
      const position = (turn + i) % nodes;
      if (search.look(mastOrder[position], position)) return true;
    }
    // The next in turn may be any of the others.
    return false;
  }
  let fitting = 0;
  const seen = new Set<string>();
  const look = (id: string) => {
    if (seen.has(id)) return;
    seen.add(id);
    if (search.look(id)) fitting++;
  };
  if (sampling === "packed") { for (const id of memory.recent) if (search.state.masts.has(id)) look(id); }
  const order = shuffled(mastOrder);
  const wanted = fitting + CANDIDATES;
  for (let looks = 0; looks < Math.min(LOOKS_MAX, nodes) && fitting < wanted; looks++) look(memory.next(order));
  if (fitting > 0) return true;
  for (const id of memory.foundFor(search.spec)) {
    if (search.state.masts.has(id)) look(id);
    if (fitting >= CANDIDATES) break;
  }
  return fitting > 0;
}

export class PlacementMemory {
  readonly #state: State;
  /** Nodes that were taken last, the newest at the end. */
  readonly recent: string[] = [];
  #cursor = 0;
  /** By kind of task: why it fits nowhere, as of a version of the state. */
  readonly #refusals = new Map<string, { readonly version: number; readonly why: string }>();
  readonly #found = new Map<string, readonly string[]>();

  constructor(state: State) {
    this.#state = state;
  }

  next(order: readonly string[]): string {
    this.#cursor = (this.#cursor + 1) % order.length;
    return order[this.#cursor];
  }

  /** Why it fits nowhere, when that was found out and nothing has changed since. */
  refusalOf(spec: TaskSpec): string | undefined {
    if (this.#refusals.size === 0) return undefined;
    const known = this.#refusals.get(signatureOfSpec(spec));
    return known?.version === this.#state.fitVersion ? known.why : undefined;
  }

  refused(spec: TaskSpec, why: string): void {
    remember(this.#refusals, signatureOfSpec(spec), { version: this.#state.fitVersion, why });
  }

  foundFor(spec: TaskSpec): readonly string[] {
    return this.#found.size === 0 ? [] : this.#found.get(signatureOfSpec(spec)) ?? [];
  }

  /** `found`: nodes that fitted it, of those that were looked at. */
  placed(spec: TaskSpec, id: string, found: readonly string[]): void {
    const at = this.recent.indexOf(id);
    if (at >= 0) this.recent.splice(at, 1);
    else if (this.recent.length === RECENT_MAX) this.recent.shift();
    this.recent.push(id);
    // Few fit: the next one of the kind would look at all of them in vain.
    if (found.length < CANDIDATES || this.#found.size > 0) remember(this.#found, signatureOfSpec(spec), found);
  }
}

const memories = new WeakMap<State, PlacementMemory>();

export function memoryOf(state: State): PlacementMemory {
  let memory = memories.get(state);
  if (!memory) memories.set(state, memory = new PlacementMemory(state));
  return memory;
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > KINDS_MAX) map.delete(map.keys().next().value!);
}

/** Of an order of names, which may follow racks and ages; made once for each. */
const shuffles = new WeakMap<readonly string[], readonly string[]>();

function shuffled(order: readonly string[]): readonly string[] {
  let known = shuffles.get(order);
  if (!known) {
    const ids = [...order];
    // Fisher-Yates with numbers that are the same each time (the generator is Lehmer's, of Park and Miller 1988).
    let random = 48_271;
    for (let i = ids.length - 1; i > 0; i--) {
      random = random * 48_271 % 2_147_483_647;
      const other = random % (i + 1);
      [ids[i], ids[other]] = [ids[other], ids[i]];
    }
    shuffles.set(order, known = ids);
  }
  return known;
}

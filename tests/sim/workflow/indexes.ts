/**
 * What decks keep in memory beside their records, compared with what a look at all records gives. A deck shows it to nobody,
 * so each state is noted as it takes its first change.
 */
import { isDeepStrictEqual } from "node:util";
import { State } from "../../../lib/core/state.ts";
import { RunIndex } from "../../../lib/core/workflow/run_index.ts";

let states: State[] = [];
let noted = new WeakSet<State>();

const apply = State.prototype.apply;
State.prototype.apply = function (change) {
  if (!noted.has(this)) {
    noted.add(this);
    states.push(this);
  }
  apply.call(this, change);
};

export function forgetStates(): void {
  states = [];
  noted = new WeakSet();
}

/** A deck has two: what decisions see, and what readers see. */
const STATES_OF_A_DECK = 2;
const newest = () => states.slice(-STATES_OF_A_DECK);

/** A sentence when counts of a run that goes on are not those of its steps. */
export function wrongCount(): string | undefined {
  for (const state of newest()) {
    for (const id of state.activeRuns) {
      const run = state.runs.get(id)!;
      const records = [...state.stepsByRun.get(id) ?? []].map((step) => state.steps.get(step)!);
      const counted = new RunIndex(state.plan(run), records.filter(({ instance }) => instance === null));
      const kept = state.runIndex(run);
      for (const key of ["openNeeds", "users", "unfinished", "active", "waiting", "warnings", "bad"] as const) {
        if (!isDeepStrictEqual(kept[key], counted[key])) return `${key} of ${id} is not what its steps say`;
      }
    }
  }
  return undefined;
}

/** Books and counts of states may hold a zero where a fresh look has nothing. */
const NOT_COMPARED = new Set(["live", "books", "countByState"]);

/** A sentence when an index is not what the records give. */
export function wrongIndex(): string | undefined {
  for (const state of newest()) {
    const fresh = new State();
    for (const { kind, id, record } of state.snapshot()) {
      apply.call(fresh, { kind, id, value: record } as Parameters<State["apply"]>[0]);
    }
    for (const [key, value] of Object.entries(fresh)) {
      if (NOT_COMPARED.has(key) || !(value instanceof Map || value instanceof Set)) continue;
      if (!isDeepStrictEqual(value, state[key as keyof State])) return `the index ${key} is not what the records say`;
    }
  }
  return undefined;
}

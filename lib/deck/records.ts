/** How records lie in the store: key [kind, id], value with the version of its shape. Owns loading and migration. */
import type { Change, Store } from "../contracts/store.ts";
import type { RecordChange, RecordKind } from "../core/state.ts";
import { State } from "../core/state.ts";

/** Raised when a record's shape changes in a way that needs migration. */
export const RECORD_VERSION = 1;

export function changeToStore(change: RecordChange): Change {
  const key = [change.kind, change.kind === "event" ? Number(change.id) : change.id];
  return change.value === undefined
    ? { kind: "delete", key }
    : { kind: "put", key, value: { v: RECORD_VERSION, record: change.value } };
}

const KINDS: ReadonlySet<string> = new Set<RecordKind>([
  "sail",
  "spec",
  "attempt",
  "mast",
  "event",
  "idempotency",
  "cluster",
  "token",
]);

/** Everything in the store, in an order that makes lists come out oldest first. Throws on records of a newer version. */
export async function loadRecords(store: Store): Promise<RecordChange[]> {
  const changes: RecordChange[] = [];
  for await (const { key, value } of store.load()) {
    const [kind, id] = key;
    if (!KINDS.has(String(kind))) continue;
    const { v, record } = value as { v: number; record: never };
    if (v > RECORD_VERSION) {
      throw new Error(
        `the store holds a ${kind} of version ${v}; this ormen reads up to ${RECORD_VERSION}: use a newer one`,
      );
    }
    changes.push({ kind: kind as RecordKind, id: String(id), value: record } as RecordChange);
  }
  return changes.sort((a, b) => bornMs(a) - bornMs(b));
}

function bornMs(change: RecordChange): number {
  const value = change.value;
  if (!value) return 0;
  if (change.kind === "event") return (value as { sequence: number }).sequence;
  return "createdMs" in value ? value.createdMs : 0;
}

/** Two states over the same records: what decisions see, and what readers see. */
export function buildStates(changes: readonly RecordChange[]): { working: State; committed: State } {
  const working = new State();
  const committed = new State(working.live);
  for (const change of changes) {
    working.apply(change);
    committed.apply(change);
  }
  return { working, committed };
}

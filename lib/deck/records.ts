/** How the deck's records lie in its store: key [kind, id], value with the version of its shape. */
import type { Change, Store } from "../contracts/store.ts";
import { newestVersion } from "../core/migrate.ts";
import type { VersionedRecord } from "../core/migrate.ts";
import type { RecordChange, RecordKind } from "../core/state.ts";
import { State } from "../core/state.ts";
import type { RecordForm } from "../session/open_records.ts";
import { loadRecords as loadVersioned } from "../session/open_records.ts";
import { MIGRATIONS } from "./migrations.ts";

/** Complete by its type: a kind that is forgotten here would be lost at the next start. */
const KINDS: Readonly<Record<RecordKind, true>> = {
  sail: true,
  spec: true,
  attempt: true,
  mast: true,
  event: true,
  idempotency: true,
  cluster: true,
  token: true,
  secret: true,
  definition: true,
  workflow: true,
  run: true,
  step: true,
  output: true,
  service: true,
  revision: true,
  rollout: true,
};

export const DECK_RECORDS: RecordForm = {
  read({ key, value }) {
    const { v, record } = value as { v: number; record: unknown };
    return { kind: String(key[0]), id: key[1], version: v, record };
  },
  write: ({ kind, id, version, record }) => ({ kind: "put", key: keyOf(kind, id), value: { v: version, record } }),
  knows: (kind) => Object.hasOwn(KINDS, kind),
  migrations: MIGRATIONS,
};

export const RECORD_VERSION = newestVersion(MIGRATIONS);

/** What one decision writes: of each record as it was left, however often it was changed on the way. */
export function changesToStore(changes: readonly RecordChange[]): Change[] {
  const last = new Map(changes.map((change) => [`${change.kind} ${change.id}`, change]));
  return [...last.values()].map(changeToStore);
}

function changeToStore({ kind, id, value }: RecordChange): Change {
  return value === undefined
    ? { kind: "delete", key: keyOf(kind, id) }
    : DECK_RECORDS.write({ kind, id, version: RECORD_VERSION, record: value });
}

function keyOf(kind: string, id: string | number): readonly [string, string | number] {
  return [kind, kind === "event" ? Number(id) : id];
}

/** Everything in the store, in an order that makes lists come out oldest first. Throws on records of a newer version. */
export async function loadRecords(store: Store): Promise<RecordChange[]> {
  return changesOf(await loadVersioned(store, DECK_RECORDS));
}

/** Of records of today's version; oldest first. */
export function changesOf(records: readonly VersionedRecord[]): RecordChange[] {
  return records
    .map(({ kind, id, record }) => ({ kind, id: String(id), value: record }) as RecordChange)
    .sort((a, b) => bornMs(a) - bornMs(b));
}

function bornMs(change: RecordChange): number {
  const value = change.value;
  if (!value) return 0;
  if (change.kind === "event") return (value as { sequence: number }).sequence;
  return "createdMs" in value ? value.createdMs : 0;
}

export function clusterIdOf(records: Iterable<VersionedRecord>): string | null {
  for (const { kind, record } of records) if (kind === "cluster") return (record as { id: string }).id;
  return null;
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

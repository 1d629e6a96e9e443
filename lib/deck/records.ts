/**
 * How the deck's records lie in its store: key [kind, id], value with the version of its shape.
 *
 * A store keeps its keys in order, and what is written together should lie together: a page of its file is written whole,
 * however little of it has changed. Tasks' ids begin with chance, so that people can tell them apart by their first letters,
 * and end with the time: in keys the end stands first.
 */
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
    const [kind, place] = key;
    return { kind: String(kind), id: typeof place === "string" ? idAt(place) : place, version: v, record };
  },
  oldKeys({ kind, id, version }) {
    const before = [kind, id] as const;
    return version === 1 && keyOf(kind, id)[1] !== id ? [before] : [];
  },
  write: ({ kind, id, version, record }) => ({ kind: "put", key: keyOf(kind, id), value: { v: version, record } }),
  knows: (kind) => Object.hasOwn(KINDS, kind),
  migrations: MIGRATIONS,
};

export const RECORD_VERSION = newestVersion(MIGRATIONS);

/** What one decision writes: of each record as it was left, however often it was changed on the way. */
export function changesToStore(changes: readonly RecordChange[]): Change[] {
  if (changes.length === 1) return [changeToStore(changes[0])];
  const last = new Map<string, RecordChange>();
  for (const change of changes) last.set(`${change.kind} ${change.id}`, change);
  return Array.from(last.values(), changeToStore);
}

function changeToStore({ kind, id, value }: RecordChange): Change {
  return value === undefined
    ? { kind: "delete", key: keyOf(kind, id) }
    : DECK_RECORDS.write({ kind, id, version: RECORD_VERSION, record: value });
}

const TASK_KINDS: ReadonlySet<string> = new Set(["sail", "spec", "attempt"]);
/** A UUID, and what stands behind it: an attempt's number. */
const UUID = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-)([0-9a-f]{12})(.*)$/;
/** No id has a tilde. */
const PLACE = /^([0-9a-f]{12})~([0-9a-f-]{24})(.*)$/;

function keyOf(kind: string, id: string | number): readonly [string, string | number] {
  if (kind === "event") return [kind, Number(id)];
  return [kind, typeof id === "string" && TASK_KINDS.has(kind) ? id.replace(UUID, "$2~$1$3") : id];
}

function idAt(place: string): string {
  return place.replace(PLACE, "$2$1$3");
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

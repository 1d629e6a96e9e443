/**
 * What deck and sailor do with their store when they start: read it, take the next term, bring older records forward.
 *
 * 1. A store of a newer version is refused before anything is written to it.
 * 2. Before the first record is changed a backup of all of them is kept.
 * 3. Each record bears its version: a migration that was cut off is continued by the next start.
 */
import type { Change, CommitGroup, Key, Store, StoredRecord } from "../contracts/store.ts";
import { migrateRecord, newestVersion, refusalOf } from "../core/migrate.ts";
import type { Migration, VersionedRecord } from "../core/migrate.ts";

/** How one program's records lie in its store. */
export interface RecordForm {
  read(stored: StoredRecord): VersionedRecord;
  write(record: VersionedRecord): Change;
  /** Others are passed over and stay as they are: a neighbouring version may have more kinds. */
  knows(kind: string): boolean;
  /** Where earlier versions kept a record of that version, if not at the key of today. Absent: never elsewhere. */
  oldKeys?(record: VersionedRecord): readonly Key[];
  /** The version after them is this program's. */
  readonly migrations: readonly Migration[];
}

/** Records as they were before a migration. */
export interface RecordsBackup {
  readonly fromVersion: number;
  readonly term: number;
  readonly sequence: number;
  readonly records: readonly VersionedRecord[];
}

/** Resolves once it is durable. */
export type KeepBackup = (backup: RecordsBackup) => Promise<void>;

export interface OpenedRecords {
  readonly term: number;
  readonly sequence: number;
  /** All of this program's version, in key order. */
  readonly records: readonly VersionedRecord[];
}

/** Each takes at most 64 KiB, and a group must fit into one write. */
export const RECORDS_PER_GROUP = 10;

/** Throws when the store cannot be read or written, or was written by a newer version. */
export async function openRecords(store: Store, form: RecordForm, keepBackup: KeepBackup): Promise<OpenedRecords> {
  const readAt = await store.lastSequence();
  let records = await loadRecords(store, form);
  const term = await store.takeTerm();
  let sequence = await store.lastSequence();
  // Somebody with an older term wrote until now.
  if (sequence !== readAt) records = await loadRecords(store, form);
  const newest = newestVersion(form.migrations);
  const older = records.filter(({ version }) => version < newest);
  if (older.length === 0) return { term, sequence, records };
  const fromVersion = older.reduce((least, { version }) => Math.min(least, version), newest);
  await keepBackup({ fromVersion, term, sequence, records });
  const changes = older.flatMap((each): Change[] => [
    form.write(migrateRecord(each, form.migrations)),
    ...(form.oldKeys?.(each) ?? []).map((key): Change => ({ kind: "delete", key })),
  ]);
  const groups = groupsOf(changes, sequence);
  await writeGroups(store, groups, term);
  sequence += groups.length;
  return { term, sequence, records: records.map((each) => migrateRecord(each, form.migrations)) };
}

/** Everything in the store that this version knows. Throws on records of a newer version. */
export async function loadRecords(store: Store, form: RecordForm): Promise<VersionedRecord[]> {
  const records: VersionedRecord[] = [];
  for await (const stored of store.load()) {
    const record = form.read(stored);
    if (!form.knows(record.kind)) continue;
    const refusal = refusalOf(record, form.migrations);
    if (refusal) throw new Error(refusal);
    records.push(record);
  }
  return records;
}

/** As many as it takes, with the sequences after `sequence`. */
export function groupsOf(changes: readonly Change[], sequence: number): CommitGroup[] {
  const groups: CommitGroup[] = [];
  for (let from = 0; from < changes.length; from += RECORDS_PER_GROUP) {
    const piece = changes.slice(from, from + RECORDS_PER_GROUP);
    groups.push({ sequence: sequence + groups.length + 1, changes: piece, alarms: [] });
  }
  return groups;
}

/** Throws a sentence unless all of them are durable. */
export async function writeGroups(store: Store, groups: readonly CommitGroup[], term: number): Promise<void> {
  const outcome = await store.commit(groups, term);
  if (outcome.kind === "done") return;
  throw new Error(
    outcome.kind === "fenced"
      ? "another process has taken over this data"
      : `the store takes no writes: ${outcome.error.message}`,
  );
}

/** For stores that are made anew with each start and so are never old. */
export function keepNoBackup(): Promise<void> {
  throw new Error("records of an older version need a place for a backup of them");
}

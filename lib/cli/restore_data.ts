/**
 * Makes a deck's data out of a backup. Owns the order of the steps, so that whatever cuts it off, the directory holds
 * either what it held before, or all of the backup, or a mark that no deck starts over.
 */
import { join } from "node:path";
import { readBackupFile, syncDirectory } from "../adapters/backup_file.ts";
import { openDataDir } from "../adapters/data_dir.ts";
import { openDenoKvStore } from "../adapters/deno_kv_store.ts";
import { createSystemClock } from "../adapters/system_clock.ts";
import type { Store } from "../contracts/store.ts";
import { refusalOf } from "../core/migrate.ts";
import type { VersionedRecord } from "../core/migrate.ts";
import type { BackupHeader } from "../messages/backup.ts";
import { MIGRATIONS } from "../deck/migrations.ts";
import { DECK_RECORDS, RECORD_VERSION } from "../deck/records.ts";
import { groupsOf, writeGroups } from "../session/open_records.ts";
import { CommandFailure } from "./failure.ts";
import { STORE_FILE, UNFINISHED_FILE } from "./store_files.ts";

export interface Restored {
  readonly header: BackupHeader;
  readonly term: number;
  readonly records: number;
  readonly tasks: number;
  readonly nodes: number;
  /** Where the data lie that were there before. */
  readonly aside: string | null;
}

/** Held in memory at once. */
const RECORDS_AT_ONCE = 500;
const TERM_MARGIN = 1_000_000;

/** Throws before anything is changed when the file is not whole or the directory is not fit. */
export async function restoreData(
  options: { readonly file: string; readonly dataDir: string; readonly replace: boolean; readonly nowMs: number },
): Promise<Restored> {
  const { file, dataDir, nowMs } = options;
  const contents = await checkContents(file);
  await refuseForeignDirectory(dataDir);
  const directory = await openDataDir(dataDir, "deck");
  try {
    const at = (name: string) => join(dataDir, name);
    if (await exists(at(STORE_FILE)) && !options.replace) {
      throw new CommandFailure(`${dataDir} holds a deck's data already; nothing was changed`, [
        "choose another --data-dir, or say --replace, which keeps the old data beside the new",
      ]);
    }
    for (const end of STORE_ENDS) await removeIfThere(at(`${UNFINISHED_FILE}${end}`));
    const term = restoredTerm(contents.header.term, nowMs);
    await writeStore(at(UNFINISHED_FILE), file, { ...contents, term, nowMs });
    const aside = await moveAside(dataDir, nowMs);
    await Deno.rename(at(UNFINISHED_FILE), at(STORE_FILE));
    await syncDirectory(dataDir);
    return { ...contents, term, aside };
  } finally {
    directory.release();
  }
}

/**
 * Higher than every term since the backup, of the lost deck and of other restores: a deck raises its term by one with
 * each start, and of two restores the later one has the later time.
 */
export function restoredTerm(backupTerm: number, nowMs: number): number {
  return Math.max(backupTerm + TERM_MARGIN, Math.floor(nowMs / 1000));
}

interface Contents {
  readonly header: BackupHeader;
  readonly records: number;
  readonly tasks: number;
  readonly nodes: number;
  readonly newestEvent: number;
}

/** Reads all of it: a file that was cut off is found at its end only. */
async function checkContents(file: string): Promise<Contents> {
  let header: BackupHeader | undefined;
  const counts = { records: 0, tasks: 0, nodes: 0, newestEvent: 0 };
  for await (const each of readBackupFile(file)) {
    if (!header) {
      header = each as BackupHeader;
      if (header.of !== "deck") throw new CommandFailure(`${file} is a backup of a ${header.of}, not of a deck`);
      continue;
    }
    const record = each as VersionedRecord;
    const refusal = refusalOf(record, MIGRATIONS);
    if (refusal) throw new CommandFailure(`${file} cannot be used: ${refusal.replace("the store", "it")}`);
    counts.records++;
    if (record.kind === "sail") counts.tasks++;
    if (record.kind === "mast") counts.nodes++;
    if (record.kind === "event") counts.newestEvent = Math.max(counts.newestEvent, Number(record.id));
  }
  return { header: header!, ...counts };
}

/** An empty one, or one that a deck has made. */
async function refuseForeignDirectory(dataDir: string): Promise<void> {
  let names: string[];
  try {
    names = await Array.fromAsync(Deno.readDir(dataDir), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new CommandFailure(`cannot use ${dataDir}: ${(error as Error).message}`, ["choose another --data-dir"]);
  }
  if (names.length === 0 || names.includes("format")) return;
  throw new CommandFailure(`${dataDir} is not empty and no deck's; nothing was changed`, [
    "choose an empty --data-dir, or one that does not exist yet",
  ]);
}

async function writeStore(path: string, file: string, contents: Contents & { term: number; nowMs: number }) {
  const clock = createSystemClock();
  const store = await openDenoKvStore({ path, clock });
  try {
    const term = await store.takeTerm(contents.term);
    let sequence = contents.header.sequence;
    let batch: VersionedRecord[] = [];
    const flush = async () => {
      sequence = await writeBatch(store, term, sequence, batch);
      batch = [];
    };
    for await (const each of readBackupFile(file)) {
      if ("format" in each) continue;
      batch.push(each);
      if (batch.length >= RECORDS_AT_ONCE) await flush();
    }
    batch.push(restoredEvent(contents));
    await flush();
  } finally {
    await store.close();
  }
}

/** The last sequence. */
async function writeBatch(store: Store, term: number, before: number, records: VersionedRecord[]): Promise<number> {
  const groups = groupsOf(records.map(DECK_RECORDS.write), before);
  await writeGroups(store, groups, term);
  return before + groups.length;
}

/** Whoever looks at the deck's events sees that there is a hole. */
function restoredEvent({ header, newestEvent, nowMs }: Contents & { nowMs: number }): VersionedRecord {
  const sequence = newestEvent + 1;
  const taken = new Date(header.takenMs).toISOString();
  const record = {
    sequence,
    atMs: nowMs,
    kind: "deckRestored",
    sailId: null,
    sailName: null,
    attemptId: null,
    nodeId: null,
    nodeName: null,
    message: `restored from the backup of ${taken}; what happened after it is not known to this deck`,
  };
  return { kind: "event", id: sequence, version: RECORD_VERSION, record };
}

const STORE_ENDS = ["", "-wal", "-shm"] as const;

/** The log first: without it the old store is a whole one of an earlier time, and never half of one. */
async function moveAside(dataDir: string, nowMs: number): Promise<string | null> {
  const store = join(dataDir, STORE_FILE);
  if (!await exists(store)) return null;
  const aside = `${store}.before-restore-${new Date(nowMs).toISOString().replaceAll(/[:.]/g, "-")}`;
  for (const end of STORE_ENDS.toReversed()) {
    if (await exists(store + end)) await Deno.rename(store + end, aside + end);
  }
  return aside;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  if (await exists(path)) await Deno.remove(path);
}

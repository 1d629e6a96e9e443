/** Names in a deck's data directory, and what a deck makes of them when it starts. */
import { join } from "node:path";
import { packBackup, saveBackup } from "../adapters/backup_file.ts";
import type { Logger } from "../contracts/logger.ts";
import { clusterIdOf } from "../deck/records.ts";
import type { RecordsBackup } from "../session/open_records.ts";
import { VERSION } from "../version.ts";

export const STORE_FILE = "deck.kv";
/** A restore that is under way; once it is whole it becomes the store. */
export const UNFINISHED_FILE = "restoring.kv";

/** A directory whose restore was cut off may hold no store, or an old one: starting on it would look like a loss. */
export async function refuseUnfinishedRestore(dataDir: string): Promise<void> {
  try {
    await Deno.lstat(join(dataDir, UNFINISHED_FILE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new Error(
    `a restore into ${dataDir} was cut off; run it again (with --replace where there were data), ` +
      `or remove ${UNFINISHED_FILE} there to go on with what was there before`,
  );
}

/** Keeps what was there before a migration, beside the store, and says where. */
export async function keepBeforeMigration(
  dataDir: string,
  of: "deck" | "sailor",
  backup: RecordsBackup,
  logger: Logger,
): Promise<void> {
  const nowMs = Date.now();
  const time = new Date(nowMs).toISOString().replaceAll(/[:.]/g, "-");
  const path = join(dataDir, `${of}.backup-v${backup.fromVersion}-${time}.jsonl.gz`);
  const { term, sequence, records } = backup;
  const clusterId = clusterIdOf(records);
  await saveBackup(path, packBackup({ of, clusterId, term, sequence, program: VERSION, takenMs: nowMs }, records));
  logger.info("records are brought forward; as they were they lie in a backup", { path });
}

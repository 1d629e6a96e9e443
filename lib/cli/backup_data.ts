/** A backup of a deck that does not run: its data directory is locked and read as it lies. */
import { join } from "node:path";
import { packBackup } from "../adapters/backup_file.ts";
import { openDataDir } from "../adapters/data_dir.ts";
import { openDenoKvStore } from "../adapters/deno_kv_store.ts";
import { createSystemClock } from "../adapters/system_clock.ts";
import { clusterIdOf, DECK_RECORDS } from "../deck/records.ts";
import { loadRecords } from "../session/open_records.ts";
import { VERSION } from "../version.ts";
import { CommandFailure } from "./failure.ts";
import { refuseUnfinishedRestore, STORE_FILE } from "./store_files.ts";

/** `use` gets the packed backup; the directory stays locked meanwhile. */
export async function withStoppedDeck<T>(
  dataDir: string,
  use: (packed: ReadableStream<Uint8Array>) => Promise<T>,
): Promise<T> {
  try {
    await Deno.lstat(join(dataDir, STORE_FILE));
  } catch {
    throw new CommandFailure(`there is no deck's data in ${dataDir}`, ["name another with --data-dir"]);
  }
  const directory = await openDataDir(dataDir, "deck");
  try {
    await refuseUnfinishedRestore(dataDir);
    const clock = createSystemClock();
    const store = await openDenoKvStore({ path: join(dataDir, STORE_FILE), clock });
    try {
      const records = await loadRecords(store, DECK_RECORDS);
      const [term, sequence] = [await store.takeTerm(), await store.lastSequence()];
      const clusterId = clusterIdOf(records);
      return await use(
        packBackup({ of: "deck", clusterId, term, sequence, program: VERSION, takenMs: clock.wallMs() }, records),
      );
    } finally {
      await store.close();
    }
  } finally {
    directory.release();
  }
}

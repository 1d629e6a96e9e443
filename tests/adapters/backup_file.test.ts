/** Backups as files: whole or refused, closed to others, there as a whole or not at all. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { checkBackup, packBackup, readBackupFile, saveBackup } from "../../lib/adapters/backup_file.ts";
import type { VersionedRecord } from "../../lib/core/migrate.ts";

const ABOUT = {
  of: "deck",
  clusterId: "c-1",
  term: 7,
  sequence: 4_711,
  program: "0.1.0",
  takenMs: 1_700_000_000_000,
} as const;
const RECORDS: readonly VersionedRecord[] = Array.from({ length: 300 }, (_, i) => ({
  kind: i % 2 === 0 ? "sail" : "event",
  id: i % 2 === 0 ? `s${i}` : i,
  version: 1,
  record: { text: `ü "\n" ${"x".repeat(i * 3)}`, i },
}));

async function inDir(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-backup-" });
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("saveBackup() keeps all records, in a file that is closed to others", () =>
  inDir(async (dir) => {
    const path = join(dir, "b");
    await Deno.writeTextFile(path, "an older one", { mode: 0o644 });
    const facts = await saveBackup(path, packBackup(ABOUT, RECORDS));
    assert.deepEqual(facts, { header: { format: "ormen-backup", version: 1, ...ABOUT }, records: RECORDS.length });
    const [header, ...records] = await Array.fromAsync(readBackupFile(path));
    assert.deepEqual(header, facts.header);
    assert.deepEqual(records, RECORDS);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["b"]);
  }));

Deno.test("saveBackup() leaves the older file alone when what comes breaks off", () =>
  inDir(async (dir) => {
    const path = join(dir, "b");
    await saveBackup(path, packBackup(ABOUT, RECORDS));
    const broken = ReadableStream.from(async function* () {
      yield (await Deno.readFile(path)).subarray(0, 100);
      throw new Error("the connection was lost");
    }());
    await assert.rejects(saveBackup(path, broken), /the connection was lost/);
    // A proxy may end a stream that was cut off as if it were whole.
    const short = ReadableStream.from([(await Deno.readFile(path)).subarray(0, 100)]);
    await assert.rejects(saveBackup(path, short), /cannot be used: it was cut off/);
    assert.equal((await checkBackup(path)).records, RECORDS.length);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["b"]);
  }));

Deno.test("checkBackup() refuses a file that was cut off, wherever", () =>
  inDir(async (dir) => {
    const path = join(dir, "b");
    await saveBackup(path, packBackup(ABOUT, RECORDS.slice(0, 20)));
    const bytes = await Deno.readFile(path);
    for (let length = 0; length < bytes.length; length += 7) {
      await Deno.writeFile(path, bytes.subarray(0, length));
      await assert.rejects(checkBackup(path), /cannot be used: /, `${length} of ${bytes.length} bytes`);
    }
  }));

const LINES = async () => {
  const text = await new Response(
    packBackup(ABOUT, RECORDS.slice(0, 3)).pipeThrough(new DecompressionStream("gzip") as ReadableWritablePair),
  )
    .text();
  return text.trimEnd().split("\n");
};
const REFUSED: readonly { readonly what: string; readonly change: (lines: string[]) => string[]; says: RegExp }[] = [
  { what: "lines are missing at its end", change: (l) => l.slice(0, -1), says: /cut off: its end is missing/ },
  { what: "a record is missing", change: (l) => l.toSpliced(2, 1), says: /has 2 records, its end says 3/ },
  { what: "a record was changed", change: (l) => l.with(1, l[1].replace("s0", "s9")), says: /was changed/ },
  { what: "its header was changed", change: (l) => l.with(0, l[0].replace('"term":7', '"term":8')), says: /changed/ },
  { what: "a record is none", change: (l) => l.with(1, "{}"), says: /line 2 is no record/ },
  { what: "it is something else", change: () => ["hello"], says: /is no backup of ormen's/ },
  { what: "it is empty", change: () => [], says: /it is empty/ },
  { what: "something follows", change: (l) => [...l, l[1]], says: /something follows its end/ },
  {
    what: "it is of a newer format",
    change: (l) => l.with(0, l[0].replace('"version":1', '"version":2')),
    says: /written by a newer ormen \(backup format 2\); use that version/,
  },
];
for (const { what, change, says } of REFUSED) {
  Deno.test(`checkBackup() refuses a file when ${what}`, () =>
    inDir(async (dir) => {
      const path = join(dir, "b");
      const text = ReadableStream.from([change(await LINES()).map((line) => `${line}\n`).join("")]);
      const packed = text.pipeThrough(new TextEncoderStream()).pipeThrough(new CompressionStream("gzip"));
      await Deno.writeFile(path, packed);
      await assert.rejects(checkBackup(path), says);
    }));
}

Deno.test("checkBackup() passes over keys of a neighbouring version", () =>
  inDir(async (dir) => {
    const path = join(dir, "b");
    const about = { ...ABOUT, note: "of tomorrow" };
    await saveBackup(path, packBackup(about, RECORDS));
    assert.equal((await checkBackup(path)).records, RECORDS.length);
  }));

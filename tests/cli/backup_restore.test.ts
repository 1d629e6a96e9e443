/** `ormen backup` and `ormen restore` on real data directories, in this process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readBackupFile } from "../../lib/adapters/backup_file.ts";
import { openDataDir } from "../../lib/adapters/data_dir.ts";
import { openDenoKvStore } from "../../lib/adapters/deno_kv_store.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import { startDeck } from "../../lib/cli/start_deck.ts";
import { restoredTerm } from "../../lib/cli/restore_data.ts";
import { DECK_RECORDS } from "../../lib/deck/records.ts";
import { groupsOf } from "../../lib/session/open_records.ts";
import { NOW_MS, ormen } from "./support.ts";

async function inDir(test: (dir: string, at: (name: string) => string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-restore-" });
  try {
    await test(dir, (name) => join(dir, name));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const startAt = (dataDir: string) =>
  startDeck({
    host: "127.0.0.1",
    port: 0,
    tokens: null,
    caCerts: [],
    insecure: false,
    tls: null,
    dbType: "persistent",
    dataDir,
    logFormat: "json",
    workers: [],
    scheduler: "epvm",
    heartbeatMs: 2_000,
    nodeTimeoutMs: 10_000,
    keepTasks: 100,
    keepForMs: 3_600_000,
  });

/** A deck with three tasks, that has ended. */
async function deckData(dataDir: string): Promise<string[]> {
  const deck = await startAt(dataDir);
  const ids: string[] = [];
  try {
    for (const name of ["a", "b", "c"]) {
      const { code, out, err } = await ormen(["run", "--json", "--name", name, "-m", deck.url, "x:1"]);
      assert.equal(code, 0, err);
      ids.push(JSON.parse(out).id);
    }
  } finally {
    await deck.stop();
  }
  return ids;
}

async function tasksAt(dataDir: string): Promise<{ ids: string[]; events: string; info: Record<string, unknown> }> {
  const deck = await startAt(dataDir);
  try {
    const { out } = await ormen(["status", "--json", "-m", deck.url]);
    const events = (await ormen(["events", "-m", deck.url])).out;
    const info = await (await fetch(`${deck.url}/v1/info`)).json();
    return { ids: JSON.parse(out).tasks.map((task: { id: string }) => task.id), events, info };
  } finally {
    await deck.stop();
  }
}

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

Deno.test("backup of a deck that runs, and restore elsewhere: the same tasks, cluster, and a far higher term", () =>
  inDir(async (_dir, at) => {
    const ids = await deckData(at("old"));
    const deck = await startAt(at("old"));
    const before = await (await fetch(`${deck.url}/v1/info`)).json();
    const kept = await ormen(["backup", at("b"), "--json", "-m", deck.url]).finally(() => deck.stop());
    assert.equal(kept.code, 0, kept.err);
    const facts = JSON.parse(kept.out);
    assert.deepEqual([facts.clusterId, facts.term], [before.clusterId, before.term]);

    const restored = await ormen(["restore", at("b"), "--data-dir", at("new")]);
    assert.equal(restored.code, 0, restored.err);
    assert.match(restored.out, /3 tasks and 0 nodes as of .*\n(.*\n)*next {3}ormen deck --data-dir /);
    const after = await tasksAt(at("new"));
    assert.deepEqual(after.ids, ids);
    assert.equal(after.info.clusterId, before.clusterId);
    assert.ok(Number(after.info.term) > Number(before.term) + 999_999);
    assert.match(after.events, /deckRestored .*restored from the backup of /);
    assert.deepEqual(namesIn(at("new")), ["deck.kv", "format", "lock"]);
  }));

Deno.test("backup of a deck that does not run says the same, and its data stay usable", () =>
  inDir(async (_dir, at) => {
    const ids = await deckData(at("deck"));
    const kept = await ormen(["backup", at("b"), "--data-dir", at("deck")]);
    assert.equal(kept.code, 0, kept.err);
    const sails = (await Array.fromAsync(readBackupFile(at("b")))).filter((each) =>
      "kind" in each && each.kind === "sail"
    );
    assert.deepEqual(sails.map((each) => "id" in each && each.id).sort(), ids.toSorted());
    assert.deepEqual((await tasksAt(at("deck"))).ids, ids);
    const none = await ormen(["backup", at("b2"), "--data-dir", at("nothing")]);
    assert.deepEqual([none.code, none.err.split("\n")[0]], [1, `error: there is no deck's data in ${at("nothing")}`]);
  }));

Deno.test("restore over a deck that runs, or over data, changes nothing; --replace keeps the old data", () =>
  inDir(async (_dir, at) => {
    const ids = await deckData(at("deck"));
    assert.equal((await ormen(["backup", at("b"), "--data-dir", at("deck")])).code, 0);
    const living = await openDataDir(at("deck"), "deck");
    const before = await Deno.readFile(at("deck/deck.kv"));
    for (const args of [[], ["--replace"]]) {
      const over = await ormen(["restore", at("b"), "--data-dir", at("deck"), ...args]);
      assert.equal(over.code, 1);
      assert.match(over.err, /is in use by another deck \(pid \d+\); stop it/);
    }
    living.release();
    const full = await ormen(["restore", at("b"), "--data-dir", at("deck")]);
    assert.equal(full.code, 1);
    assert.match(
      full.err,
      /holds a deck's data already; nothing was changed\n {2}choose another --data-dir, or say --replace/,
    );
    assert.deepEqual(await Deno.readFile(at("deck/deck.kv")), before);

    const replaced = await ormen(["restore", at("b"), "--data-dir", at("deck"), "--replace", "--json"]);
    assert.equal(replaced.code, 0, replaced.err);
    const { aside } = JSON.parse(replaced.out);
    assert.deepEqual(await Deno.readFile(aside), before);
    assert.deepEqual((await tasksAt(at("deck"))).ids, ids);
  }));

Deno.test("restore into a directory that is somebody else's changes nothing", () =>
  inDir(async (dir, at) => {
    await deckData(at("deck"));
    assert.equal((await ormen(["backup", at("b"), "--data-dir", at("deck")])).code, 0);
    await Deno.mkdir(at("home"));
    await Deno.writeTextFile(at("home/letter"), "dear");
    const home = await ormen(["restore", at("b"), "--data-dir", at("home"), "--replace"]);
    assert.equal(home.code, 1);
    assert.match(home.err, /is not empty and no deck's; nothing was changed/);
    assert.deepEqual(namesIn(at("home")), ["letter"]);
    (await openDataDir(at("sailor"), "sailor")).release();
    assert.match((await ormen(["restore", at("b"), "--data-dir", at("sailor")])).err, /belongs to a sailor/);

    // A file that is not whole is refused before the directory is made.
    await Deno.writeFile(at("half"), (await Deno.readFile(at("b"))).subarray(0, 200));
    const half = await ormen(["restore", at("half"), "--data-dir", at("new")]);
    assert.equal(half.code, 1);
    assert.match(half.err, /half cannot be used: it was cut off/);
    const missing = await ormen(["restore", at("none"), "--data-dir", at("new")]);
    assert.match(missing.err, /^error: cannot read the backup .*none: /);
    assert.ok(!namesIn(dir).includes("new"));
  }));

Deno.test("a restore that was cut off is no data to start on; run again it is done", () =>
  inDir(async (_dir, at) => {
    const ids = await deckData(at("deck"));
    assert.equal((await ormen(["backup", at("b"), "--data-dir", at("deck")])).code, 0);
    // As a kill between the two renames leaves it.
    (await openDataDir(at("new"), "deck")).release();
    const store = await openDenoKvStore({ path: at("new/restoring.kv"), clock: createSystemClock() });
    const stray = DECK_RECORDS.write({ kind: "sail", id: "stray", version: 1, record: {} });
    await store.commit(groupsOf([stray], 0), await store.takeTerm());
    await store.close();
    await assert.rejects(startAt(at("new")), /a restore into .* was cut off; run it again/);
    const again = await ormen(["restore", at("b"), "--data-dir", at("new")]);
    assert.equal(again.code, 0, again.err);
    assert.deepEqual((await tasksAt(at("new"))).ids, ids);
  }));

Deno.test("restoredTerm() is higher than any since the backup, and a later restore's is higher than an earlier one's", () => {
  assert.ok(restoredTerm(3, NOW_MS) > 3 + 999_999);
  assert.ok(restoredTerm(3, NOW_MS + 60_000) > restoredTerm(3, NOW_MS));
  // A clock that stands in the past lowers nothing.
  const first = restoredTerm(3, NOW_MS);
  assert.equal(restoredTerm(first, 0), first + 1_000_000);
});

Deno.test("backup and restore called wrongly", async () => {
  for (
    const [args, says] of [
      [["backup"], /missing required argument 'file'/],
      [["backup", "f", "-m", "a:1", "--data-dir", "d"], /--manager and --data-dir exclude each other/],
      [["backup", "-", "--json"], /--json has no place beside a backup on standard output/],
      [["restore", "f"], /--data-dir is needed\n {2}name the directory/],
    ] as const
  ) {
    const { code, err } = await ormen(args);
    assert.deepEqual([code, says.test(err)], [2, true], err);
  }
});

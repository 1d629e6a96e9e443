/** Opening a store: refusing newer ones, bringing older ones forward, whatever cuts it off. */
import assert from "node:assert/strict";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import type { CommitFault, MemoryDisk } from "../../lib/adapters/memory_store.ts";
import type { Change } from "../../lib/contracts/store.ts";
import type { VersionedRecord } from "../../lib/core/migrate.ts";
import { taskIdAt } from "../../lib/core/task_id.ts";
import { DECK_RECORDS } from "../../lib/deck/records.ts";
import { JOURNAL_RECORDS } from "../../lib/sailor/journal_records.ts";
import type { RecordForm, RecordsBackup } from "../../lib/session/open_records.ts";
import { groupsOf, keepNoBackup, openRecords } from "../../lib/session/open_records.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";

const clock = createVirtualClock();
const COUNT = 25;
/** As a later build might: the sails of version 1 get a field, those of 2 another name for it. */
const LATER: RecordForm = {
  ...DECK_RECORDS,
  migrations: [
    ({ kind, record }) => kind === "sail" ? { ...record as object, weight: 1 } : record,
    ({ kind, record }) => {
      if (kind !== "sail") return record;
      const { weight, ...rest } = record as { weight: number };
      return { ...rest, priority: weight };
    },
  ],
};

async function oldDisk(form: RecordForm = DECK_RECORDS): Promise<MemoryDisk> {
  const disk = createMemoryDisk();
  const store = openMemoryStore({ clock, disk });
  const term = await store.takeTerm();
  const records = Array.from({ length: COUNT }, (_, i) => ({ kind: "sail", id: `s${i}`, version: 1, record: { i } }));
  const cluster = { kind: "cluster", id: "cluster", version: 1, record: { id: "c-1" } };
  await store.commit(groupsOf([...records, cluster].map((record) => form.write(record)), 0), term);
  return disk;
}

const valuesOf = (disk: MemoryDisk) => [...disk.records].map(([key, value]) => [key, structuredClone(value)]);

Deno.test("openRecords() keeps a backup, then brings every record forward", async () => {
  const disk = await oldDisk();
  const before = valuesOf(disk);
  const backups: RecordsBackup[] = [];
  const store = openMemoryStore({ clock, disk });
  const opened = await openRecords(store, LATER, (backup) => {
    assert.deepEqual(valuesOf(disk), before, "nothing is changed before the backup is kept");
    backups.push(backup);
    return Promise.resolve();
  });
  assert.equal(backups.length, 1);
  assert.deepEqual([backups[0].fromVersion, backups[0].records.length], [1, COUNT + 1]);
  assert.deepEqual(backups[0].records.find(({ id }) => id === "s3")?.record, { i: 3 });
  const expected = { kind: "sail", id: "s3", version: 3, record: { i: 3, priority: 1 } };
  assert.deepEqual(opened.records.find(({ id }) => id === "s3"), expected);
  assert.equal(opened.sequence, await store.lastSequence());
  // The next start finds nothing to do.
  const again = await openRecords(openMemoryStore({ clock, disk }), LATER, keepNoBackup);
  assert.deepEqual(again.records, opened.records);
  assert.equal(again.term, opened.term + 1);
});

Deno.test("openRecords() goes on with a migration that was cut off between two writes", async () => {
  const disk = await oldDisk();
  const half = openMemoryStore({ clock, disk });
  const term = await half.takeTerm();
  const done = { kind: "sail", id: "s0", version: 3, record: { i: 0, priority: 1 } };
  await half.commit(groupsOf([LATER.write(done)], await half.lastSequence()), term);
  const opened = await openRecords(openMemoryStore({ clock, disk }), LATER, () => Promise.resolve());
  const sails = opened.records.filter(({ kind }) => kind === "sail");
  assert.deepEqual(
    sails.map(({ record, version }) => [(record as { priority: number }).priority, version]),
    sails.map(() => [1, 3]),
  );
});

Deno.test("openRecords() changes nothing when the backup cannot be kept, or the store refuses", async () => {
  const disk = await oldDisk();
  const before = valuesOf(disk);
  const noRoom = () => Promise.reject(new Error("no space left on device"));
  await assert.rejects(openRecords(openMemoryStore({ clock, disk }), LATER, noRoom), /no space left/);
  const fault: () => CommitFault = () => "refuse";
  const refusing = openMemoryStore({ clock, disk, fault });
  await assert.rejects(openRecords(refusing, LATER, () => Promise.resolve()), /the store takes no writes: refused/);
  assert.deepEqual(valuesOf(disk), before);
});

for (const [name, form] of [["deck", DECK_RECORDS], ["sailor", JOURNAL_RECORDS]] as const) {
  Deno.test(`openRecords() refuses a ${name}'s store of a newer version and touches nothing`, async () => {
    const kind = name === "deck" ? "sail" : "entry";
    const disk = createMemoryDisk();
    const store = openMemoryStore({ clock, disk });
    const today = form.migrations.length + 1;
    const newer: VersionedRecord = { kind, id: "a", version: today + 1, record: { shape: "of tomorrow" } };
    await store.commit(groupsOf([form.write(newer)], 0), await store.takeTerm());
    const before = structuredClone(disk);
    await assert.rejects(
      openRecords(openMemoryStore({ clock, disk }), form, keepNoBackup),
      new RegExp(`the store holds a ${kind} of version ${today + 1}; this ormen reads up to ${today}: use a newer one`),
    );
    assert.deepEqual(structuredClone(disk), before);
  });
}

Deno.test("openRecords() passes over kinds that it does not know", async () => {
  const disk = await oldDisk();
  disk.records.set('["voyage","w"]', { v: 9, record: {} });
  const { records } = await openRecords(openMemoryStore({ clock, disk }), DECK_RECORDS, () => Promise.resolve());
  assert.equal(records.length, COUNT + 1);
  assert.ok(disk.records.has('["voyage","w"]'));
});

Deno.test("openRecords() reads again what a deck with an older term wrote until the last moment", async () => {
  const disk = await oldDisk();
  const older = openMemoryStore({ clock, disk });
  const olderTerm = await older.takeTerm();
  const store = openMemoryStore({ clock, disk });
  const late = DECK_RECORDS.write({ kind: "sail", id: "late", version: 1, record: {} });
  const { records } = await openRecords(
    {
      ...store,
      async takeTerm() {
        await older.commit(groupsOf([late], disk.sequence), olderTerm);
        return await store.takeTerm();
      },
    },
    DECK_RECORDS,
    () => Promise.resolve(),
  );
  assert.ok(records.some(({ id }) => id === "late"));
});

const TASK = "9e20b7d1-4c3a-4f6b-8a21-0123456789ab";

Deno.test("tasks of the first version are moved to where today's lie, and nothing is left at the old place", async () => {
  const disk = createMemoryDisk();
  const store = openMemoryStore({ clock, disk });
  const ids = { sail: TASK, spec: TASK, attempt: `${TASK}-1`, mast: TASK, event: 7, run: "deploy-1" };
  const first = Object.entries(ids).map(([kind, id]): Change => {
    return { kind: "put", key: [kind, id], value: { v: 1, record: { id, createdMs: 1 } } };
  });
  await store.commit(groupsOf(first, 0), await store.takeTerm());
  const { records } = await openRecords(openMemoryStore({ clock, disk }), DECK_RECORDS, () => Promise.resolve());
  const idsOf = (records: readonly VersionedRecord[]) => Object.fromEntries(records.map(({ kind, id }) => [kind, id]));
  assert.deepEqual(idsOf(records), ids);
  assert.equal(disk.records.size, Object.keys(ids).length);
  const again = await openRecords(openMemoryStore({ clock, disk }), DECK_RECORDS, keepNoBackup);
  assert.deepEqual(idsOf(again.records), ids);
  // What changes later is written over it, wherever it is written.
  const sail = DECK_RECORDS.write({ kind: "sail", id: TASK, version: 2, record: { id: TASK, createdMs: 2 } });
  const last = openMemoryStore({ clock, disk });
  await last.commit(groupsOf([sail], again.sequence), await last.takeTerm());
  assert.equal(disk.records.size, Object.keys(ids).length);
});

Deno.test("a move that was cut off between the new place and the old is gone on with", async () => {
  const disk = createMemoryDisk();
  const store = openMemoryStore({ clock, disk });
  const old: Change = { kind: "put", key: ["sail", TASK], value: { v: 1, record: { id: TASK } } };
  const moved = DECK_RECORDS.write({ kind: "sail", id: TASK, version: 2, record: { id: TASK } });
  await store.commit(groupsOf([old, moved], 0), await store.takeTerm());
  const { records } = await openRecords(openMemoryStore({ clock, disk }), DECK_RECORDS, () => Promise.resolve());
  assert.deepEqual(new Set(records.map(({ id }) => id)), new Set([TASK]));
  assert.equal(disk.records.size, 1);
});

Deno.test("tasks that are made at about the same time lie side by side, whatever their ids begin with", () => {
  const at = (first: string, wallMs: number) => {
    const id = taskIdAt(`${first}${TASK.slice(first.length)}`, wallMs);
    assert.match(id, new RegExp(`^${first}[0-9a-f-]*$`));
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    return String(DECK_RECORDS.write({ kind: "sail", id, version: 2, record: {} }).key[1]);
  };
  const inTime = [
    at("ffffffff", 1_800_000_000_000),
    at("0a0a0a0a", 1_800_000_000_001),
    at("77777777", 1_900_000_000_000),
  ];
  assert.deepEqual(inTime.toSorted(), inTime);
});

Deno.test("a journal of the first builds, which has no version, is of version 1", () => {
  const entry = { attemptId: "a-1", phase: "started" };
  const read = JOURNAL_RECORDS.read({ key: ["entry", "a-1"], value: entry });
  assert.deepEqual(read, { kind: "entry", id: "a-1", version: 1, record: entry });
  const membership = { kind: "membership", id: "", version: 1, record: { clusterId: "c", highestTerm: 3 } };
  const written = JOURNAL_RECORDS.write(membership);
  assert.ok(written.kind === "put");
  assert.deepEqual(JOURNAL_RECORDS.read({ key: written.key, value: written.value }), membership);
});

/** Opening a store: refusing newer ones, bringing older ones forward, whatever cuts it off. */
import assert from "node:assert/strict";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import type { CommitFault, MemoryDisk } from "../../lib/adapters/memory_store.ts";
import type { VersionedRecord } from "../../lib/core/migrate.ts";
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
    const newer: VersionedRecord = { kind, id: "a", version: 2, record: { shape: "of tomorrow" } };
    await store.commit(groupsOf([form.write(newer)], 0), await store.takeTerm());
    const before = structuredClone(disk);
    await assert.rejects(
      openRecords(openMemoryStore({ clock, disk }), form, keepNoBackup),
      new RegExp(`the store holds a ${kind} of version 2; this ormen reads up to 1: use a newer one`),
    );
    assert.deepEqual(structuredClone(disk), before);
  });
}

Deno.test("openRecords() passes over kinds that it does not know", async () => {
  const disk = await oldDisk();
  disk.records.set('["voyage","w"]', { v: 9, record: {} });
  const { records } = await openRecords(openMemoryStore({ clock, disk }), DECK_RECORDS, keepNoBackup);
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
    keepNoBackup,
  );
  assert.ok(records.some(({ id }) => id === "late"));
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

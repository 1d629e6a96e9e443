import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeAlarm, packGroups, RECORDS } from "../../lib/adapters/kv_packing.ts";
import type { PackedWrite } from "../../lib/adapters/kv_packing.ts";
import type { CommitGroup } from "../../lib/contracts/store.ts";

const group = (sequence: number, changes: CommitGroup["changes"], topics: string[] = []): CommitGroup => ({
  sequence,
  changes,
  alarms: topics.map((topic) => ({ topic, delayMs: 3_600_000 })),
});

const puts = (count: number, key: (i: number) => string, value: unknown): CommitGroup["changes"] =>
  Array.from({ length: count }, (_, i) => ({ kind: "put", key: [key(i)], value }));

/** As the store makes them, of everything that was packed. */
async function writeTo(kv: Deno.Kv, writes: readonly PackedWrite[]): Promise<void> {
  for (const { changes, sequence } of writes) {
    const atomic = kv.atomic().check({ key: ["store", "term"], versionstamp: null });
    for (const { key, bytes } of changes) bytes ? atomic.set(key, bytes) : atomic.delete(key);
    assert.equal((await atomic.set(["store", "sequence"], sequence).commit()).ok, true);
  }
}

const FULL: readonly { name: string; groups: readonly CommitGroup[]; writes: number }[] = [
  { name: "as many mutations as fit", groups: [group(1, puts(999, (i) => `${i}`, 1))], writes: 1 },
  {
    name: "a mutation too many for one write",
    groups: [1, 2].map((s) => group(s, puts(500, (i) => `${i}`, 1))),
    writes: 2,
  },
  { name: "as many alarms as fit", groups: [group(1, [], Array.from({ length: 999 }, (_, i) => `t${i}`))], writes: 1 },
  { name: "as many bytes as fit", groups: [group(1, puts(12, (i) => `${i}`, "x".repeat(65_000)))], writes: 1 },
  { name: "long topics", groups: [group(1, [], Array.from({ length: 12 }, () => "語".repeat(21_000)))], writes: 1 },
  { name: "keys of many bytes", groups: [group(1, puts(39, (i) => "語".repeat(680) + (i % 10), 1))], writes: 1 },
  { name: "the longest key", groups: [group(1, puts(1, () => "k".repeat(2_043), 1))], writes: 1 },
  { name: "a key of zero bytes", groups: [group(1, puts(1, () => "\0".repeat(1_021), 1))], writes: 1 },
];

for (const { name, groups, writes } of FULL) {
  Deno.test(`packGroups() ${name}: KV takes it`, async () => {
    const packed = packGroups(groups, 0);
    assert.equal(packed.refusal, undefined);
    assert.equal(packed.writes.length, writes);
    const kv = await Deno.openKv(":memory:");
    try {
      await writeTo(kv, packed.writes);
    } finally {
      kv.close();
    }
  });
}

Deno.test("packGroups() names what does not fit, and packs what stands before it", () => {
  const { writes, refusal } = packGroups([
    group(1, puts(1, () => "a", 1)),
    group(2, puts(1, () => "big", "x".repeat(70_000))),
  ], 0);
  assert.deepEqual(writes.map(({ sequence }) => sequence), [1]);
  assert.equal(refusal?.message, "cannot write big: it takes 70002 bytes, 65536 fit");
});

Deno.test("packGroups() whatever the groups: in order, none split, and KV takes each write", async () => {
  const text = fc.string({ unit: "binary", maxLength: 60 });
  const change = fc.record({ key: text, length: fc.integer({ min: 0, max: 20_000 }), gone: fc.boolean() });
  const groups = fc.array(fc.record({ changes: fc.array(change, { maxLength: 80 }), topics: fc.array(text) }));
  const kv = await Deno.openKv(":memory:");
  try {
    await fc.assert(
      fc.asyncProperty(groups, async (drawn) => {
        const given = drawn.map(({ changes, topics }, i) =>
          group(
            i + 1,
            changes.map(({ key, length, gone }) =>
              gone ? { kind: "delete", key: [key, i] } : { kind: "put", key: [key, i], value: "ü".repeat(length) }
            ),
            topics,
          )
        );
        const { writes, refusal } = packGroups(given, 0);
        const until = writes.at(-1)?.sequence ?? 0;
        if (!refusal) assert.equal(until, given.length);
        const packed = given.slice(0, until);
        assert.deepEqual(
          writes.flatMap(({ changes }) =>
            changes.filter(({ key }) => key[0] === RECORDS).map(({ key }) => key.slice(1))
          ),
          packed.flatMap(({ changes }) => changes.map(({ key }) => key)),
        );
        for (const { sequence, changes, alarms } of writes) {
          const last = packed[sequence - 1];
          assert.ok(changes.length >= last.changes.length + last.alarms.length);
          const kept = changes.filter(({ key }) => key[0] !== RECORDS).map(({ key, bytes }) =>
            decodeAlarm(key, bytes!)
          );
          assert.deepEqual(kept, alarms, "what rings is what is kept");
        }
        assert.deepEqual(
          writes.flatMap(({ alarms }) => alarms.map(({ topic, dueMs }) => ({ topic, delayMs: dueMs }))),
          packed.flatMap(({ alarms }) => alarms),
        );
        await writeTo(kv, writes);
      }),
      { numRuns: 60 },
    );
  } finally {
    kv.close();
  }
});

/** What every store must do. Owns the sentences of lib/contracts/store.ts; what only a file has is tested beside its factory. */
import assert from "node:assert/strict";
import type { Change, CommitGroup, Key, Store, StoredRecord } from "../../lib/contracts/store.ts";
import { VALUE_BYTES_MAX } from "../../lib/contracts/store.ts";

export interface StoreSubject {
  /** Another handle on the same records. */
  open(): Promise<Store>;
  until(what: string, look: () => boolean | Promise<boolean>): Promise<void>;
  /** Time of the store's clock. */
  nowMs(): number;
  close(): Promise<void>;
}

export interface StoreFeatures {
  /** A group may be too large for one write. */
  readonly groupLimit: boolean;
  /** Records outlive a handle. */
  readonly reopens: boolean;
}

export function storeContract(prefix: string, create: () => Promise<StoreSubject>, features: StoreFeatures): void {
  const test = (name: string, fn: (subject: StoreSubject, store: Store) => Promise<void>) =>
    Deno.test(`${prefix}: ${name}`, async () => {
      const subject = await create();
      try {
        const store = await subject.open();
        await fn(subject, store);
      } finally {
        await subject.close();
      }
    });

  test("an empty one has no records, sequence 0, and its first term is 1", async (_subject, store) => {
    assert.deepEqual(await records(store), []);
    assert.equal(await store.lastSequence(), 0);
    assert.equal(await store.takeTerm(), 1);
    assert.equal(await store.takeTerm(), 2);
    assert.deepEqual(await records(store), [], "the store's own records are not load()'s");
  });

  test("puts and deletes are there after `done`", async (_subject, store) => {
    const term = await store.takeTerm();
    const value = { text: "ü€𝄞\u0000", list: [1, null, true], nested: { a: -0.5 } };
    const outcome = await store.commit([
      group(1, [put(["a", 1], value), put(["a", 2], "gone")]),
      group(2, [{ kind: "delete", key: ["a", 2] }, { kind: "delete", key: ["never"] }]),
    ], term);
    assert.deepEqual(outcome, { kind: "done" });
    assert.deepEqual(await records(store), [{ key: ["a", 1], value }]);
    assert.equal(await store.lastSequence(), 2);
  });

  test("what was given is kept as it was then", async (_subject, store) => {
    const term = await store.takeTerm();
    const value = { n: 1 };
    await store.commit([group(1, [put(["a"], value)])], term);
    value.n = 2;
    assert.deepEqual(await records(store), [{ key: ["a"], value: { n: 1 } }]);
  });

  test("a record that was changed and is put again is kept as it is now", async (_subject, store) => {
    const term = await store.takeTerm();
    const value = { n: 1 };
    await store.commit([group(1, [put(["a"], value)])], term);
    value.n = 2;
    const second = store.commit([group(2, [put(["a"], value)])], term);
    value.n = 3;
    await second;
    assert.deepEqual(await records(store), [{ key: ["a"], value: { n: 2 } }]);
    for await (const { value: loaded } of store.load()) (loaded as { n: number }).n = 4;
    assert.deepEqual(await records(store), [{ key: ["a"], value: { n: 2 } }], "what load() gave is the caller's own");
  });

  test("load() gives 20,000 records in key order", async (_subject, store) => {
    const term = await store.takeTerm();
    const keys: Key[] = [];
    for (let i = 0; i < 10_000; i++) keys.push(["b", i * 7_919 % 10_000], ["a", `k${i * 7_919 % 10_000}`]);
    for (let i = 0; i < keys.length; i += 500) {
      const changes = keys.slice(i, i + 500).map((key) => put(key, key.join("/")));
      assert.equal((await store.commit([group(i + 1, changes)], term)).kind, "done");
    }
    const found = await records(store);
    const sorted = keys.toSorted((a, b) => a[0] === b[0] ? (a[1] < b[1] ? -1 : 1) : a[0] < b[0] ? -1 : 1);
    assert.deepEqual(found, sorted.map((key) => ({ key, value: key.join("/") })));
  });

  test("load() has strings before numbers, and strings by code point", async (_subject, store) => {
    const term = await store.takeTerm();
    const texts = ["", "b\0c", "bc", "é", "\uffee", "𝄞", "𝄟"];
    const keys: Key[] = [["a"], ...texts.map((text) => ["a", text])];
    keys.push(["a", -1], ["a", 0.5], ["a", 2], ["a", 10], ["a", 10, "x"], ["b"]);
    const changes = keys.map((key, i) => put(key, i)).reverse();
    assert.equal((await store.commit([group(1, changes)], term)).kind, "done");
    assert.deepEqual((await records(store)).map(({ key }) => key), keys);
  });

  test("2,000 groups of a task's size in one commit are all durable", async (_subject, store) => {
    const term = await store.takeTerm();
    const sail = { name: "web", image: "registry.example.org/shop/web:1.2.3", env: { TEXT: "x".repeat(900) } };
    const groups = Array.from({ length: 2_000 }, (_, i) => ({
      ...group(i + 1, [
        put(["sail", `b7c5c1c6-6c1e-4d0c-9d4c-${String(i).padStart(12, "0")}`], { ...sail, index: i }),
        put(["event", i], { kind: "taskSubmitted", text: `web-${i} was submitted`, atMs: 1_700_000_000_000 + i }),
      ]),
      alarms: [{ topic: `sail/${i}`, delayMs: 3_600_000 }],
    }));
    assert.deepEqual(await store.commit(groups, term), { kind: "done" });
    assert.equal(await store.lastSequence(), 2_000);
    assert.equal((await records(store)).length, 4_000);
  });

  test("of 2,000 groups that put one record the last is kept", async (_subject, store) => {
    const term = await store.takeTerm();
    const groups = Array.from({ length: 2_000 }, (_, i) => group(i + 1, [put(["a", i], i), put(["last"], i + 1)]));
    assert.equal((await store.commit(groups, term)).kind, "done");
    assert.equal(await store.lastSequence(), 2_000);
    const found = await records(store);
    assert.equal(found.length, 2_001);
    assert.equal(found.at(-1)!.value, 2_000);
  });

  test("concurrent commits become durable in the order of the calls", async (_subject, store) => {
    const term = await store.takeTerm();
    const ended: number[] = [];
    const commits = Array.from(
      { length: 60 },
      (_, i) =>
        store.commit([group(i + 1, [put(["last"], i + 1)])], term).then((outcome) => {
          assert.equal(outcome.kind, "done");
          ended.push(i + 1);
        }),
    );
    await Promise.all(commits);
    assert.deepEqual(ended, ended.toSorted((a, b) => a - b));
    assert.deepEqual(await records(store), [{ key: ["last"], value: 60 }]);
    assert.equal(await store.lastSequence(), 60);
  });

  test("none of several commits of a fenced term is written", async (subject, store) => {
    const old = await store.takeTerm();
    const other = await subject.open();
    await other.takeTerm();
    const commits = [1, 2, 3].map((sequence) => store.commit([group(sequence, [put(["a"], sequence)])], old));
    assert.deepEqual((await Promise.all(commits)).map(({ kind }) => kind), ["fenced", "fenced", "fenced"]);
    assert.deepEqual(await records(other), []);
  });

  test("an empty commit is done and changes nothing", async (_subject, store) => {
    const term = await store.takeTerm();
    await store.commit([group(1, [put(["a"], 1)])], term);
    assert.equal((await store.commit([], term)).kind, "done");
    assert.equal(await store.lastSequence(), 1);
  });

  test("a term that is not the newest is fenced and writes nothing", async (subject, first) => {
    const old = await first.takeTerm();
    await first.commit([group(1, [put(["a"], "first")])], old);
    const second = await subject.open();
    const term = await second.takeTerm();
    assert.equal(term, old + 1);
    assert.equal((await second.commit([group(2, [put(["a"], "second")])], term)).kind, "done");
    const alarms = [{ topic: "never", delayMs: 0 }];
    const outcome = await first.commit([{ ...group(2, [put(["a"], "late")]), alarms }], old);
    assert.deepEqual(outcome, { kind: "fenced", lastSequence: 1 }, "what the other wrote is not this one's");
    assert.deepEqual(await records(second), [{ key: ["a"], value: "second" }]);
    assert.equal((await first.commit([group(3, [put(["a"], "later")])], old)).kind, "fenced");
    assert.equal((await second.commit([group(3, [])], term)).kind, "done");
  });

  test("a handle's own older term is fenced too, and so is one that was never taken", async (_subject, store) => {
    assert.equal((await store.commit([group(1, [put(["a"], 1)])], 1)).kind, "fenced");
    const old = await store.takeTerm();
    const term = await store.takeTerm();
    assert.equal((await store.commit([group(1, [put(["a"], 1)])], old)).kind, "fenced");
    assert.equal((await store.commit([group(1, [put(["a"], 2)])], term)).kind, "done");
    assert.deepEqual(await records(store), [{ key: ["a"], value: 2 }]);
  });

  test("the largest value is taken", async (_subject, store) => {
    const term = await store.takeTerm();
    const value = "x".repeat(VALUE_BYTES_MAX - 2);
    assert.equal((await store.commit([group(1, [put(["a"], value)])], term)).kind, "done");
    assert.deepEqual(await records(store), [{ key: ["a"], value }]);
  });

  test("an alarm rings once its time has come, not before", async (subject, store) => {
    const term = await store.takeTerm();
    const rung: { topic: string; atMs: number }[] = [];
    store.onAlarm((topic) => void rung.push({ topic, atMs: subject.nowMs() }));
    const beforeMs = subject.nowMs();
    await store.commit([
      { ...group(1, []), alarms: [{ topic: "later", delayMs: 300 }, { topic: "now", delayMs: 0 }] },
    ], term);
    await subject.until("both rang", () => rung.length >= 2);
    assert.deepEqual(rung.map((r) => r.topic), ["now", "later"]);
    assert.ok(rung[1].atMs - beforeMs >= 300, `it rang after ${rung[1].atMs - beforeMs} ms`);
  });

  test("an alarm's handler that throws gets it again", async (subject, store) => {
    const term = await store.takeTerm();
    let calls = 0;
    store.onAlarm(() => {
      if (++calls === 1) throw new Error("not now");
    });
    await store.commit([{ ...group(1, []), alarms: [{ topic: "a", delayMs: 0 }] }], term);
    await subject.until("it came again", () => calls >= 2);
  });

  if (features.groupLimit) {
    for (const [what, changes] of OVERSIZE) {
      test(`a group with ${what} is refused, what was durable stays so`, async (_subject, store) => {
        const term = await store.takeTerm();
        await store.commit([group(1, [put(["a"], 1)])], term);
        const outcome = await store.commit([group(2, [put(["a"], 2)]), group(3, changes), group(4, [])], term);
        assert.ok(outcome.kind === "refused", outcome.kind);
        assert.match(outcome.error.message, /^cannot (write|set) /);
        // Those before it stay, those after it are not there.
        assert.equal(outcome.lastSequence, 2);
        assert.equal(await store.lastSequence(), 2);
        assert.deepEqual(await records(store), [{ key: ["a"], value: 2 }]);
        assert.equal((await store.commit([group(3, [put(["a"], "on")])], term)).kind, "done");
      });
    }

    test("a commit that was asked for before another was refused is refused with it", async (_subject, store) => {
      const term = await store.takeTerm();
      const outcomes = await Promise.all([
        store.commit([group(1, [put(["a"], 1)])], term),
        store.commit([group(2, OVERSIZE[0][1])], term),
        store.commit([group(3, [put(["a"], 3)])], term),
      ]);
      assert.deepEqual(outcomes.map(({ kind }) => kind), ["done", "refused", "refused"]);
      assert.equal(await store.lastSequence(), 1);
      assert.equal((await store.commit([group(4, [])], term)).kind, "done");
    });
  }

  if (features.reopens) {
    test("records, sequence and term survive a reopen, and so do alarms", async (subject, first) => {
      const term = await first.takeTerm();
      await first.commit([{ ...group(1, [put(["a"], 1)]), alarms: [{ topic: "a", delayMs: 200 }] }], term);
      await first.close();
      const second = await subject.open();
      assert.deepEqual(await records(second), [{ key: ["a"], value: 1 }]);
      assert.equal(await second.lastSequence(), 1);
      assert.equal(await second.takeTerm(), term + 1);
      const rung: string[] = [];
      second.onAlarm((topic) => void rung.push(topic));
      await subject.until("it rang", () => rung.length > 0);
      assert.equal(rung[0], "a");
    });
  }

  test("close() lets a commit that was asked for end", async (_subject, store) => {
    const term = await store.takeTerm();
    const commit = store.commit([group(1, [put(["a"], 1)])], term);
    await store.close();
    assert.equal((await commit).kind, "done");
    await store.close();
  });
}

const OVERSIZE: readonly (readonly [string, readonly Change[]])[] = [
  ["too large a value", [put(["big"], "x".repeat(VALUE_BYTES_MAX + 1))]],
  ["too many changes", Array.from({ length: 1_200 }, (_, i) => put(["many", i], i))],
  ["too long a key", [put(["k".repeat(2_100)], 1)]],
  ["too many bytes of keys", Array.from({ length: 60 }, (_, i) => put([`${"k".repeat(1_500)}${i}`], i))],
  ["a value without JSON form", [put(["a"], () => {})]],
  ["too many bytes", Array.from({ length: 20 }, (_, i) => put(["wide", i], "x".repeat(60_000)))],
];

export function group(sequence: number, changes: readonly Change[]): CommitGroup {
  return { sequence, changes, alarms: [] };
}

export function put(key: Key, value: unknown): Change {
  return { kind: "put", key, value };
}

export async function records(store: Store): Promise<StoredRecord[]> {
  return await Array.fromAsync(store.load());
}

import assert from "node:assert/strict";
import { skipUnless } from "../fixtures/skip.ts";
import { join } from "node:path";
import { openDenoKvStore } from "../../lib/adapters/deno_kv_store.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { Store } from "../../lib/contracts/store.ts";
import { eventually } from "../fixtures/eventually.ts";
import { collectingLogger } from "../fixtures/logger.ts";
import type { StoreSubject } from "./store.contract.ts";
import { group, put, records, storeContract } from "./store.contract.ts";

const clock = createSystemClock();

/** What would ring at the next start. */
async function alarmsIn(path: string): Promise<Deno.KvKey[]> {
  const kv = await Deno.openKv(path);
  try {
    return await Array.fromAsync(kv.list({ prefix: ["alarm"] }), ({ key }) => key);
  } finally {
    kv.close();
  }
}

async function fileSubject(): Promise<StoreSubject> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-store-" });
  return subjectAt(join(dir, "deck.kv"), () => Deno.remove(dir, { recursive: true }));
}

/** `:memory:` is one handle's own: there is no second one on the same records. */
function subjectAt(path: string, clean: () => Promise<void>): StoreSubject {
  const opened: Store[] = [];
  return {
    async open() {
      const store = await openDenoKvStore({ path, clock });
      opened.push(store);
      return store;
    },
    until: async (what, look) => void await eventually(what, look),
    nowMs: () => clock.wallMs(),
    async close() {
      for (const store of opened) await store.close();
      await clean();
    },
  };
}

storeContract("Deno KV in a file", fileSubject, { groupLimit: true, reopens: true });

Deno.test("Deno KV in memory: puts, order and alarms", async () => {
  const subject = subjectAt(":memory:", () => Promise.resolve());
  const store = await subject.open();
  try {
    const term = await store.takeTerm();
    const rung: string[] = [];
    store.onAlarm((topic) => void rung.push(topic));
    const groups = [
      { ...group(1, [put(["b"], 1)]), alarms: [{ topic: "now", delayMs: 0 }] },
      group(2, [put(["a"], 2)]),
    ];
    assert.equal((await store.commit(groups, term)).kind, "done");
    assert.deepEqual(await records(store), [{ key: ["a"], value: 2 }, { key: ["b"], value: 1 }]);
    await subject.until("it rang", () => rung.length > 0);
  } finally {
    await subject.close();
  }
});

Deno.test("Deno KV in a file: kill -9 loses nothing that was acknowledged and leaves no gap", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-store-" });
  const path = join(dir, "deck.kv");
  try {
    let before = 0;
    for (const acknowledgements of [1, 20]) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", new URL("store_writer.ts", import.meta.url).pathname, path],
        stdout: "piped",
      }).spawn();
      let said = "";
      let killed = false;
      for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
        said += chunk;
        // What it said before it died is read to the end.
        if (killed || said.split("\n").length <= acknowledgements) continue;
        killed = true;
        child.kill("SIGKILL");
      }
      await child.status;
      // The last line may be half of one.
      const acknowledged = Number(said.split("\n").slice(0, -1).at(-1));
      assert.ok(acknowledged > before, said);
      const store = await openDenoKvStore({ path, clock });
      const last = await store.lastSequence();
      assert.ok(last >= acknowledged, `${acknowledged} was acknowledged, ${last} is there`);
      const found = await records(store);
      await store.close();
      const whole = Array.from({ length: last }, (_, i) => i + 1);
      for (const kind of ["a", "b"]) {
        assert.deepEqual(found.filter(({ key }) => key[0] === kind).map(({ value }) => value), whole);
      }
      before = last;
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const mountable = Deno.build.os === "linux" && Deno.uid() === 0 && await tryMount();
const ON_SMALL_DISK = skipUnless(
  mountable,
  "a full disk is made of a small tmpfs, which takes root and the right to mount",
);

Deno.test({
  name: "Deno KV in a file: a full disk refuses, and the same handle goes on when there is space again",
  ...ON_SMALL_DISK,
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "ormen-full-" });
    await mount(dir);
    let store: Store | undefined;
    try {
      store = await openDenoKvStore({ path: join(dir, "deck.kv"), clock });
      const term = await store.takeTerm();
      const ballast = join(dir, "ballast");
      await fill(ballast);
      let last = 0;
      const kinds: string[] = [];
      while (!kinds.includes("refused") && last < 400) {
        const outcome = await store.commit([group(last + 1, [put(["a", last + 1], "x".repeat(30_000))])], term);
        kinds.push(outcome.kind);
        if (outcome.kind === "done") last++;
        else assert.equal(outcome.kind === "refused" && outcome.lastSequence, last, JSON.stringify(outcome));
      }
      assert.ok(kinds.includes("refused"), "the disk did not get full");
      assert.equal(await store.lastSequence(), last);
      await Deno.remove(ballast);
      const outcome = await store.commit([group(last + 1, [put(["b"], "on")])], term);
      assert.equal(outcome.kind, "done", JSON.stringify(outcome));
      assert.equal((await records(store)).at(-1)!.value, "on");
      assert.equal((await records(store)).length, last + 1);
    } finally {
      await store?.close();
      await new Deno.Command("umount", { args: ["-l", dir] }).output();
      await Deno.remove(dir);
    }
  },
});

Deno.test({
  name: "Deno KV in a file: alarms ring while the disk is full, and are over when there is space again",
  ...ON_SMALL_DISK,
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "ormen-full-" });
    await mount(dir);
    const path = join(dir, "deck.kv");
    const logger = collectingLogger();
    let store: Store | undefined;
    try {
      store = await openDenoKvStore({ path, clock, logger });
      const term = await store.takeTerm();
      const rung: string[] = [];
      store.onAlarm((topic) => void rung.push(topic));
      const alarms = Array.from({ length: 20 }, (_, i) => ({ topic: `a${i}`, delayMs: 500 }));
      assert.equal((await store.commit([{ ...group(1, []), alarms }], term)).kind, "done");
      const ballast = join(dir, "ballast");
      await fill(ballast);
      let last = 1;
      for (let refused = false; !refused && last < 400;) {
        const outcome = await store.commit([group(last + 1, [put(["a", last + 1], "x".repeat(30_000))])], term);
        refused = outcome.kind === "refused";
        if (!refused) last++;
      }
      await eventually("all rang", () => new Set(rung).size === alarms.length);
      await eventually("it says that they are still there", () => logger.lines.length > 0);
      await Deno.remove(ballast);
      assert.equal((await store.commit([group(last + 1, [])], term)).kind, "done");
      await store.close();
      assert.equal(rung.length, alarms.length, "each rang once");
      assert.deepEqual(await alarmsIn(path), []);
    } finally {
      await store?.close();
      await new Deno.Command("umount", { args: ["-l", dir] }).output();
      await Deno.remove(dir);
    }
  },
});

Deno.test("Deno KV in a file: an alarm that kill -9 cut off inside its handler comes again at the next start", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-store-" });
  const path = join(dir, "deck.kv");
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", new URL("store_ringer.ts", import.meta.url).pathname, path],
      stdout: "piped",
    }).spawn();
    for await (const said of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (said.includes("in the handler of cut-off")) child.kill("SIGKILL");
    }
    await child.status;
    const store = await openDenoKvStore({ path, clock });
    const rung: string[] = [];
    store.onAlarm((topic) => void rung.push(topic));
    await eventually("both rang", () => rung.length >= 2, 5_000);
    await store.close();
    assert.deepEqual(rung.toSorted(), ["cut-off", "later"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("Deno KV in a file: close() lets an alarm's handler end, and that alarm is over", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-store-" });
  const path = join(dir, "deck.kv");
  try {
    const store = await openDenoKvStore({ path, clock });
    const term = await store.takeTerm();
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    store.onAlarm(async () => {
      entered.resolve();
      await leave.promise;
    });
    await store.commit([{ ...group(1, []), alarms: [{ topic: "a", delayMs: 0 }] }], term);
    await entered.promise;
    const closed = store.close();
    leave.resolve();
    await closed;
    assert.deepEqual(await alarmsIn(path), []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

async function tryMount(): Promise<boolean> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-full-" });
  try {
    await mount(dir);
    await new Deno.Command("umount", { args: [dir] }).output();
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(dir);
  }
}

async function mount(dir: string, size = "4m"): Promise<void> {
  const args = ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir];
  const { success } = await new Deno.Command("mount", { args, stdout: "null", stderr: "null" }).output();
  if (!success) throw new Error(`cannot mount a tmpfs at ${dir}`);
}

/** Leaves little. */
async function fill(path: string): Promise<void> {
  const file = await Deno.open(path, { write: true, create: true });
  try {
    const block = new Uint8Array(64 * 1024);
    while (true) await file.write(block);
  } catch {
    // Full.
  } finally {
    file.close();
  }
}

Deno.test("Deno KV: an alarm that its handler could not take is told to the log, and rings again", async () => {
  const logger = collectingLogger();
  const store = await openDenoKvStore({ path: ":memory:", clock, logger });
  let rung = 0;
  store.onAlarm(() => {
    if (++rung === 1) throw new Error("not now");
  });
  const term = await store.takeTerm();
  await store.commit([{ sequence: 1, changes: [], alarms: [{ topic: "sail/a", delayMs: 0 }] }], term);
  await eventually("it rings again", () => rung === 2);
  await store.close();
  const told = logger.lines.filter(({ level }) => level === "warn").map(({ fields }) => fields);
  assert.deepEqual(told, [{ topic: "sail/a", error: "not now" }]);
});

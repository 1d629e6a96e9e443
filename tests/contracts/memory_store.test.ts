import assert from "node:assert/strict";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import type { CommitFault } from "../../lib/adapters/memory_store.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import type { StoreSubject } from "./store.contract.ts";
import { group, put, records, storeContract } from "./store.contract.ts";

function memorySubject(): Promise<StoreSubject> {
  const clock = createVirtualClock();
  const disk = createMemoryDisk();
  return Promise.resolve({
    open: () => Promise.resolve(openMemoryStore({ clock, disk })),
    async until(what, look) {
      for (let step = 0; step < 10_000; step++) {
        if (await look()) return;
        await clock.advance(10);
      }
      throw new Error(`not within 100 s: ${what}`);
    },
    nowMs: () => clock.wallMs(),
    close: () => Promise.resolve(),
  });
}

storeContract("memory store", memorySubject, { groupLimit: false, reopens: true });

Deno.test("memory store: faults are outcomes of the contract", async () => {
  let fault: CommitFault = "refuse";
  const store = openMemoryStore({ clock: createVirtualClock(), fault: () => fault });
  const term = await store.takeTerm();
  const refused = await store.commit([group(1, [put(["a"], 1)])], term);
  assert.deepEqual([refused.kind, await store.lastSequence()], ["refused", 0]);
  fault = "loseAnswer";
  assert.equal((await store.commit([group(1, [put(["a"], 1)])], term)).kind, "unknown");
  assert.equal(await store.lastSequence(), 1);
  assert.deepEqual(await records(store), [{ key: ["a"], value: 1 }]);
});

Deno.test("memory store: a commit that was asked for while another fails, fails with it", async () => {
  const faults: CommitFault[] = ["refuse"];
  const store = openMemoryStore({ clock: createVirtualClock(), fault: () => faults.shift() ?? "none" });
  const term = await store.takeTerm();
  const both = [1, 2].map((sequence) => store.commit([group(sequence, [put(["a"], sequence)])], term));
  assert.deepEqual((await Promise.all(both)).map(({ kind }) => kind), ["refused", "refused"]);
  assert.deepEqual(await records(store), []);
  assert.equal((await store.commit([group(3, [])], term)).kind, "done");
});

Deno.test("memory store: after a commit that hangs nothing is answered or written", async () => {
  const clock = createVirtualClock();
  const store = openMemoryStore({ clock, fault: () => "hang" });
  const term = await store.takeTerm();
  let answered = 0;
  for (const sequence of [1, 2]) void store.commit([group(sequence, [put(["a"], 1)])], term).then(() => answered++);
  await clock.advance(60_000);
  assert.equal(answered, 0);
  assert.equal(await store.lastSequence(), 0);
});

Deno.test("memory store: of two stores on a disk the last that listens gets the alarms", async () => {
  const clock = createVirtualClock();
  const disk = createMemoryDisk();
  const rung: string[] = [];
  const dropped = openMemoryStore({ clock, disk });
  dropped.onAlarm((topic) => void rung.push(`dropped ${topic}`));
  const term = await dropped.takeTerm();
  await dropped.commit([{ ...group(1, []), alarms: [{ topic: "a", delayMs: 100 }] }], term);
  openMemoryStore({ clock, disk }).onAlarm((topic) => void rung.push(`new ${topic}`));
  await clock.advance(1_000);
  assert.deepEqual(rung, ["new a"]);
});

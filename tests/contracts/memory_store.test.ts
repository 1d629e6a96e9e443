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

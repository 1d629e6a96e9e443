import assert from "node:assert/strict";
import fc from "fast-check";
import { createDueQueue } from "../../lib/adapters/due_queue.ts";

Deno.test("property: what is due comes out earliest first, the rest stays", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), fc.integer({ min: 0, max: 50 }), (dueTimes, nowMs) => {
      const queue = createDueQueue<{ dueMs: number }>();
      for (const dueMs of dueTimes) queue.add({ dueMs });
      const sorted = dueTimes.toSorted((a, b) => a - b);
      const due: number[] = [];
      for (let item = queue.takeDue(nowMs); item; item = queue.takeDue(nowMs)) due.push(item.dueMs);
      assert.deepEqual(due, sorted.filter((dueMs) => dueMs <= nowMs));
      assert.equal(queue.earliestMs(), sorted.find((dueMs) => dueMs > nowMs));
      queue.clear();
      assert.equal(queue.earliestMs(), undefined);
    }),
  );
});

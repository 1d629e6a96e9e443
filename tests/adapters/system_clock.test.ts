import assert from "node:assert/strict";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";

const TIMER_MAX_MS = 2 ** 31 - 1;

/** The platform's timers, run by hand. */
function withTimers(fn: (set: readonly number[], ring: () => void) => void): void {
  const { setTimeout, clearTimeout } = globalThis;
  const waiting = new Map<number, () => void>();
  const set: number[] = [];
  globalThis.setTimeout = ((task: () => void, ms: number): unknown => {
    set.push(ms);
    waiting.set(set.length, task);
    return set.length;
  }) as unknown as typeof setTimeout;
  globalThis.clearTimeout = ((id: number) => void waiting.delete(id)) as typeof clearTimeout;
  try {
    fn(set, () => {
      const [[id, task]] = waiting;
      waiting.delete(id);
      task();
    });
    assert.equal(waiting.size, 0, "a timer is left");
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout });
  }
}

Deno.test("after() waits longer than one timer of the platform can", () =>
  withTimers((set, ring) => {
    let rung = false;
    createSystemClock().after(2 * TIMER_MAX_MS + 7, () => rung = true);
    ring();
    ring();
    assert.equal(rung, false);
    ring();
    assert.equal(rung, true);
    assert.deepEqual(set, [TIMER_MAX_MS, TIMER_MAX_MS, 7]);
  }));

Deno.test("after() can be taken back between the timers of one wait", () =>
  withTimers((_set, ring) => {
    const cancel = createSystemClock().after(TIMER_MAX_MS + 1, () => assert.fail("it rang"));
    ring();
    cancel();
  }));

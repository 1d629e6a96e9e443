/** Slots of schedules: which of them fire, once, over pauses, absences and ends of the deck. */
import assert from "node:assert/strict";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import type { ScheduleSpec } from "../../lib/core/documents/workflow.ts";
import type { Deck } from "../../lib/deck/deck.ts";
import { createDeck } from "../../lib/deck/deck.ts";
import { dueSlots } from "../../lib/deck/schedules.ts";
import { SETTINGS } from "../core/support.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { testCron } from "../sim/cron.ts";
import { testVerify } from "../sim/keys.ts";
import { countingRandom, RecordingLogger } from "./support.ts";

const MINUTE = 60_000;
/** A whole hour, so that slots are told by minutes. */
const T0 = Date.UTC(2026, 0, 5, 12);

const every = (minutes: number, more: Partial<ScheduleSpec> = {}): ScheduleSpec => ({
  ...{
    cron: `*/${minutes} * * * *`,
    timezone: "UTC",
    catchup: "latest",
    catchupWindowMs: 60 * MINUTE,
    overlap: "skip",
  },
  params: {},
  ...more,
});

/** Minutes after T0, with a sign: + fires; - is a time up to which slots are passed over, whether or not it is one. */
function told(schedule: ScheduleSpec, knownUntil: number, now: number): string[] {
  return dueSlots(testCron, schedule, T0 + knownUntil * MINUTE, T0 + now * MINUTE)
    .map(({ slotMs, fire }) => `${fire ? "+" : "-"}${Math.floor((slotMs - T0) / MINUTE)}`);
}

const CASES: readonly { readonly name: string; readonly got: () => string[]; readonly slots: string[] }[] = [
  { name: "nothing before the next slot", got: () => told(every(10), 0, 9), slots: [] },
  { name: "a slot that has just come", got: () => told(every(10), 0, 10), slots: ["+10"] },
  { name: "one that is known has fired", got: () => told(every(10), 10, 12), slots: [] },
  { name: "latest: of many that were missed the newest", got: () => told(every(10), 0, 35), slots: ["-20", "+30"] },
  {
    name: "all: every one that was missed",
    got: () => told(every(10, { catchup: "all" }), 0, 35),
    slots: ["+10", "+20", "+30"],
  },
  { name: "none: none that was missed", got: () => told(every(10, { catchup: "none" }), 0, 35), slots: ["-33"] },
  {
    name: "none: one that is on time",
    got: () => told(every(10, { catchup: "none" }), 0, 30.5),
    slots: ["-29", "+30"],
  },
  {
    name: "what lies before the window fires in no case",
    got: () => told(every(10, { catchup: "all", catchupWindowMs: 15 * MINUTE }), 0, 62),
    slots: ["-46", "+50", "+60"],
  },
  {
    name: "latest, when all of them lie before the window",
    got: () => told(every(30, { catchupWindowMs: 5 * MINUTE }), 0, 50),
    slots: ["-44"],
  },
];
for (const { name, got, slots } of CASES) Deno.test(`dueSlots() ${name}`, () => assert.deepEqual(got(), slots));

Deno.test("dueSlots() of an absence of years answers soon, and makes up for no more than a thousand", () => {
  const years = 3 * 365 * 24 * 60;
  const all = told(every(1, { catchup: "all", catchupWindowMs: years * MINUTE }), 0, years);
  assert.deepEqual([all.length, all[0]], [1_000, "+1"]);
});

/** A deck without sailors: runs begin, and their tasks wait. */
class ScheduledDeck {
  readonly clock = createVirtualClock();
  readonly disk = createMemoryDisk();
  readonly logger = new RecordingLogger();
  deck!: Deck;

  async boot(): Promise<void> {
    const { clock, logger, disk } = this;
    this.deck = await createDeck({
      ...{ verify: testVerify, cron: testCron, clock, logger, workers: [], settings: SETTINGS, commit: "test" },
      random: countingRandom(),
      store: openMemoryStore({ clock, disk }),
      dialer: { dial: () => Promise.reject(new Error("nobody is dialled here")) },
      onFenced: () => assert.fail("nobody else has this data"),
    });
    await clock.settle();
  }

  async apply(schedule: Record<string, unknown>): Promise<void> {
    const steps = { wait: { approval: { prompt: "on?" } } };
    const applied = await this.deck.api.applyWorkflow({
      workflow: { name: "tick", schedule: { cron: "* * * * *", ...schedule }, steps },
    });
    assert.equal(applied.kind, "applied", JSON.stringify(applied));
  }

  /** Oldest first. */
  runs(): { id: string; state: string }[] {
    return this.deck.api.listRuns({}, 100, null)!.items.map(({ id, state }) => ({ id, state })).reverse();
  }

  states(): string[] {
    return this.runs().map(({ state }) => state);
  }

  async end(id: string): Promise<void> {
    await this.deck.api.decideApproval({
      ...{ runId: id, step: "wait", instance: null, approved: true, inputs: {}, reason: null },
    });
  }

  /** To just after the next whole minute. */
  async minute(): Promise<void> {
    await this.clock.advance(MINUTE - this.clock.wallMs() % MINUTE + 1_000);
  }
}

async function withDeck(body: (rig: ScheduledDeck) => Promise<void>): Promise<void> {
  const rig = new ScheduledDeck();
  await rig.boot();
  try {
    await body(rig);
    assert.deepEqual(rig.logger.errors, []);
  } finally {
    await rig.deck.stop();
  }
}

Deno.test("overlap skip: a slot comes to nothing while a run of the schedule has not ended", () =>
  withDeck(async (rig) => {
    await rig.apply({ overlap: "skip" });
    await rig.minute();
    await rig.minute();
    assert.deepEqual(rig.states(), ["waiting"]);
    await rig.end(rig.runs()[0].id);
    await rig.minute();
    assert.deepEqual(rig.states(), ["succeeded", "waiting"]);
    assert.match(rig.runs()[0].id, /^tick-\d{8}T\d{4}00Z$/);
    const passed = rig.deck.api.listEvents(0, 1_000).filter(({ kind }) => kind === "slotPassed");
    assert.match(passed[0].message, /was passed over: run tick-.* has not ended/);
  }));

Deno.test("overlap queue: runs of a schedule go one after the other; replace: the newest takes the place", () =>
  withDeck(async (rig) => {
    await rig.apply({ overlap: "queue" });
    await rig.minute();
    await rig.minute();
    assert.deepEqual(rig.states(), ["waiting", "queued"]);
    await rig.end(rig.runs()[0].id);
    await rig.clock.settle();
    assert.deepEqual(rig.states(), ["succeeded", "waiting"]);
    await rig.apply({ overlap: "replace" });
    await rig.minute();
    assert.deepEqual(rig.states(), ["succeeded", "cancelled", "waiting"]);
  }));

Deno.test("a paused workflow has no slots, and those that it missed stay missed", () =>
  withDeck(async (rig) => {
    await rig.apply({ overlap: "queue", catchup: "all" });
    await rig.deck.api.pauseWorkflow("tick", true);
    assert.equal(rig.deck.api.listWorkflows()[0].schedule!.nextAt, null);
    for (let i = 0; i < 3; i++) await rig.minute();
    await rig.deck.api.pauseWorkflow("tick", false);
    await rig.clock.settle();
    assert.deepEqual(rig.states(), []);
    await rig.minute();
    assert.equal(rig.states().length, 1);
  }));

Deno.test("a deck that was away makes up for what catchup says, and fires no slot twice", () =>
  withDeck(async (rig) => {
    await rig.apply({ overlap: "queue", catchup: "all", catchupWindow: "3m" });
    await rig.minute();
    await rig.deck.stop();
    for (let i = 0; i < 5; i++) await rig.minute();
    await rig.boot();
    const ids = rig.runs().map(({ id }) => id);
    assert.equal(ids.length, 1 + 3);
    assert.equal(new Set(ids).size, ids.length);
    await rig.deck.stop();
    await rig.boot();
    assert.deepEqual(rig.runs().map(({ id }) => id), ids);
  }));

Deno.test("a new schedule fires from now on, and one of another zone in its own time", () =>
  withDeck(async (rig) => {
    await rig.apply({ cron: "30 9 * * *", timezone: "Asia/Tokyo", catchup: "all", catchupWindow: "1d" });
    await rig.clock.settle();
    assert.deepEqual(rig.states(), []);
    const { nextAt } = rig.deck.api.listWorkflows()[0].schedule!;
    assert.match(nextAt!, /T00:30:00\.000Z$/);
  }));

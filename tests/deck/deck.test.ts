/** The whole deck on a memory disk in virtual time, with sailors that the test speaks for. */
import { testCron } from "../sim/cron.ts";
import assert from "node:assert/strict";
import type { MemoryDisk } from "../../lib/adapters/memory_store.ts";
import { createMemoryDisk, openMemoryStore } from "../../lib/adapters/memory_store.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import type { TaskDocument } from "../../lib/core/documents/task.ts";
import type { Deck } from "../../lib/deck/deck.ts";
import { createDeck } from "../../lib/deck/deck.ts";
import type { EventView, TaskDetailView } from "../../lib/messages/api.ts";
import { reportOf, SETTINGS, spec } from "../core/support.ts";
import { testVerify } from "../sim/keys.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import { countingRandom, mortal, RecordingLogger, ScriptedSailor } from "./support.ts";

const HEARTBEAT_MS = SETTINGS.heartbeatMs;
const NODE_TIMEOUT_MS = SETTINGS.nodeTimeoutMs;

class Rig {
  readonly clock = createVirtualClock();
  readonly random = countingRandom();
  readonly logger = new RecordingLogger();
  disk: MemoryDisk = createMemoryDisk();
  deck!: Deck;
  fenced = 0;
  #kill: () => void = () => {};

  async boot(): Promise<void> {
    const { clock, random, logger, disk } = this;
    const own = mortal(clock);
    this.#kill = own.die;
    this.deck = await createDeck({
      verify: testVerify,
      cron: testCron,
      clock: own.clock,
      random,
      logger,
      store: openMemoryStore({ clock: own.clock, disk }),
      dialer: { dial: () => Promise.reject(new Error("nobody is dialled here")) },
      workers: [],
      settings: SETTINGS,
      commit: "test",
      onFenced: () => this.fenced++,
    });
  }

  /** The process dies: its sessions break, its timers do not ring, and it writes nothing any more. */
  async crash(...sailors: ScriptedSailor[]): Promise<void> {
    this.#kill();
    this.disk = structuredClone(this.disk);
    for (const { pair } of sailors) pair.cut();
    await this.clock.settle();
  }

  async connect(nodeId: string, change: Parameters<ScriptedSailor["hello"]>[0] = {}): Promise<ScriptedSailor> {
    const sailor = new ScriptedSailor(nodeId);
    this.deck.api.acceptSession(sailor.link, "10.0.0.9");
    sailor.hello(change);
    await this.clock.settle();
    return sailor;
  }

  async submit(id: string, document: Partial<TaskDocument> = {}): Promise<void> {
    const reply = await this.deck.api.submit({
      id,
      spec: spec({ name: id, ...document }),
      original: null,
      originalEventId: null,
    });
    assert.equal(reply.kind, "accepted");
    await this.clock.settle();
  }

  task(id: string): TaskDetailView {
    const found = this.deck.api.findTask(id);
    assert.equal(found.kind, "found");
    return (found as { value: TaskDetailView }).value;
  }

  async end(): Promise<void> {
    await this.deck.stop();
    await this.clock.settle();
    assert.equal(this.clock.pending(), 0, "timers are left behind");
    assert.deepEqual(this.logger.errors, []);
  }
}

Deno.test("a task goes from submit over assign and running to its stop", async () => {
  const rig = new Rig();
  await rig.boot();
  const events: EventView[] = [];
  rig.deck.api.subscribe((some) => void events.push(...some));
  const sailor = await rig.connect("n1");
  assert.deepEqual([sailor.welcome.term, sailor.welcome.clusterId], [1, rig.deck.clusterId]);
  await rig.submit("a");
  const [{ assignments: [assignment] }] = sailor.of("assign");
  assert.deepEqual([assignment.attemptId, assignment.desired, assignment.known], ["a-1", "run", false]);
  assert.equal(rig.task("a").state, "scheduled");
  sailor.report("a-1", "running", { revision: 4 });
  await rig.clock.settle();
  assert.equal(rig.task("a").state, "running");
  assert.deepEqual(sailor.of("acknowledge").map((m) => m.reports), [[{ attemptId: "a-1", revision: 4 }]]);
  assert.equal((await rig.deck.api.stop("a", 7_000)).kind, "done");
  await rig.clock.settle();
  const stop = sailor.of("assign")[1];
  assert.deepEqual([stop.sequence, stop.assignments[0].desired, stop.assignments[0].graceMs], [2, "stop", 7_000]);
  assert.equal(rig.task("a").state, "stopping");
  sailor.report("a-1", "stopped", { cause: "stopped", revision: 5 });
  await rig.clock.settle();
  assert.equal(rig.task("a").state, "stopped");
  assert.deepEqual(events.map((e) => e.kind), [
    "nodeJoined",
    "taskAccepted",
    "taskPlaced",
    "taskRunning",
    "taskStopping",
    "taskStopped",
  ]);
  assert.deepEqual(rig.deck.api.listEvents(events[0].id - 1, 100), events);
  await rig.end();
  assert.equal(sailor.closedWith, "the deck is stopping");
});

Deno.test("a deck that comes back replaces nothing that still runs, however long it was away", async () => {
  const rig = new Rig();
  await rig.boot();
  const nodes = [await rig.connect("n1"), await rig.connect("n2")];
  for (const id of ["a", "b"]) await rig.submit(id);
  const at = (id: string) => nodes.find((s) => s.of("assign").some((m) => m.assignments[0].sailId === id))!;
  for (const id of ["a", "b"]) at(id).report(`${id}-1`, "running");
  await rig.clock.settle();
  const homes = ["a", "b"].map((id) => at(id).nodeId);
  assert.deepEqual([...homes].sort(), ["n1", "n2"]);
  const clusterId = rig.deck.clusterId;
  await rig.crash(...nodes);
  await rig.clock.advance(3600e3);
  await rig.boot();
  assert.deepEqual([rig.deck.term, rig.deck.clusterId], [2, clusterId]);
  await rig.clock.advance(NODE_TIMEOUT_MS - HEARTBEAT_MS);
  assert.deepEqual([rig.task("a").state, rig.task("b").state], ["running", "running"]);
  for (const [i, id] of ["a", "b"].entries()) {
    const sailor = await rig.connect(homes[i], {
      instance: "i-again",
      clusterId,
      highestTerm: 1,
      attempts: [reportOf(`${id}-1`, "running")],
    });
    assert.deepEqual(
      sailor.welcome.assignments.map((a) => [a.attemptId, a.desired, a.known]),
      [[`${id}-1`, "run", true]],
    );
  }
  await rig.clock.advance(10 * NODE_TIMEOUT_MS);
  for (const id of ["a", "b"]) assert.deepEqual([rig.task(id).state, rig.task(id).attempts], ["running", 1]);
  await rig.end();
});

Deno.test("a node that stays away after the deck's restart is replaced once its grace is over", async () => {
  const rig = new Rig();
  await rig.boot();
  const [one, two] = [await rig.connect("n1"), await rig.connect("n2")];
  await rig.submit("a", { constraints: [] });
  const home = one.of("assign").length > 0 ? one : two;
  const other = home === one ? "n2" : "n1";
  home.report("a-1", "running");
  await rig.clock.settle();
  await rig.crash(one, two);
  await rig.boot();
  const alive = await rig.connect(other);
  await rig.clock.advance(NODE_TIMEOUT_MS - HEARTBEAT_MS);
  assert.equal(rig.task("a").attempts, 1);
  await rig.clock.advance(2 * HEARTBEAT_MS + 1_000);
  assert.deepEqual(rig.task("a").history.map((h) => [h.state, h.nodeId]), [["lost", home.nodeId], ["assigned", other]]);
  assert.deepEqual(alive.of("assign").flatMap((m) => m.assignments.map((a) => a.attemptId)), ["a-2"]);
  // The old one is heard of after all: it is told to stop, and the new one stays.
  const back = await rig.connect(home.nodeId, { attempts: [reportOf("a-1", "running")] });
  assert.deepEqual(back.welcome.assignments, [], "what is not on the list is stopped");
  assert.equal(rig.task("a").attempt?.id, "a-2");
  await rig.end();
});

for (const crashed of [false, true]) {
  Deno.test(`a delayed retry comes by the store's alarm${crashed ? ", also across a crash of the deck" : ""}`, async () => {
    const rig = new Rig();
    await rig.boot();
    let sailor = await rig.connect("n1");
    await rig.submit("a", { reschedule: true });
    const observed = { ...NOTHING_OBSERVED, message: "no such image" };
    sailor.report("a-1", "failed", { cause: "notCreated", observed });
    await rig.clock.settle();
    const { state, retryAt } = rig.task("a");
    assert.equal(state, "pending");
    const delayMs = Date.parse(retryAt!) - rig.clock.wallMs();
    assert.ok(delayMs >= 1_000 && delayMs <= 2_000, `${delayMs} ms`);
    if (crashed) {
      await rig.crash(sailor);
      await rig.boot();
      sailor = await rig.connect("n1", { instance: "i-again" });
    }
    await rig.clock.advance(delayMs - 1);
    assert.equal(rig.task("a").attempts, 1, "not before its time");
    await rig.clock.advance(1);
    assert.deepEqual([rig.task("a").state, rig.task("a").attempts], ["scheduled", 2]);
    assert.deepEqual(sailor.of("assign").at(-1)!.assignments.map((a) => a.attemptId), ["a-2"]);
    assert.equal(rig.disk.alarms.size, 0);
    await rig.end();
  });
}

Deno.test("a retry that fell due while no deck was there is made at the start", async () => {
  const rig = new Rig();
  await rig.boot();
  const sailor = await rig.connect("n1");
  await rig.submit("a", { reschedule: true });
  sailor.report("a-1", "failed", { cause: "notCreated" });
  await rig.clock.settle();
  await rig.crash(sailor);
  await rig.clock.advance(3600e3);
  await rig.boot();
  const back = await rig.connect("n1", { instance: "i-again" });
  await rig.clock.advance(1_000);
  assert.equal(rig.task("a").attempts, 2);
  const told = [...back.welcome.assignments, ...back.of("assign").flatMap((m) => m.assignments)];
  assert.deepEqual(told.map((a) => a.attemptId), ["a-2"]);
  await rig.end();
});

Deno.test("a second deck on the same data ends the first, which closes its sessions and writes no more", async () => {
  const rig = new Rig();
  await rig.boot();
  const first = rig.deck;
  const sailor = await rig.connect("n1");
  await rig.boot();
  const reply = await first.api.submit({ id: "a", spec: spec(), original: null, originalEventId: null });
  await rig.clock.settle();
  assert.equal(reply.kind, "unavailable");
  assert.equal(rig.fenced, 1);
  assert.equal(sailor.closedWith, "another deck has taken over");
  assert.equal(rig.deck.api.findTask("a").kind, "none");
  rig.logger.errors.length = 0;
  await first.stop();
  await rig.end();
});

Deno.test("signs of life keep a silent but living node ready; without them it is down", async () => {
  const rig = new Rig();
  await rig.boot();
  const sailor = await rig.connect("n1");
  const status = () => (rig.deck.api.findNode("n1") as { value: { status: string } }).value.status;
  await rig.clock.advance(5 * NODE_TIMEOUT_MS);
  assert.equal(status(), "ready");
  assert.ok(sailor.of("ping").length >= (5 * NODE_TIMEOUT_MS) / HEARTBEAT_MS - 1);
  sailor.pair.cut();
  await rig.clock.advance(NODE_TIMEOUT_MS + HEARTBEAT_MS);
  assert.equal(status(), "down");
  await rig.end();
});

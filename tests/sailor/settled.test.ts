/** How long a replica has been healthy: counted without a break, and told once it is long enough. */
import assert from "node:assert/strict";
import { Settling } from "../../lib/sailor/settling.ts";
import { createVirtualClock } from "../fixtures/virtual_clock.ts";
import type { TaskDocument } from "../../lib/core/documents/task.ts";
import { assignment, HEARTBEAT_MS, nameOf, Rig, type ScriptedDeck, spec } from "./support/rig.ts";

const GOOD = { healthy: true, output: "200" };
const BAD = { healthy: false, output: "500" };
const health = { http: "/ready", interval: "1s", timeout: "500ms", retries: 2 };
const checked: Partial<TaskDocument> = { ports: ["80"], health, restart: "always" };

const replica = (task: Partial<TaskDocument> = {}, minHealthyMs = 3_000) =>
  assignment("a", { spec: { ...spec({ restart: "always", ...task }), minHealthyMs } });

async function live(rig: Rig, deck: ScriptedDeck, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= HEARTBEAT_MS) {
    deck.send({ kind: "ping" });
    await rig.clock.advance(Math.min(left, HEARTBEAT_MS));
  }
}

const told = (deck: ScriptedDeck) => deck.reports("a").map(({ observed }) => observed.settled);

Deno.test("a healthy one is settled after minHealthyTime, and told once", async () => {
  const rig = new Rig();
  const deck = await rig.begin([replica(checked)]);
  await live(rig, deck, 2_900);
  assert.deepEqual([...new Set(told(deck))], [false]);
  await live(rig, deck, 400);
  assert.equal(deck.last("a").observed.settled, true);
  const reports = told(deck).length;
  await live(rig, deck, 20_000);
  assert.equal(told(deck).length, reports);
  await rig.end();
});

Deno.test("one without a check is settled once it has run for that time; with a time of nothing at once", async () => {
  const rig = new Rig();
  const deck = await rig.begin([replica()]);
  await live(rig, deck, 2_900);
  assert.equal(deck.last("a").observed.settled, false);
  await live(rig, deck, 200);
  assert.equal(deck.last("a").observed.settled, true);
  await rig.end();
  const quick = new Rig();
  assert.equal((await quick.begin([replica({}, 0)])).last("a").observed.settled, true);
  await quick.end();
});

Deno.test("a failing check is a break: told with it, and the count begins anew", async () => {
  const rig = new Rig();
  const deck = await rig.begin([replica({ ...checked, restart: "no" })]);
  await live(rig, deck, 4_000);
  rig.probe = () => BAD;
  await live(rig, deck, 2_100);
  const broken = deck.reports("a").find(({ observed }) => observed.health === "unhealthy");
  assert.equal(broken?.observed.settled, false);
  assert.equal(deck.last("a").observed.settled, false);
  await rig.end();
});

Deno.test("one that is up again after two bad seconds is settled only minHealthyTime later", async () => {
  const rig = new Rig();
  const deck = await rig.begin([replica(checked, 10_000)]);
  await live(rig, deck, 8_000);
  rig.probe = () => BAD;
  await live(rig, deck, 2_200);
  rig.probe = () => GOOD;
  await live(rig, deck, 9_000);
  assert.equal(told(deck).includes(true), false);
  await live(rig, deck, 4_000);
  assert.equal(deck.last("a").observed.settled, true);
  await rig.end();
});

Deno.test("an exit is a break, though the engine starts it again at once", async () => {
  const rig = new Rig();
  const deck = await rig.begin([replica()]);
  await live(rig, deck, 4_000);
  assert.equal(deck.last("a").observed.settled, true);
  rig.engine.exit(nameOf("a"), 1);
  await rig.clock.advance(200);
  assert.deepEqual([deck.last("a").observed.restarts, deck.last("a").observed.settled], [1, false]);
  await live(rig, deck, 2_500);
  assert.equal(deck.last("a").observed.settled, false);
  await live(rig, deck, 600);
  assert.equal(deck.last("a").observed.settled, true);
  await rig.end();
});

Deno.test("a sailor that comes back says nothing until it can tell", async () => {
  const rig = new Rig();
  await rig.begin([replica(checked)]);
  await rig.clock.advance(4_000);
  await rig.crash();
  await rig.boot();
  const deck = await rig.connect();
  assert.equal("settled" in deck.hello.attempts[0].observed, false);
  deck.welcome([{ ...replica(checked), known: true }]);
  await rig.clock.settle();
  await live(rig, deck, 2_000);
  assert.deepEqual([...new Set(told(deck))], [undefined]);
  await live(rig, deck, 1_500);
  assert.equal(deck.last("a").observed.settled, true);
  await rig.end();
});

Deno.test("a sailor that comes back tells of a break at once", async () => {
  const rig = new Rig();
  await rig.begin([replica(checked)]);
  await rig.clock.advance(4_000);
  await rig.crash();
  await rig.boot();
  rig.probe = () => BAD;
  const deck = await rig.connect();
  deck.welcome([{ ...replica(checked), known: true }]);
  await rig.clock.settle();
  await live(rig, deck, 3_000);
  assert.equal(deck.last("a").observed.settled, false);
  await rig.end();
});

Deno.test("what is no replica of a service says nothing of it", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { ...checked } })]);
  await live(rig, deck, 5_000);
  assert.equal(deck.reports("a").some(({ observed }) => "settled" in observed), false);
  await rig.end();
});

Deno.test("another process is a break, though nobody saw the first one end", async () => {
  const clock = createVirtualClock();
  const settling = new Settling({ minHealthyMs: 1_000, adopted: false, health: "none", clock, onSettled: () => {} });
  settling.process(1);
  await clock.advance(1_000);
  assert.equal(settling.settled, true);
  settling.process(2);
  assert.equal(settling.settled, false);
  await clock.advance(999);
  assert.equal(settling.settled, false);
  await clock.advance(1);
  assert.equal(settling.settled, true);
});

Deno.test("one that has ended, or is to stop, is not counted any more: its end is told once", async () => {
  const rig = new Rig();
  const deck = await rig.begin([replica()]);
  await live(rig, deck, 1_000);
  rig.engine.vanish(nameOf("a"));
  await rig.clock.advance(100);
  assert.equal(deck.last("a").state, "lost");
  const reports = deck.reports("a").length;
  await live(rig, deck, 10_000);
  assert.equal(deck.reports("a").length, reports);
  await rig.end();
});

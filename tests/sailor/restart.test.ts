/** Exits: what the engine restarts by itself is counted, what it leaves lying the sailor starts again. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import { assignment, nameOf, Rig } from "./support/rig.ts";

const starts = (rig: Rig) => rig.engine.calls.filter((c) => c.startsWith("start")).length;

Deno.test("restarts by the engine are counted by their starts, and the sailor starts nothing", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "always" } })]);
  for (let i = 0; i < 3; i++) {
    rig.engine.exit(nameOf("a"), 1);
    await rig.clock.advance(1_000);
  }
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.restarts], ["running", 3]);
  assert.equal(starts(rig), 1);
  await rig.end();
});

Deno.test("restarts that nobody saw are counted by the engine's own count, also across a crash", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a", { task: { restart: "always" } })]);
  rig.engine.exit(nameOf("a"), 1);
  await rig.clock.advance(1_000);
  await rig.crash();
  for (let i = 0; i < 2; i++) {
    rig.engine.exit(nameOf("a"), 1);
    await rig.clock.advance(1_000);
  }
  await rig.boot();
  assert.equal(rig.task("a")?.observed.restarts, 3);
  await rig.end();
});

Deno.test("a restart that the engine had made before anybody looked is counted", async () => {
  const rig = new Rig();
  const start = rig.engine.hold("start");
  const deck = await rig.begin([assignment("a", { task: { restart: "on-failure" } })]);
  const look = rig.engine.hold("inspect");
  start();
  await rig.clock.settle();
  rig.engine.exit(nameOf("a"), 1);
  await rig.clock.advance(1_000);
  look();
  await rig.clock.settle();
  rig.engine.exit(nameOf("a"), 1);
  await rig.clock.advance(1_000);
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.restarts], ["running", 2]);
  await rig.end();
});

Deno.test("on-failure:2 is over when the engine has used its restarts up", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "on-failure:2" } })]);
  for (let i = 0; i < 3; i++) {
    rig.engine.exit(nameOf("a"), 6, { output: "no" });
    await rig.clock.advance(1_000);
  }
  const { state, cause, observed } = deck.last("a");
  assert.deepEqual([state, cause, observed.restarts, observed.exitCode], ["failed", "restartsUsedUp", 2, 6]);
  assert.equal(starts(rig), 1);
  await rig.end();
});

Deno.test("on-failure that ends with code 0 is completed", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "on-failure" } })]);
  rig.engine.exit(nameOf("a"), 1);
  await rig.clock.advance(1_000);
  rig.engine.exit(nameOf("a"), 0);
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.restarts], ["completed", 1]);
  await rig.end();
});

Deno.test("killed from outside: the engine lets it lie, the sailor starts it after a growing delay", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "always" } })]);
  for (const [i, delayMs] of [100, 200, 400].entries()) {
    rig.engine.kill(nameOf("a"));
    await rig.clock.advance(delayMs - 1);
    assert.equal(starts(rig), i + 1);
    await rig.clock.advance(1);
    assert.equal(starts(rig), i + 2);
  }
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.restarts], ["running", 3]);
  await rig.end();
});

Deno.test("a runtime that restarts nothing: the sailor does all of it, and gives up when the policy does", async () => {
  const rig = new Rig("process");
  const task = { restart: "on-failure:2", runtime: "process", cmd: ["x"] } as const;
  const deck = await rig.begin([assignment("a", { task: { ...task, cmd: ["x"] } })]);
  for (let i = 0; i < 3; i++) {
    rig.engine.exit(nameOf("a"), 6);
    await rig.clock.advance(1_000);
  }
  assert.deepEqual([deck.last("a").state, deck.last("a").cause], ["failed", "restartsUsedUp"]);
  assert.equal(starts(rig), 3);
  await rig.end();
});

Deno.test("a crash while it waits to be started again does not end it", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a", { task: { restart: "always" } })]);
  rig.engine.kill(nameOf("a"));
  await rig.clock.settle();
  await rig.crash();
  await rig.boot();
  await rig.clock.advance(1_000);
  assert.deepEqual([rig.task("a")?.state, rig.task("a")?.observed.restarts], ["running", 1]);
  await rig.end();
});

Deno.test("a restart that the engine refuses fails the attempt in its words", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "always" } })]);
  rig.engine.fail("start", new RuntimeError("conflict", "port is already allocated"));
  rig.engine.kill(nameOf("a"));
  await rig.clock.advance(1_000);
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.message], ["failed", "port is already allocated"]);
  await rig.end();
});

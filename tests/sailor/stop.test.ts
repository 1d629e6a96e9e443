/** Stops: whenever they come, they end in no running container and one final state (I5). */
import assert from "node:assert/strict";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import { assignment, nameOf, NODE, Rig } from "./support/rig.ts";

const stopOf = (sailId: string, change = {}) => assignment(sailId, { desired: "stop", ...change });
const running = (rig: Rig) => [...rig.engine.containers.values()].filter((c) => c.status === "running");

Deno.test("a running container is stopped, and then reported stopped", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "always" } })]);
  const release = rig.engine.hold("stop");
  deck.assign([stopOf("a")]);
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "stopping");
  release();
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("a").cause], ["stopped", "stopped"]);
  assert.equal(deck.last("a").observed.exitCode, 143);
  await rig.clock.advance(600_000);
  assert.deepEqual(running(rig), []);
  await rig.end();
});

Deno.test("one that has ended by itself keeps its end, though its stop came before anybody noticed", async () => {
  for (const [code, state] of [[0, "completed"], [5, "failed"]] as const) {
    const rig = new Rig();
    const deck = await rig.begin([assignment("a")]);
    rig.engine.goAway();
    rig.engine.exit(nameOf("a"), code);
    await rig.clock.advance(100);
    deck.assign([stopOf("a")]);
    await rig.clock.advance(100);
    rig.engine.comeBack();
    await rig.clock.settle();
    assert.deepEqual([deck.last("a").state, deck.last("a").cause], [state, "exited"]);
    await rig.end();
  }
});

Deno.test("a process that ends with code 0 when told to stop was stopped, also across a crash of the sailor", async () => {
  const rig = new Rig();
  rig.engine.stopExitCode = 0;
  const deck = await rig.begin([assignment("a")]);
  await rig.clock.advance(1_000);
  const release = rig.engine.hold("stop");
  deck.assign([stopOf("a")]);
  await rig.clock.settle();
  await rig.crash();
  release();
  rig.engine.exit(nameOf("a"), 0);
  await rig.boot();
  const next = await rig.connect();
  next.welcome([stopOf("a")]);
  await rig.clock.settle();
  assert.deepEqual([next.last("a").state, next.last("a").cause], ["stopped", "stopped"]);
  await rig.end();
});

Deno.test("a stop while the image is pulled gives the pull up", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  rig.engine.hold("pull");
  deck.assign([assignment("a", { task: { image: "other:1" } })]);
  await rig.clock.settle();
  deck.assign([stopOf("a")]);
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "stopped");
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

for (const operation of ["create", "start"] as const) {
  Deno.test(`a stop while ${operation} is under way ends stopped, with nothing running`, async () => {
    const rig = new Rig();
    const deck = await rig.begin();
    const release = rig.engine.hold(operation);
    deck.assign([assignment("a", { task: { restart: "always" } })]);
    await rig.clock.settle();
    deck.assign([stopOf("a")]);
    await rig.clock.settle();
    release();
    await rig.clock.settle();
    assert.equal(deck.last("a").state, "stopped");
    await rig.clock.advance(600_000);
    assert.deepEqual(running(rig), []);
    await rig.end();
  });
}

Deno.test("a stop while it waits for its turn to be created leaves nothing running", async () => {
  const rig = new Rig();
  const deck = await rig.begin([], { width: 1 });
  const release = rig.engine.hold("create");
  deck.assign([assignment("a"), assignment("b")]);
  await rig.clock.settle();
  deck.assign([stopOf("b")]);
  await rig.clock.settle();
  release();
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("b").state], ["running", "stopped"]);
  assert.equal(running(rig).length, 1);
  await rig.end();
});

Deno.test("a stop while the engine is away is carried out when it is back", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a")]);
  rig.engine.goAway();
  deck.assign([stopOf("a")]);
  await rig.clock.advance(7_000);
  assert.equal(running(rig).length, 1);
  assert.notEqual(deck.reports("a").at(-1)?.state, "stopped");
  rig.engine.comeBack();
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "stopped");
  assert.deepEqual(running(rig), []);
  await rig.end();
});

Deno.test("a stop that was taken survives a crash of the sailor", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "always" } })]);
  rig.engine.goAway();
  deck.assign([stopOf("a")]);
  await rig.clock.settle();
  await rig.crash();
  rig.engine.comeBack();
  await rig.boot();
  assert.deepEqual(running(rig), []);
  assert.equal(rig.task("a")?.state, "stopped");
  await rig.end();
});

Deno.test("a stop of an attempt never heard of is journalled and reported stopped", async () => {
  const rig = new Rig();
  const deck = await rig.begin([stopOf("a")]);
  assert.deepEqual([deck.last("a").state, deck.last("a").cause], ["stopped", "stopped"]);
  assert.deepEqual(rig.engine.calls, []);
  // Words that cross: the order to run it arrives late.
  deck.assign([assignment("a")]);
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "stopped");
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

Deno.test("a stop while it waits to be restarted ends it", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "on-failure" } })]);
  rig.engine.kill(nameOf("a"));
  await rig.clock.settle();
  deck.assign([stopOf("a")]);
  await rig.clock.advance(60_000);
  assert.equal(deck.last("a").state, "stopped");
  assert.deepEqual(running(rig), []);
  await rig.end();
});

Deno.test("an attempt that is dropped is stopped", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a"), assignment("b")]);
  deck.assign([], { drop: ["a-1", "unheard-of-1"] });
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("b").state], ["stopped", "running"]);
  await rig.end();
});

Deno.test("the sailor's own end stops no container and fails no pull", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a")]);
  rig.engine.hold("pull");
  rig.deck.assign([assignment("b", { task: { image: "other:1" } })]);
  await rig.clock.settle();
  await rig.sailor.stop();
  await rig.clock.settle();
  assert.equal(running(rig).length, 1);
  assert.equal(rig.engine.calls.some((c) => c.startsWith("stop")), false);
  rig.engine.forgetClients();
  rig.engine.hold("pull")();
  await rig.boot();
  assert.equal(rig.task("b")?.state, "running");
  await rig.end();
});

Deno.test("a stop after a start that was not answered leaves no container that could still be started", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  rig.engine.fail("start", new RuntimeError("unavailable", "no answer in time"));
  deck.assign([assignment("a")]);
  await rig.clock.settle();
  deck.assign([stopOf("a")]);
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "stopped");
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

for (const afterCrash of [false, true]) {
  const when = afterCrash ? "while the sailor was dead" : "by somebody else";
  Deno.test(`a container whose attempt has ended is stopped when it is started ${when}`, async () => {
    const rig = new Rig();
    const deck = await rig.begin([assignment("a", { task: { restart: "no" } })]);
    rig.engine.exit(nameOf("a"), 0);
    await rig.clock.settle();
    assert.equal(deck.last("a").state, "completed");
    if (afterCrash) await rig.crash();
    rig.engine.startLate(nameOf("a"));
    if (afterCrash) await rig.boot();
    await rig.clock.settle();
    assert.deepEqual(running(rig), []);
    await rig.end();
  });
}
Deno.test("a container that is started after its attempt has ended is stopped again, and its end stays as it was", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a")]);
  deck.assign([stopOf("a")]);
  await rig.clock.settle();
  const told = deck.reports("a").length;
  // A call of a sailor that died on the way, or somebody's hand.
  await rig.engine.runtime(NODE).start(nameOf("a"));
  await rig.clock.settle();
  assert.deepEqual(running(rig), []);
  assert.equal(deck.reports("a").length, told);
  await rig.crash();
  await rig.engine.runtime(NODE).start(nameOf("a"));
  assert.equal(running(rig).length, 1);
  await rig.boot();
  await rig.clock.settle();
  assert.deepEqual(running(rig), [], "also when it was started while no sailor looked");
  await rig.end();
});

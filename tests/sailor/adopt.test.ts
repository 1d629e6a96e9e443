/** A crash of the sailor at every place: what runs is adopted, nothing is started twice, nothing is forgotten. */
import assert from "node:assert/strict";
import { assignment, CLUSTER, nameOf, Rig } from "./support/rig.ts";

Deno.test("a restarted sailor adopts what runs, and restarts nothing", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a"), assignment("b")]);
  const calls = rig.engine.calls.length;
  await rig.crash();
  await rig.boot();
  const deck = await rig.connect();
  const told = deck.hello.attempts.map((r) => [r.attemptId, r.state, r.observed.restarts]);
  assert.deepEqual(told, [["a-1", "running", 0], ["b-1", "running", 0]]);
  assert.equal(deck.hello.clusterId, CLUSTER);
  assert.equal(deck.hello.highestTerm, 1);
  deck.welcome([assignment("a", { known: true }), assignment("b", { known: true })]);
  await rig.clock.settle();
  assert.equal(rig.engine.calls.length, calls);
  rig.engine.exit(nameOf("a"), 7);
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.exitCode], ["failed", 7]);
  await rig.end();
});

Deno.test("what ended while the sailor was away is told with its true exit code", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a"), assignment("b"), assignment("c")]);
  await rig.crash();
  rig.engine.exit(nameOf("a"), 0);
  rig.engine.exit(nameOf("b"), 9, { output: "no disk" });
  rig.engine.vanish(nameOf("c"));
  await rig.boot();
  const deck = await rig.connect();
  const told = deck.hello.attempts.map((r) => [r.sailId, r.state, r.cause, r.observed.exitCode, r.observed.outputTail]);
  assert.deepEqual(told, [
    ["a", "completed", "exited", 0, null],
    ["b", "failed", "exited", 9, "no disk"],
    ["c", "lost", "vanished", null, null],
  ]);
  await rig.end();
});

for (const operation of ["create", "start"] as const) {
  Deno.test(`a crash while ${operation} is under way: it runs in the end, in one container`, async () => {
    const rig = new Rig();
    await rig.begin();
    const release = rig.engine.hold(operation);
    rig.deck.assign([assignment("a")]);
    await rig.clock.settle();
    await rig.crash();
    release();
    await rig.boot();
    const deck = await rig.connect();
    deck.welcome([assignment("a")]);
    await rig.clock.settle();
    assert.equal(rig.task("a")?.state, "running");
    assert.equal(rig.engine.containers.size, 1);
    await rig.end();
  });
}

Deno.test("accepted and never created: it is created after the crash, before any deck is heard of", async () => {
  const rig = new Rig();
  await rig.begin();
  rig.engine.goAway();
  rig.deck.assign([assignment("a")]);
  await rig.clock.settle();
  await rig.crash();
  rig.engine.comeBack();
  await rig.boot();
  assert.equal(rig.task("a")?.state, "running");
  await rig.end();
});

Deno.test("the journal is lost: a container of a listed attempt is adopted by its labels", async () => {
  for (const known of [true, false]) {
    const rig = new Rig();
    await rig.begin([assignment("a")]);
    await rig.crash();
    rig.disk.records.clear();
    const calls = rig.engine.calls.length;
    const deck = await rig.begin([assignment("a", { known })]);
    assert.equal(deck.hello.clusterId, null);
    assert.equal(deck.last("a").state, "running");
    assert.equal(rig.engine.containers.size, 1);
    assert.equal(rig.engine.calls.slice(calls).some((c) => /start|stop|remove/.test(c)), false);
    await rig.end();
  }
});

Deno.test("the journal and the container are lost: an attempt that the deck had reports of is lost, not started", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { known: true })]);
  assert.deepEqual([deck.last("a").state, deck.last("a").cause], ["lost", "vanished"]);
  assert.deepEqual(rig.engine.calls, []);
  await rig.end();
});

Deno.test("the journal is lost: containers of this cluster that are not listed are removed, others are not touched", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a"), assignment("b")]);
  await rig.sailor.localSubmit({ id: "mine", spec: assignment("x").spec, original: null, originalEventId: null });
  await rig.clock.settle();
  await rig.crash();
  const foreign = rig.engine.container(nameOf("b"));
  rig.engine.containers.set("theirs", {
    ...foreign,
    spec: { ...foreign.spec, name: "theirs" },
    labels: { ...foreign.labels, "ormen.cluster": "cluster-2", "ormen.attempt": "z-1" },
  });
  rig.disk.records.clear();
  await rig.begin([assignment("a", { known: true })]);
  await rig.clock.settle();
  assert.deepEqual([...rig.engine.containers.keys()].sort(), [nameOf("a"), nameOf("mine", "local"), "theirs"].sort());
  await rig.end();
});

Deno.test("unknown containers are removed in the end, though the engine was away when the deck's list came", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a"), assignment("b")]);
  await rig.crash();
  rig.disk.records.clear();
  await rig.boot();
  const deck = await rig.connect();
  rig.engine.goAway();
  deck.welcome([]);
  await rig.clock.advance(5_000);
  assert.equal(rig.engine.containers.size, 2);
  rig.engine.comeBack();
  await rig.clock.advance(5_000);
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

Deno.test("a final state survives a crash, and is repeated until it is acknowledged", async () => {
  const rig = new Rig();
  await rig.boot();
  const deaf = await rig.connect({ acknowledges: false });
  deaf.welcome([assignment("a")]);
  await rig.clock.settle();
  rig.engine.exit(nameOf("a"), 2);
  await rig.clock.settle();
  assert.equal(deaf.last("a").state, "failed");
  await rig.crash();
  await rig.boot();
  const next = await rig.connect();
  assert.deepEqual(next.hello.attempts.map((r) => [r.attemptId, r.state]), [["a-1", "failed"]]);
  next.welcome([]);
  await rig.clock.settle();
  assert.equal(next.last("a").state, "failed", "the welcome makes it be told again, which is acknowledged");
  await rig.crash();
  await rig.boot();
  assert.deepEqual((await rig.connect()).hello.attempts, []);
  await rig.end();
});

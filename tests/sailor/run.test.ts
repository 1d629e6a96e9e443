/** An attempt from its assignment to its end, when nobody interferes. */
import assert from "node:assert/strict";
import { RuntimeError } from "../../lib/contracts/runtime.ts";
import { assignment, nameOf, NODE, Rig, spec } from "./support/rig.ts";

Deno.test("an assignment is created, started and reported running, without looking for it first", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  deck.assign([assignment("a", { task: { ports: ["80"], labels: { team: "x" } } })]);
  await rig.clock.settle();
  assert.deepEqual(rig.engine.calls, [`create ${nameOf("a")}`, `start ${nameOf("a")}`]);
  const { state, cause, observed } = deck.last("a");
  assert.deepEqual([state, cause, observed.containerName], ["running", null, nameOf("a")]);
  assert.deepEqual(observed.ports, [{ container: 80, protocol: "tcp", hostIp: "0.0.0.0", host: 32_768 }]);
  assert.deepEqual(rig.engine.container(nameOf("a")).labels, {
    team: "x",
    "ormen.cluster": "cluster-1",
    "ormen.node": NODE,
    "ormen.task": "a",
    "ormen.attempt": "a-1",
    "ormen.name": "web",
  });
  await rig.end();
});

Deno.test("what is made is started without another look at it, and what a look has seen is not looked at again", async () => {
  const rig = new Rig();
  let looks = 0;
  const made = rig.engine.runtime.bind(rig.engine);
  rig.engine.runtime = (nodeId) => {
    const runtime = made(nodeId);
    const inspect = (name: string) => {
      looks++;
      return runtime.inspect(name);
    };
    return { ...runtime, inspect };
  };
  const deck = await rig.begin();
  looks = 0;
  deck.assign([assignment("a")]);
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "running");
  assert.equal(looks, 1);
  // An event that comes later is news.
  rig.engine.exit(nameOf("a"), 0);
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "completed");
  await rig.end();
});

Deno.test("of many, those that were made are started before others are made", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  const count = 60;
  deck.assign(Array.from({ length: count }, (_, i) => assignment(`t${i}`)));
  await rig.clock.settle();
  assert.equal(rig.engine.calls.length, 2 * count);
  let begun = 0;
  let most = 0;
  for (const call of rig.engine.calls) {
    begun += call.startsWith("create") ? 1 : -1;
    most = Math.max(most, begun);
  }
  assert.ok(most <= count / 2, `${most} of ${count} were made before any of them was started`);
  await rig.end();
});

Deno.test("labels of users do not override Ormen's own", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  const task = spec();
  deck.assign([assignment("a", { spec: { ...task, labels: { "ormen.attempt": "b-7", "ormen.cluster": "mine" } } })]);
  await rig.clock.settle();
  const { labels } = rig.engine.container(nameOf("a"));
  assert.deepEqual([labels["ormen.attempt"], labels["ormen.cluster"]], ["a-1", "cluster-1"]);
  await rig.end();
});

Deno.test("nothing is asked of the engine before the journal is durable, and many attempts share a commit", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  rig.fault = () => "refuse";
  const before = rig.commits;
  deck.assign(Array.from({ length: 50 }, (_, i) => assignment(`t${i}`)));
  await rig.clock.settle();
  assert.deepEqual(rig.engine.calls, []);
  assert.equal(rig.commits - before, 1);
  rig.fault = () => "none";
  await rig.clock.advance(1_000);
  assert.equal(rig.engine.containers.size, 50);
  assert.equal(rig.commits - before < 50, true, `${rig.commits - before} commits`);
  assert.deepEqual(rig.logger.errors.splice(0).length, 1);
  await rig.end();
});

Deno.test("a journal whose answer was lost is read back, and the attempt is started once", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  let faults = 1;
  rig.fault = () => faults-- > 0 ? "loseAnswer" : "none";
  deck.assign([assignment("a")]);
  await rig.clock.advance(1_000);
  assert.equal(deck.last("a").state, "running");
  assert.deepEqual(rig.engine.calls, [`create ${nameOf("a")}`, `start ${nameOf("a")}`]);
  rig.logger.errors.splice(0);
  await rig.end();
});

Deno.test("at most so many containers are made at once", async () => {
  const rig = new Rig();
  const deck = await rig.begin([], { width: 3 });
  const release = rig.engine.hold("create");
  deck.assign(Array.from({ length: 10 }, (_, i) => assignment(`t${i}`)));
  await rig.clock.settle();
  assert.equal(rig.engine.calls.length, 3);
  release();
  await rig.clock.settle();
  assert.equal([...rig.engine.containers.values()].filter((c) => c.status === "running").length, 10);
  await rig.end();
});

for (
  const c of [
    { code: 0, state: "completed", tail: null },
    { code: 3, state: "failed", tail: "the end" },
    { code: 137, oom: true, state: "failed", tail: "the end" },
  ]
) {
  Deno.test(`exit code ${c.code}${c.oom ? " out of memory" : ""} ends as ${c.state}`, async () => {
    const rig = new Rig();
    const deck = await rig.begin([assignment("a")]);
    await rig.clock.advance(5_000);
    rig.engine.exit(nameOf("a"), c.code, { output: "the end", oom: c.oom });
    await rig.clock.settle();
    const { state, cause, observed } = deck.last("a");
    assert.deepEqual([state, cause, observed.exitCode, observed.oomKilled], [
      c.state,
      "exited",
      c.code,
      c.oom ?? false,
    ]);
    assert.equal(observed.outputTail, c.tail);
    assert.equal(observed.finishedMs! - observed.startedMs!, 5_000);
    await rig.end();
  });
}

Deno.test("the output of a failed attempt is cut to its last 8 KiB", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a")]);
  rig.engine.exit(nameOf("a"), 1, { output: "ä".repeat(10_000) + "end" });
  await rig.clock.settle();
  const tail = deck.last("a").observed.outputTail!;
  assert.ok(tail.endsWith("äend"));
  assert.ok(new TextEncoder().encode(tail).length <= 8 * 1024);
  await rig.end();
});

Deno.test("a missing image is pulled, and created again", async () => {
  const rig = new Rig();
  const release = rig.engine.hold("pull");
  const deck = await rig.begin([assignment("a", { task: { image: "other:1" } })]);
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.message], ["preparing", "pulling other:1"]);
  release();
  await rig.clock.settle();
  const name = nameOf("a");
  assert.deepEqual(rig.engine.calls, [`create ${name}`, "pull other:1", `create ${name}`, `start ${name}`]);
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.message], ["running", null]);
  await rig.end();
});

Deno.test("pull: always pulls first, though the image is there", async () => {
  const rig = new Rig();
  await rig.begin([assignment("a", { task: { pull: "always" } })]);
  assert.deepEqual(rig.engine.calls.slice(0, 2), ["pull web:1", `create ${nameOf("a")}`]);
  await rig.end();
});

Deno.test("pull: never fails when the image is not there", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { image: "other:1", pull: "never" } })]);
  assert.deepEqual(rig.engine.calls, [`create ${nameOf("a")}`]);
  const { state, cause, observed } = deck.last("a");
  assert.deepEqual([state, cause, observed.message], ["failed", "notCreated", "no such image: other:1"]);
  await rig.end();
});

Deno.test("an image that the registry does not have fails with the registry's words", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { image: "nowhere:1" } })]);
  const { state, cause, observed } = deck.last("a");
  assert.deepEqual([state, cause], ["failed", "notCreated"]);
  assert.equal(observed.message, "cannot pull nowhere:1: manifest unknown");
  await rig.end();
});

for (const operation of ["create", "start"] as const) {
  for (const code of ["conflict", "invalid", "failed"] as const) {
    Deno.test(`${code} from ${operation} ends as failed, in the engine's own words`, async () => {
      const rig = new Rig();
      rig.engine.fail(operation, new RuntimeError(code, "port is already allocated"));
      const deck = await rig.begin([assignment("a")]);
      const { state, cause, observed } = deck.last("a");
      assert.deepEqual([state, cause, observed.message], ["failed", "notCreated", "port is already allocated"]);
      await rig.clock.advance(60_000);
      assert.equal(rig.engine.calls.filter((c) => c.startsWith(operation)).length, 1, "it is tried once");
      await rig.end();
    });
  }
}

Deno.test("an endless refusal of the engine is cut to what a deck takes", async () => {
  const rig = new Rig();
  rig.engine.fail("create", new RuntimeError("invalid", "x".repeat(100_000)));
  const deck = await rig.begin([assignment("a")]);
  assert.equal(deck.last("a").state, "failed");
  assert.equal(deck.closedWith, null);
  await rig.end();
});

Deno.test("a runtime that this sailor does not have fails the attempt", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { runtime: "process", cmd: ["true"] } })]);
  const { state, cause, observed } = deck.last("a");
  assert.deepEqual([state, cause], ["failed", "notCreated"]);
  assert.match(observed.message!, /no process runtime/);
  await rig.end();
});

Deno.test("an engine that is away is waited for, and the attempt goes on when it is back", async () => {
  const rig = new Rig();
  const deck = await rig.begin();
  rig.engine.goAway();
  deck.assign([assignment("a")]);
  await rig.clock.advance(7_000);
  assert.equal(deck.last("a").state, "preparing");
  assert.equal(deck.last("a").observed.message, "the engine does not answer");
  assert.match(rig.sailor.notReady()!, /docker/);
  rig.engine.comeBack();
  await rig.clock.settle();
  assert.equal(deck.last("a").state, "running");
  assert.equal(rig.sailor.notReady(), null);
  await rig.end();
});

Deno.test("what happened while the engine was away is seen when it is back", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a"), assignment("b")]);
  rig.engine.goAway();
  rig.engine.exit(nameOf("a"), 4);
  rig.engine.vanish(nameOf("b"));
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("b").state], ["running", "running"]);
  rig.engine.comeBack();
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.exitCode], ["failed", 4]);
  assert.deepEqual([deck.last("b").state, deck.last("b").cause], ["lost", "vanished"]);
  await rig.end();
});

Deno.test("a container that somebody removed is lost, and never made again", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a", { task: { restart: "always" } })]);
  rig.engine.vanish(nameOf("a"));
  await rig.clock.settle();
  assert.deepEqual([deck.last("a").state, deck.last("a").cause], ["lost", "vanished"]);
  deck.assign([assignment("a", { known: true })]);
  await rig.clock.advance(600_000);
  assert.equal(rig.engine.containers.size, 0);
  await rig.end();
});

Deno.test("an end is told once, and not before the journal has it", async () => {
  const rig = new Rig();
  const deck = await rig.begin([assignment("a")]);
  const before = deck.reports("a").length;
  rig.fault = () => "refuse";
  rig.engine.exit(nameOf("a"), 1);
  await rig.clock.settle();
  assert.equal(deck.reports("a").length, before);
  rig.fault = () => "none";
  await rig.clock.advance(1_000);
  assert.deepEqual([deck.reports("a").length, deck.last("a").state], [before + 1, "failed"]);
  rig.logger.errors.splice(0);
  await rig.end();
});

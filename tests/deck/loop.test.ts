/** The loop's promise: nobody learns what is not durable, and what was not kept never was. */
import assert from "node:assert/strict";
import { createMemoryDisk } from "../../lib/adapters/memory_store.ts";
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import type { SubmitDecision } from "../../lib/core/decide_submit.ts";
import { StoreUnavailable } from "../../lib/deck/loop.ts";
import { buildStates, loadRecords } from "../../lib/deck/records.ts";
import { reportOf } from "../core/support.ts";
import { hello, loopRig, reports, ScriptedStore, snapshot, submit } from "./support.ts";

Deno.test("nothing is published, sent, replied or readable before the commit is durable", async () => {
  const rig = await loopRig();
  await rig.request(hello("n1")).promise;
  rig.sends.length = rig.events.length = rig.order.length = 0;
  const before = snapshot(rig.committed);
  const release = rig.store.hold();
  const asked = rig.request<SubmitDecision>(submit("a"));
  await rig.clock.settle();
  assert.equal(rig.store.written, 2, "the write is under way");
  assert.equal(rig.working.sails.size, 1);
  assert.deepEqual([asked.outcome(), rig.sends, rig.events], ["waiting", [], []]);
  assert.deepEqual(snapshot(rig.committed), before);
  release();
  await rig.clock.settle();
  assert.equal(asked.value()?.kind, "accepted");
  assert.deepEqual(rig.sends.map((s) => s.kind), ["assign"]);
  assert.deepEqual(rig.events.map((e) => e.kind), ["taskAccepted", "taskPlaced"]);
  assert.deepEqual(rig.order, ["sends, 1 tasks readable", "reply"]);
  assert.deepEqual(snapshot(rig.committed), snapshot(rig.working));
  await rig.end();
});

Deno.test("a hundred requests while a commit is under way become one commit, each its own group", async () => {
  const rig = await loopRig();
  const release = rig.store.hold();
  const first = rig.request(submit("first"));
  await rig.clock.settle();
  const rest = Array.from({ length: 100 }, (_, i) => rig.request(submit(`t${i}`)));
  await rig.clock.settle();
  assert.equal(rig.store.commits.length, 1);
  assert.equal(rig.loop.depth(), 100);
  release();
  await rig.clock.settle();
  assert.ok([first, ...rest].every((r) => r.outcome() === "done"));
  assert.deepEqual(rig.store.commits.map((groups) => groups.length), [1, 100]);
  const sequences = rig.store.commits.flat().map((group) => group.sequence);
  assert.deepEqual(sequences, Array.from({ length: 101 }, (_, i) => i + 1));
  await rig.end();
});

for (const fault of ["refuse", "unwritten", "throws"] as const) {
  Deno.test(`a commit that was not written (${fault}) is taken back: nobody is told, sessions start over`, async () => {
    const rig = await loopRig();
    await rig.request(hello("n1")).promise;
    await rig.request(submit("a")).promise;
    const before = snapshot(rig.committed);
    rig.sends.length = rig.events.length = 0;
    rig.store.always = fault;
    const asked = rig.request(submit("b"));
    rig.loop.post(hello("n2"));
    rig.loop.post(reports("n1", reportOf("a-1", "running")));
    const stop = rig.request({ kind: "stop", sailId: "a", graceMs: null });
    await rig.clock.settle();
    for (const request of [asked, stop]) {
      assert.ok(request.error() instanceof StoreUnavailable, `${request.outcome()}`);
      assert.match(request.error()!.message, /the disk is full/);
    }
    assert.deepEqual(snapshot(rig.committed), before);
    assert.deepEqual(snapshot(rig.working), before);
    assert.deepEqual([rig.sends, rig.events], [[], []]);
    assert.deepEqual([...new Set(rig.lost)].sort(), ["s-n1", "s-n2"]);
    await rig.end();
  });
}

Deno.test("while the store refuses, requests are refused at once; a probe brings everything back", async () => {
  const rig = await loopRig();
  await rig.request(submit("a")).promise;
  rig.store.always = "refuse";
  rig.loop.post(hello("n1"));
  await rig.clock.settle();
  assert.match(rig.loop.storeProblem()!, /the disk is full/);
  const commits = rig.store.commits.length;
  const refused = rig.request(submit("b"));
  await rig.clock.settle();
  assert.ok(refused.error() instanceof StoreUnavailable);
  assert.equal(rig.store.commits.length, commits, "it is not tried");
  await rig.clock.advance(20_000);
  assert.notEqual(rig.loop.storeProblem(), null);
  rig.store.always = null;
  await rig.clock.advance(5_000);
  assert.equal(rig.loop.storeProblem(), null);
  await rig.request(hello("n1")).promise;
  await rig.clock.settle();
  assert.equal(rig.committed.sails.get("a")?.state, "scheduled");
  await rig.request(submit("b")).promise;
  assert.deepEqual(snapshot(rig.committed), snapshot(rig.working));
  const numbers = [...rig.committed.events.keys()].map(Number);
  assert.deepEqual(numbers, numbers.map((_, i) => i + 1), "events are numbered without gaps");
  await rig.end();
});

Deno.test("what was due while the store refused is looked for when it writes again", async () => {
  const rig = await loopRig();
  await rig.request(hello("n1")).promise;
  await rig.request({ kind: "setEligibility", nodeId: "n1", to: "draining" }).promise;
  await rig.request(submit("a")).promise;
  await rig.clock.settle();
  assert.equal(rig.committed.sails.get("a")?.state, "pending");
  rig.store.faults.push("refuse");
  rig.loop.post(hello("n2"));
  await rig.clock.settle();
  const value = { ...rig.committed.masts.get("n1")!, eligibility: "eligible" as const };
  for (const state of [rig.working, rig.committed]) state.apply({ kind: "mast", id: "n1", value });
  await rig.clock.advance(1_000);
  assert.equal(rig.committed.sails.get("a")?.state, "scheduled");
  await rig.end();
});

Deno.test("more inputs than one turn takes are carried out in the order of their coming", async () => {
  const rig = await loopRig();
  const ids = Array.from({ length: 2_500 }, (_, i) => `t${i}`);
  for (const id of ids) rig.request(submit(id));
  await rig.clock.settle();
  assert.deepEqual(rig.store.commits.map((groups) => groups.length), [2_000, 500]);
  assert.deepEqual([...rig.committed.sails.keys()], ids);
  await rig.end();
});

Deno.test("probes pause longer and longer, and never multiply with the writes that fail beside them", async () => {
  const rig = await loopRig();
  rig.store.always = "refuse";
  for (let second = 0; second < 60; second++) {
    rig.loop.post(hello("n1"));
    await rig.clock.advance(1_000);
  }
  const probes = rig.store.commits.length - rig.store.written;
  assert.ok(probes >= 10 && probes <= 17, `${probes} probes in a minute`);
  rig.store.always = null;
  await rig.clock.advance(5_000);
  assert.equal(rig.loop.storeProblem(), null);
  await rig.end();
});

Deno.test("a batch of which the store kept the beginning: that is published, the rest is taken back", async () => {
  const rig = await loopRig();
  rig.store.faults.push("refuseRest");
  const asked = ["a", "b", "c"].map((id) => rig.request(submit(id)));
  await rig.clock.settle();
  assert.deepEqual(asked.map((r) => r.outcome()), ["done", "failed", "failed"]);
  assert.deepEqual([...rig.committed.sails.keys()], ["a"]);
  assert.deepEqual(snapshot(rig.committed), snapshot(rig.working));
  assert.deepEqual(rig.events.map((e) => e.sailId), ["a", "a"]);
  await rig.end();
});

Deno.test("the answer was lost and the write was done: it is published, exactly once", async () => {
  const rig = await loopRig();
  rig.store.faults.push("lost");
  const asked = rig.request<SubmitDecision>(submit("a"));
  await rig.clock.advance(60_000);
  assert.equal(asked.value()?.kind, "accepted");
  assert.deepEqual(rig.events.map((e) => e.kind), ["taskAccepted", "taskNotPlaced"]);
  assert.deepEqual(rig.order, ["reply"]);
  assert.deepEqual(snapshot(rig.committed), snapshot(rig.working));
  assert.equal(rig.loop.storeProblem(), null);
  await rig.end();
});

Deno.test("in doubt whether it was written, a deck that has been replaced meanwhile takes nothing for durable", async () => {
  const rig = await loopRig();
  rig.store.faults.push("unwritten");
  const asked = rig.request(submit("a"));
  // Another deck has taken a higher term and written further than this one had asked for.
  rig.store.disk.term++;
  rig.store.disk.sequence += 100;
  await rig.clock.advance(60_000);
  assert.equal(asked.outcome(), "failed");
  assert.equal(rig.committed.sails.has("a"), false);
  assert.equal(rig.fenced(), 1);
  await rig.end();
});

for (const [fault, outcome] of [["lost", "done"], ["unwritten", "failed"]] as const) {
  Deno.test(`the store is silent after a commit (${fault}): nothing is said and written until it tells what it has`, async () => {
    const rig = await loopRig();
    rig.store.faults.push(fault);
    rig.store.silent = true;
    const asked = rig.request(submit("a"));
    await rig.clock.advance(12_000);
    assert.equal(asked.outcome(), "waiting");
    assert.equal(rig.store.commits.length, 1, "a write now would hide what became of the one before");
    rig.store.silent = false;
    await rig.clock.advance(30_000);
    assert.equal(asked.outcome(), outcome);
    assert.equal(rig.committed.sails.has("a"), outcome === "done");
    assert.equal(rig.store.disk.records.has('["sail","a"]'), outcome === "done");
    assert.deepEqual(snapshot(rig.committed), snapshot(rig.working));
    await rig.end();
  });
}

Deno.test("a deck that is fenced says so once, refuses everything and never writes again", async () => {
  const rig = await loopRig();
  await rig.store.takeTerm();
  const asked = rig.request(submit("a"));
  rig.loop.post(hello("n1"));
  await rig.clock.settle();
  assert.ok(asked.error() instanceof StoreUnavailable);
  assert.match(asked.error()!.message, /another deck/);
  const commits = rig.store.commits.length;
  rig.loop.post(hello("n2"));
  const later = rig.request(submit("b"));
  await rig.clock.advance(60_000);
  assert.match(later.error()!.message, /another deck/);
  assert.deepEqual([rig.fenced(), rig.store.commits.length], [1, commits]);
  assert.deepEqual([rig.sends, rig.events], [[], []]);
  await rig.end();
});

Deno.test("a deck that learns from its probe that it is fenced ends as well", async () => {
  const rig = await loopRig();
  rig.store.faults.push("refuse");
  rig.loop.post(hello("n1"));
  await rig.clock.settle();
  await rig.store.takeTerm();
  await rig.clock.advance(60_000);
  assert.equal(rig.fenced(), 1);
  assert.match(rig.loop.storeProblem()!, /another deck/);
  await rig.end();
});

Deno.test("an input whose decision throws is answered with the error, closes its session and ends nothing", async () => {
  const rig = await loopRig();
  await rig.request(hello("n1")).promise;
  await rig.request(submit("a")).promise;
  for (const state of [rig.working, rig.committed]) state.apply({ kind: "spec", id: "a", value: undefined });
  const failed = reportOf("a-1", "failed", { cause: "exited", observed: { ...NOTHING_OBSERVED, exitCode: 1 } });
  const broken = rig.request(reports("n1", failed));
  const next = rig.request<SubmitDecision>(submit("b"));
  await rig.clock.settle();
  assert.match(broken.error()!.message, /undefined/);
  assert.deepEqual(rig.lost, ["s-n1"]);
  assert.equal(next.value()?.kind, "accepted");
  assert.equal(rig.logger.errors.length, 1);
  await rig.end();
});

Deno.test("stop() finishes the turn that is under way and refuses what comes after", async () => {
  const rig = await loopRig();
  const release = rig.store.hold();
  const under = rig.request(submit("a"));
  await rig.clock.settle();
  const waiting = rig.request(submit("b"));
  const stopped = rig.loop.stop();
  const late = rig.request(submit("c"));
  await rig.clock.settle();
  assert.equal(under.outcome(), "waiting");
  release();
  await stopped;
  await rig.clock.settle();
  assert.deepEqual([under.outcome(), waiting.outcome(), late.outcome()], ["done", "failed", "failed"]);
  assert.ok(waiting.error() instanceof StoreUnavailable);
  await rig.end();
});

Deno.test("a crash at any time: what is loaded is what was published", async () => {
  const rig = await loopRig();
  await rig.request(hello("n1")).promise;
  for (const id of ["t4", "t3", "t2", "t1", "t0"]) {
    await rig.request(submit(id)).promise;
    await rig.clock.advance(10);
  }
  rig.loop.post(reports("n1", reportOf("t0-1", "running"), reportOf("t1-1", "completed", { cause: "exited" })));
  rig.loop.post(reports("n1", reportOf("t2-1", "lost", { cause: "vanished" })));
  await rig.request({ kind: "stop", sailId: "t3", graceMs: 5 }).promise;
  await rig.clock.settle();
  const release = rig.store.hold();
  rig.request(submit("never"));
  await rig.clock.settle();
  const { working, committed } = buildStates(await loadRecords(new ScriptedStore(rig.clock, rig.store.disk)));
  assert.deepEqual(snapshot(committed), snapshot(rig.committed));
  assert.deepEqual(snapshot(working), snapshot(rig.committed));
  assert.deepEqual([...committed.sails.keys()], ["t4", "t3", "t2", "t1", "t0"], "lists come out oldest first");
  assert.equal(committed.sails.has("never"), false);
  release();
  await rig.end();
});

Deno.test("loadRecords() refuses records of a newer version and passes over kinds it does not know", async () => {
  const disk = createMemoryDisk();
  const rig = await loopRig(disk);
  await rig.request(submit("a")).promise;
  await rig.end();
  disk.records.set('["later",1]', { v: 9, record: {} });
  assert.ok((await loadRecords(rig.store)).length > 0);
  disk.records.set('["sail","b"]', { v: 3, record: {} });
  await assert.rejects(loadRecords(rig.store), /a sail of version 3; this ormen reads up to 2/);
});

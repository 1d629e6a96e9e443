/** Rollouts as their users see them, in virtual time: what is replaced when, how it ends, and what never happens. */
import assert from "node:assert/strict";
import { image, ServiceRig } from "./rig.ts";
import type { Script } from "./rig.ts";

const goodUntil = (bad: number, script: Script) => ({ revision }: { revision: number }) =>
  revision >= bad ? script : {};

function deployed(script: ConstructorParameters<typeof ServiceRig>[0] = () => ({}), update = {}): ServiceRig {
  const rig = new ServiceRig(script);
  rig.apply({ ...image(1), update });
  assert.equal(rig.ended(), "succeeded");
  rig.run(5_000);
  rig.least = Infinity;
  return rig;
}

Deno.test("the first rollout starts all replicas at once, and makes its revision stable", () => {
  const rig = new ServiceRig();
  rig.apply(image(1));
  rig.run(500);
  assert.deepEqual(rig.replicas(), ["web.0@1 starting", "web.1@1 starting", "web.2@1 starting"]);
  assert.deepEqual(rig.addresses(), []);
  assert.equal(rig.ended(), "succeeded");
  assert.deepEqual(rig.addresses(), ["0@1", "1@1", "2@1"]);
  assert.notEqual(rig.state.revisions.get("web@1")!.stableMs, null);
  rig.checkIndexes();
});

Deno.test("a rolling update, start-first, one at a time: never fewer healthy ones than wanted", () => {
  const rig = deployed();
  rig.apply(image(2));
  let most = 0;
  rig.until("it ends", () => {
    const fresh = rig.replicas().filter((each) => /@2 (starting|pending)/.test(each)).length;
    most = Math.max(most, fresh);
    return rig.rollout.endedMs !== null;
  });
  assert.equal(rig.rollout.state, "succeeded");
  assert.equal(most, 1);
  assert.equal(rig.least, 3);
  rig.run(5_000);
  assert.deepEqual(rig.replicas(), ["web.0@2 healthy", "web.1@2 healthy", "web.2@2 healthy"]);
  rig.checkIndexes();
});

Deno.test("an update that is never healthy fails at its deadline and goes back; the old ones are never touched", () => {
  const rig = deployed(goodUntil(2, { healthyMs: null }));
  const before = rig.replicas();
  const tasks = [...rig.state.replicas.get("web")!];
  rig.apply(image(2));
  assert.equal(rig.ended(2), "failed");
  assert.match(rig.rolloutAt(2).why!, /slot 0 of revision 2 was not healthy within 20s/);
  assert.equal(rig.ended(3), "succeeded");
  assert.equal(rig.rolloutAt(3).cause, "revert");
  assert.equal(rig.service.revision, 1);
  assert.equal(rig.least, 3);
  rig.run(5_000);
  assert.deepEqual(rig.replicas(), before);
  assert.deepEqual([...rig.state.replicas.get("web")!], tasks);
});

Deno.test("an update that crashes after 5 s, when it was healthy for a while, goes back", () => {
  const rig = deployed(goodUntil(2, { healthyMs: 3_000, exitMs: 5_000 }));
  rig.apply(image(2));
  assert.equal(rig.ended(2), "failed");
  assert.match(rig.rolloutAt(2).why!, /slot 0 of revision 2 failed: exited with code 1/);
  assert.equal(rig.ended(3), "succeeded");
  assert.ok(rig.least >= 2);
  rig.run(5_000);
  assert.deepEqual(rig.addresses(), ["0@1", "1@1", "2@1"]);
});

Deno.test("the very first revision fails: there is nothing to go back to, and it is kept as it is until somebody decides", () => {
  const rig = new ServiceRig(() => ({ healthyMs: null }));
  rig.apply(image(1));
  assert.equal(rig.ended(), "failed");
  assert.match(rig.service.held!, /no stable revision/);
  const before = rig.replicas();
  rig.run(60_000);
  assert.deepEqual(rig.replicas(), before);
  rig.input({ kind: "changeRollout", service: "web", verb: "resume" });
  assert.equal(rig.rollout.cause, "resume");
  assert.equal(rig.service.held, null);
  assert.equal(rig.ended(2), "failed");
});

Deno.test("a revert that fails is not reverted", () => {
  let broken = false;
  const rig = deployed(({ revision }) => revision === 2 || broken ? { healthyMs: null } : {}, { maxParallel: 3 });
  broken = true;
  // All of revision 1 goes, so that the revert has to start it anew.
  rig.apply({ ...image(2), update: { strategy: "recreate" } });
  assert.equal(rig.ended(2), "failed");
  assert.equal(rig.ended(3), "failed");
  assert.match(rig.service.held!, /it was a revert itself/);
  rig.run(120_000);
  assert.equal(rig.service.rollout, 3);
});

Deno.test("stop-first takes away no more than maxUnavailable", () => {
  const rig = deployed(() => ({}), { order: "stop-first", maxUnavailable: 1 });
  rig.apply({ ...image(2), update: { order: "stop-first", maxUnavailable: 1, maxParallel: 3 } });
  assert.equal(rig.ended(), "succeeded");
  assert.equal(rig.least, 2);
});

Deno.test("recreate: all old ones end before the first new one starts", () => {
  const rig = deployed();
  rig.apply({ ...image(2), update: { strategy: "recreate" } });
  rig.until("new ones", () => rig.replicas().some((each) => each.includes("@2")));
  assert.deepEqual(rig.replicas().filter((each) => each.includes("@1")), []);
  assert.equal(rig.ended(), "succeeded");
});

Deno.test("a canary waits for a person, then the rest follows", () => {
  const rig = deployed();
  rig.apply({ ...image(2), update: { strategy: "canary", canary: 1 } });
  rig.until("it waits", () => rig.rollout.state === "waiting");
  assert.deepEqual(rig.addresses(), ["0@1", "0@2", "1@1", "2@1"]);
  rig.run(3_600_000);
  assert.equal(rig.rollout.state, "waiting");
  rig.input({ kind: "changeRollout", service: "web", verb: "promote" });
  assert.equal(rig.ended(), "succeeded");
  assert.equal(rig.least, 3);
  rig.run(5_000);
  assert.deepEqual(rig.addresses(), ["0@2", "1@2", "2@2"]);
});

Deno.test("a canary that nobody promotes fails at its deadline, and goes", () => {
  const rig = deployed();
  rig.apply({ ...image(2), update: { strategy: "canary", promoteDeadline: "1h" } });
  assert.equal(rig.ended(2), "failed");
  assert.match(rig.rolloutAt(2).why!, /nobody promoted it within 1h/);
  assert.equal(rig.ended(3), "succeeded");
  rig.run(5_000);
  assert.deepEqual(rig.replicas(), ["web.0@1 healthy", "web.1@1 healthy", "web.2@1 healthy"]);
});

Deno.test("blueGreen: the new side is on the list only after the switch, and then it alone", () => {
  const rig = deployed();
  rig.apply({ ...image(2), update: { strategy: "blueGreen", monitor: "10s" } });
  const seen = new Set<string>();
  rig.until("it ends", () => {
    seen.add(rig.addresses().join(" "));
    return rig.rollout.endedMs !== null;
  });
  assert.equal(rig.rollout.state, "succeeded");
  assert.deepEqual([...seen], ["0@1 1@1 2@1", "0@2 1@2 2@2"]);
  rig.run(5_000);
  assert.deepEqual(rig.replicas(), ["web.0@2 healthy", "web.1@2 healthy", "web.2@2 healthy"]);
});

Deno.test("blueGreen: one that breaks after the switch goes back to the old side, which was kept", () => {
  const rig = deployed(goodUntil(2, { flapMs: 8_000 }));
  const tasks = [...rig.state.replicas.get("web")!];
  rig.apply({ ...image(2), update: { strategy: "blueGreen", monitor: "30s" } });
  assert.equal(rig.ended(2), "failed");
  assert.match(rig.rolloutAt(2).why!, /did not stay healthy: GET \/up -> 500/);
  assert.equal(rig.ended(3), "succeeded");
  rig.run(5_000);
  assert.deepEqual([...rig.state.replicas.get("web")!], tasks);
  assert.equal(rig.least, 3);
});

Deno.test("a replica that finds no room fails the rollout at its progress deadline", () => {
  const rig = new ServiceRig(() => ({}), 1, 400);
  const task = (version: number) => ({ task: { image: `web:${version}`, memory: "100MiB" } });
  rig.apply({ ...task(1), replicas: 4 });
  assert.equal(rig.ended(), "succeeded");
  rig.apply({ ...task(2), replicas: 4 });
  assert.equal(rig.ended(2), "failed");
  assert.match(rig.rolloutAt(2).why!, /no replica became healthy for 1m: web\.0@2 is pending/);
  assert.equal(rig.ended(3), "succeeded");
  assert.equal(rig.up(), 4);
});

Deno.test("a node that is lost is no failure of the revision: its replica is started elsewhere, in its slot", () => {
  const rig = deployed();
  rig.apply({ ...image(2), update: { healthyDeadline: "40s", progressDeadline: "5m" } });
  rig.until("the first new one is up", () => rig.addresses().includes("0@2"));
  const node = addressNode(rig, "web.0@2");
  rig.silence(node);
  assert.equal(rig.ended(), "succeeded");
  rig.run(20_000);
  assert.deepEqual(rig.addresses(), ["0@2", "1@2", "2@2"]);
  rig.revive(node);
  rig.run(20_000);
  assert.deepEqual(rig.replicas(), ["web.0@2 healthy", "web.1@2 healthy", "web.2@2 healthy"]);
});

function addressNode(rig: ServiceRig, name: string): string {
  const sail = [...rig.state.sails.values()].find((each) => each.name === name && each.endedMs === null)!;
  return rig.state.attempts.get(sail.currentAttemptId!)!.nodeId;
}

Deno.test("a deck that was away does not count its absence", () => {
  const rig = deployed(goodUntil(2, { healthyMs: 15_000 }));
  rig.apply(image(2));
  rig.run(5_000);
  rig.restart(3_600_000);
  assert.equal(rig.ended(), "succeeded");
});

Deno.test("a later apply supersedes: it starts from what runs, and what never came up goes at once", () => {
  const rig = deployed(({ revision }) => revision === 2 ? { healthyMs: null } : {});
  rig.apply(image(2));
  rig.run(3_000);
  rig.apply(image(3));
  assert.equal(rig.rolloutAt(2).state, "superseded");
  rig.run(1_500);
  assert.ok(!rig.replicas().some((each) => /^web\.\d@2/.test(each)), rig.replicas().join());
  assert.equal(rig.ended(3), "succeeded");
  assert.equal(rig.least, 3);
});

Deno.test("pause stops the replacing and the clock, resume goes on", () => {
  const rig = deployed();
  rig.apply(image(2));
  rig.until("the first is up", () => rig.addresses().includes("0@2"));
  rig.input({ kind: "changeRollout", service: "web", verb: "pause" });
  rig.run(10_000);
  const before = rig.addresses();
  rig.run(3_600_000);
  assert.deepEqual(rig.addresses(), before);
  rig.input({ kind: "changeRollout", service: "web", verb: "resume" });
  assert.equal(rig.ended(), "succeeded");
});

Deno.test("abort goes back", () => {
  const rig = deployed();
  rig.apply(image(2));
  rig.until("the first is up", () => rig.addresses().includes("0@2"));
  rig.input({ kind: "changeRollout", service: "web", verb: "abort" });
  assert.equal(rig.rolloutAt(2).state, "aborted");
  assert.equal(rig.ended(3), "succeeded");
  assert.equal(rig.least, 3);
  rig.run(5_000);
  assert.deepEqual(rig.addresses(), ["0@1", "1@1", "2@1"]);
});

Deno.test("scaling while it rolls", () => {
  const rig = deployed();
  rig.apply(image(2));
  rig.until("the first is up", () => rig.addresses().includes("0@2"));
  rig.input({ kind: "scaleService", name: "web", replicas: 5 });
  assert.equal(rig.ended(), "succeeded");
  rig.run(5_000);
  assert.deepEqual(rig.addresses(), ["0@2", "1@2", "2@2", "3@2", "4@2"]);
  rig.input({ kind: "scaleService", name: "web", replicas: 1 });
  rig.run(5_000);
  assert.deepEqual(rig.replicas(), ["web.0@2 healthy"]);
});

Deno.test("a global service has one replica on each node, follows nodes as they come, and leaves those that are drained", () => {
  const rig = new ServiceRig();
  rig.apply({ name: "web", mode: "global", replicas: undefined, ...image(1) });
  assert.equal(rig.ended(), "succeeded");
  assert.equal(rig.up(), 3);
  rig.join("n4");
  rig.run(10_000);
  assert.equal(rig.up(), 4);
  rig.input({ kind: "setEligibility", nodeId: "n2", to: "draining" });
  rig.run(10_000);
  assert.equal(rig.up(), 3);
  assert.equal(rig.state.masts.get("n2")!.eligibility, "drained");
});

Deno.test("a node that is drained loses a replica only when its successor is healthy", () => {
  const rig = deployed();
  rig.input({ kind: "setEligibility", nodeId: "n1", to: "draining" });
  rig.until("it is drained", () => rig.state.masts.get("n1")!.eligibility === "drained");
  assert.equal(rig.least, 3);
  assert.equal(rig.service.rollout, 1);
});

Deno.test("removing stops all replicas, and nothing of it is left", () => {
  const rig = deployed();
  rig.apply(image(2));
  rig.run(2_000);
  rig.input({ kind: "removeService", name: "web" });
  rig.until("it is gone", () => !rig.state.services.has("web"));
  assert.equal(rig.state.revisions.size + rig.state.rollouts.size + rig.state.replicas.size, 0);
  assert.equal([...rig.state.books.values()].reduce((sum, { memoryBytes }) => sum + memoryBytes, 0), 0);
});

Deno.test("the same again changes nothing", () => {
  const rig = deployed();
  const before = rig.drafts.length;
  const draft = rig.apply(image(1));
  assert.deepEqual(draft.reply, { kind: "applied", change: "unchanged", rollout: null });
  assert.deepEqual(rig.drafts.slice(before).flatMap(({ changes }) => changes), []);
});

Deno.test("a replica whose node falls silent before it was healthy is not held against the revision", () => {
  const rig = deployed(({ revision }) => revision === 2 ? { healthyMs: 8_000 } : {}, {});
  rig.apply({ ...image(2), update: { healthyDeadline: "12s", progressDeadline: "10m" } });
  rig.until("the first one starts", () => rig.replicas().some((each) => each === "web.0@2 starting"));
  rig.run(5_000);
  const node = addressNode(rig, "web.0@2");
  rig.silence(node);
  rig.input({ kind: "sessionClosed", sessionId: `s-${node}`, nodeId: node });
  assert.equal(rig.ended(), "succeeded");
});

Deno.test("a deck whose process stood still for an hour does not count that either", () => {
  const rig = deployed(goodUntil(2, { healthyMs: 15_000 }));
  rig.apply(image(2));
  rig.run(5_000);
  rig.wallMs += 3_600_000;
  rig.monoMs += 3_600_000;
  // What the nodes and others say comes before the deck's own pulse.
  rig.input({ kind: "lookAtService", name: "web" });
  rig.input({ kind: "changeRollout", service: "web", verb: "pause" });
  rig.input({ kind: "changeRollout", service: "web", verb: "resume" });
  rig.run(5_000);
  assert.equal(rig.rollout.state, "running", rig.rollout.why ?? "");
  const before = rig.rollout.activeMs;
  rig.run(40_000);
  assert.ok(rig.rollout.activeMs > before + 20_000, "its clock goes on");
  assert.equal(rig.ended(), "succeeded");
});

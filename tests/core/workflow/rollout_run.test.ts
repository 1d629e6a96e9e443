/** What becomes of a run whose step is a rollout: failures, cancelling, restarts of the deck, somebody else's apply. */
import assert from "node:assert/strict";
import { rolloutId } from "../../../lib/core/service/records.ts";
import { serviceDocument } from "../../../lib/core/documents/service.ts";
import { WorkflowRig } from "./rig.ts";

const UPDATE = {
  minHealthyTime: "0s",
  healthyDeadline: "5s",
  progressDeadline: "10s",
  shutdownDelay: "0s",
  monitor: "2s",
};
const rollout = (version: number, more: Record<string, unknown> = {}) => ({
  steps: {
    ship: {
      rollout: { service: "web", replicas: 2, task: { image: `web:${version}`, ports: [80] }, update: UPDATE },
      ...more,
    },
    smoke: { needs: [{ step: "ship", condition: "healthy" as const }], sleep: "1s" },
  },
});

/** Time passes; replicas of these revisions become healthy, those that are asked to stop do. */
function pass(rig: WorkflowRig, seconds: number, good: (revision: number) => boolean = () => true): void {
  for (let second = 0; second < seconds; second++) {
    for (const { id, replica, currentAttemptId, desired, state } of [...rig.state.sails.values()]) {
      if (!replica || currentAttemptId === null || state === "stopped") continue;
      if (desired === "stop") rig.stops(id);
      else if (state !== "running") rig.runs(id, { settled: good(replica.revision), startedMs: rig.wallMs });
    }
    rig.wait(1_000);
  }
}

const rolloutOf = (rig: WorkflowRig, number: number) => rig.state.rollouts.get(rolloutId("web", number))!;

function deployed(): WorkflowRig {
  const rig = new WorkflowRig();
  rig.start(rollout(1), { id: "first" });
  pass(rig, 15);
  assert.equal(rig.run("first").state, "succeeded");
  return rig;
}

Deno.test("a rollout that fails and goes back fails its step, with the reason", () => {
  const rig = deployed();
  rig.start(rollout(2));
  pass(rig, 20, (revision) => revision === 1);
  assert.deepEqual(rig.states(), { ship: "failed", smoke: "upstreamFailed" });
  assert.match(rig.step("ship")!.error!, /^rollout web#2 to revision 2 failed: slot 0 of revision 2 was not healthy/);
  assert.equal(rolloutOf(rig, 3).cause, "revert");
});

Deno.test("cancelling the run aborts the rollout, which goes back", () => {
  const rig = deployed();
  rig.start(rollout(2));
  pass(rig, 2, () => false);
  rig.input({ kind: "cancelRun", runId: "r", why: "somebody asked" });
  assert.equal(rig.run().state, "cancelled");
  assert.deepEqual([rolloutOf(rig, 2).state, rolloutOf(rig, 2).why], ["aborted", "run r was ended"]);
  assert.deepEqual([rolloutOf(rig, 3).cause, rolloutOf(rig, 3).to], ["revert", 1]);
  pass(rig, 10);
  assert.equal(rolloutOf(rig, 3).state, "succeeded");
});

Deno.test("a timeout of the step aborts it, too", () => {
  const rig = deployed();
  rig.start(rollout(2, { timeout: "3s" }));
  pass(rig, 5, () => false);
  assert.equal(rig.states().ship, "timedOut");
  assert.equal(rolloutOf(rig, 2).state, "aborted");
});

Deno.test("a run goes on over a restart of the deck, also when its rollout ended in the write before", () => {
  for (const after of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const rig = deployed();
    rig.start(rollout(2));
    pass(rig, after);
    rig.restart();
    pass(rig, 20);
    assert.equal(rig.run().state, "succeeded", `restarted after ${after} s`);
    assert.equal(rig.outputs("ship").revision, 2);
  }
});

Deno.test("what is as the step says succeeds at once; what rolls there already is waited for, and left to whoever began it", () => {
  const rig = deployed();
  rig.start(rollout(1), { id: "same" });
  assert.equal(rig.states("same").ship, "succeeded");
  const spec = serviceDocument.parse({
    ...{ name: "web", replicas: 2, task: { image: "web:2", ports: [80] }, update: UPDATE },
  });
  rig.input({ kind: "applyService", spec });
  rig.start(rollout(2), { id: "joins" });
  rig.start(rollout(2), { id: "joins-too" });
  assert.deepEqual(rolloutOf(rig, 2).stepIds, ["joins/ship", "joins-too/ship"]);
  rig.input({ kind: "cancelRun", runId: "joins", why: "somebody asked" });
  assert.equal(rolloutOf(rig, 2).state, "running");
  pass(rig, 20);
  assert.equal(rig.run("joins-too").state, "succeeded");
  rig.input({ kind: "applyService", spec: { ...spec, task: { ...spec.task, image: "web:3" } } });
  rig.start(rollout(3), { id: "alone" });
  rig.input({ kind: "cancelRun", runId: "alone", why: "somebody asked" });
  assert.equal(rolloutOf(rig, 3).state, "running");
});

Deno.test("somebody else's apply takes its place: the step fails and says so", () => {
  const rig = deployed();
  rig.start(rollout(2));
  pass(rig, 1, () => false);
  rig.start(rollout(3), { id: "later" });
  assert.match(rig.step("ship")!.error!, /superseded: rollout 3 took its place/);
  pass(rig, 20);
  assert.equal(rig.run("later").state, "succeeded");
});

/** What only odd turns of fate bring about; found by the simulator. */
import assert from "node:assert/strict";
import { task, WorkflowRig } from "./rig.ts";

Deno.test("a task that ends before it was told of as running has started", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: {
      good: task(),
      bad: task({ continueOnError: true }),
      after: task({ needs: [{ step: "good", condition: "started" }, { step: "bad", condition: "started" }] }),
    },
  });
  rig.ends("r.good.1");
  rig.ends("r.bad.1", { exit: 1, startedMs: 5 });
  assert.deepEqual(rig.states(), { good: "succeeded", bad: "failed", after: "queued" });
});

Deno.test("a step that was fanned out has started with its first instance; one without items has too", () => {
  const rig = new WorkflowRig();
  const started = (step: string) => task({ needs: [{ step, condition: "started" }] });
  rig.start({
    steps: {
      list: task({ outputs: { items: "${{ fromJSON(stdout) }}" } }),
      none: task({ needs: ["list"], forEach: "${{ steps.list.outputs.items }}" }),
      some: task({ matrix: { n: [1, 2] } }),
      "after-none": started("none"),
      "after-some": started("some"),
    },
  });
  assert.equal(rig.states()["after-some"], "pending");
  rig.runs("r.some.1.1");
  assert.equal(rig.states()["after-some"], "queued");
  rig.ends("r.list.1", { stdout: "[]" });
  assert.deepEqual([rig.states().none, rig.states()["after-none"]], ["succeeded", "queued"]);
  rig.checkIndexes();
});

Deno.test("who needs an approval, a sleep or a sub-workflow started begins at once", () => {
  const rig = new WorkflowRig();
  const steps = {
    ask: { approval: { prompt: "?" } },
    nap: { sleep: "1h" },
    sub: { workflow: "child" },
    naps: { sleep: "1h", matrix: { n: [1, 2] } },
  };
  const after = Object.keys(steps).map((step) => [`${step}2`, task({ needs: [{ step, condition: "started" }] })]);
  const child = { name: "child", steps: { x: task() } };
  rig.start({ steps: { ...steps, ...Object.fromEntries(after) } }, { included: { child } });
  for (const step of Object.keys(steps)) assert.equal(rig.states()[`${step}2`], "queued", step);
});

Deno.test("an instance that cannot begin ends those after it before they begin, when it fails fast", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { t: { workflow: "gone", matrix: { n: [1, 2, 3] } } } });
  assert.deepEqual([0, 1, 2].map((n) => [rig.step(`t/${n}`)!.state, rig.step(`t/${n}`)!.attempts]), [
    ["failed", 1],
    ["cancelled", 0],
    ["cancelled", 0],
  ]);
  assert.equal(rig.run().state, "failed");
});

Deno.test("nobody overtakes a run that waits in the same group, whatever its own limit", () => {
  const rig = new WorkflowRig();
  const document = (limit: number) => ({ concurrency: { group: "g", limit }, steps: { a: task() } });
  rig.start(document(1), { id: "first" });
  rig.start(document(1), { id: "waits" });
  rig.start(document(2), { id: "later" });
  assert.deepEqual(["first", "waits", "later"].map((id) => rig.run(id).state), ["running", "queued", "queued"]);
  rig.ends("first.a.1");
  assert.deepEqual(["waits", "later"].map((id) => rig.run(id).state), ["running", "running"]);
});

Deno.test("a step's container is not restarted when it is unhealthy", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task({ task: { image: "db:1", health: { exec: ["ready"] } } }) } });
  assert.equal(rig.taskSpec("r.a.1").maxRestarts, 0);
});

Deno.test("a clock that goes back makes nobody wait for longer than he was to", () => {
  const rig = new WorkflowRig();
  rig.start({
    timeout: "5m",
    steps: {
      nap: { sleep: "${{ '20' }}s" },
      again: task({ retry: { limit: 1, delay: "20s", jitter: 0 } }),
      slow: task({ timeout: "20s" }),
      ask: { approval: { prompt: "?" }, timeout: "20s" },
      naps: { sleep: "20s", matrix: { n: [1, 2] } },
      last: { approval: { prompt: "?" } },
    },
  });
  rig.ends("r.again.1", { exit: 1 });
  rig.runs("r.slow.1");
  rig.wallMs -= 3_600_000;
  rig.wait(15_000);
  assert.deepEqual(rig.states(), {
    ...{ nap: "waiting", again: "retrying", slow: "running", ask: "waiting", naps: "running", last: "waiting" },
  });
  rig.wait(15_000);
  rig.stops("r.slow.1");
  assert.deepEqual(rig.states(), {
    ...{ nap: "succeeded", again: "queued", slow: "timedOut", ask: "timedOut", naps: "succeeded", last: "waiting" },
  });
  rig.ends("r.again.2");
  rig.wait(300_000);
  assert.equal(rig.run().state, "timedOut");
});

Deno.test("no instance begins in a run that is being ended, though what ends its steps was lost with the deck", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { t: task({ matrix: { n: [1, 2, 3] }, maxParallel: 1, failFast: false }) } });
  // The deck ends after it has noted the cancel, and before it has cancelled a step.
  const run = rig.run();
  rig.state.apply({ kind: "run", id: "r", value: { ...run, ending: "cancelled", why: "asked" } });
  rig.ends("r.t.0.1");
  assert.equal(rig.step("t/1")!.attempts, 0);
  rig.restart();
  assert.deepEqual([rig.step("t")!.state, rig.run().state], ["cancelled", "cancelled"]);
});

Deno.test("what cleans up after a cancelled run is tried again as it says", () => {
  const rig = new WorkflowRig();
  const again = { retry: { limit: 1, delay: "1s", jitter: 0 } };
  rig.start({ steps: { a: task(again) }, finally: [task(again)] });
  rig.runs("r.a.1");
  rig.input({ kind: "cancelRun", runId: "r", why: "asked" });
  rig.stops("r.a.1");
  rig.ends("r.finally-1.1", { exit: 1 });
  rig.wait(2_000);
  rig.ends("r.finally-1.2");
  assert.deepEqual(rig.states(), { a: "cancelled", "finally-1": "succeeded" });
  assert.equal(rig.run().state, "cancelled");
});

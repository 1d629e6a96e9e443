/** The engine: what a run does, seen from its tasks and its steps' states. */
import assert from "node:assert/strict";
import { task, WorkflowRig } from "./rig.ts";

const DIAMOND = {
  steps: {
    a: task(),
    b: task({ needs: ["a"] }),
    c: task({ needs: ["a"] }),
    d: task({ needs: ["b", "c"] }),
  },
};

Deno.test("a diamond runs each step once its needs have succeeded, and succeeds", () => {
  const rig = new WorkflowRig();
  assert.deepEqual(rig.start(DIAMOND).reply, { kind: "started", runId: "r" });
  assert.deepEqual(rig.tasks(), ["r.a.1"]);
  rig.runs("r.a.1");
  assert.deepEqual(rig.states(), { a: "running", b: "pending", c: "pending", d: "pending" });
  rig.ends("r.a.1");
  assert.deepEqual(rig.tasks(), ["r.b.1", "r.c.1"]);
  rig.ends("r.c.1");
  assert.deepEqual(rig.tasks(), ["r.b.1"]);
  rig.checkIndexes();
  rig.ends("r.b.1");
  rig.ends("r.d.1");
  assert.deepEqual(rig.states(), { a: "succeeded", b: "succeeded", c: "succeeded", d: "succeeded" });
  assert.equal(rig.run().state, "succeeded");
  assert.deepEqual([rig.step("d")!.attempts, rig.run().endedMs], [1, rig.wallMs]);
});

Deno.test("a step's task bears its variables, neither restarts nor moves, and is labelled with its run", () => {
  const rig = new WorkflowRig();
  rig.start({
    params: { version: { type: "string", default: "v1" } },
    env: { APP: "web", TAG: "${{ params.version }}" },
    steps: {
      build: task({
        env: { OUT: "${{ env.APP }}-${{ params.version }}" },
        run: "build",
        task: { image: "b:${{ params.version }}" },
      }),
    },
  });
  const { env, restart, reschedule, labels, step, image } = rig.taskSpec("r.build.1");
  assert.deepEqual(env, {
    ...{ APP: "web", TAG: "v1", OUT: "web-v1" },
    ...{ ORMEN_RUN_ID: "r", ORMEN_STEP: "build", ORMEN_ATTEMPT: "1" },
  });
  assert.deepEqual([restart, reschedule, image], [{ kind: "no" }, false, "b:v1"]);
  assert.deepEqual(labels, { "ormen.run": "r", "ormen.step": "build" });
  assert.deepEqual(step, { script: { text: "build", shell: ["sh", "-eu"] }, capture: true });
});

Deno.test("outputs come from expressions and from lines of $ORMEN_OUTPUT, and reach the next step", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: {
      build: task({ run: "x", outputs: { digest: "${{ fromJSON(stdout).digest }}", code: "${{ exitCode }}" } }),
      ship: task({ needs: ["build"], env: { D: "${{ steps.build.outputs.digest }}/${{ steps.build.outputs.KEY }}" } }),
    },
    outputs: { digest: "${{ steps.build.outputs.digest }}" },
  });
  rig.ends("r.build.1", { stdout: '{"digest":"sha256:1"}', output: "KEY=value\nLONG<<END\na\nb\nEND\n" });
  assert.deepEqual(rig.outputs("build"), { KEY: "value", LONG: "a\nb", digest: "sha256:1", code: 0 });
  assert.equal(rig.taskSpec("r.ship.1").env.D, "sha256:1/value");
  rig.ends("r.ship.1");
  assert.deepEqual(rig.runOutputs(), { digest: "sha256:1" });
});

Deno.test("an output that cannot be made fails the step with a sentence", () => {
  for (
    const { end, says } of [
      { end: { stdout: "no json" }, says: /outputs\.digest: .*fromJSON: not JSON/ },
      { end: { stdout: "{}", output: "nonsense" }, says: /line 1 of \$ORMEN_OUTPUT is not KEY=value: "nonsense"/ },
      { end: { stdout: "{}", problem: "the output file cannot be read" }, says: /cannot be read/ },
      { end: { stdout: "{", truncated: true }, says: /printed more than the 64 KiB/ },
      {
        end: { stdout: JSON.stringify({ digest: "x".repeat(300_000) }) },
        says: /outputs take 293 KiB, and those of the run may take 256 KiB/,
      },
    ]
  ) {
    const rig = new WorkflowRig();
    rig.start({ steps: { build: task({ run: "x", outputs: { digest: "${{ fromJSON(stdout).digest }}" } }) } });
    rig.ends("r.build.1", end);
    assert.match(rig.step("build")!.error!, says);
    assert.equal(rig.run().state, "failed");
  }
});

Deno.test("outputs larger than a stored value are kept in pieces", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: {
      a: task({ outputs: { all: "${{ stdout }}" } }),
      b: task({ needs: ["a"], env: { N: "${{ size(steps.a.outputs.all) }}" } }),
    },
  });
  rig.ends("r.a.1", { stdout: "é".repeat(64 * 512) });
  assert.equal(rig.step("a")!.outputPieces, 2);
  assert.equal(rig.taskSpec("r.b.1").env.N, "32768");
});

Deno.test("a failed step is tried again after a delay that grows, at most as often as its limit says", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task({ retry: { limit: 2, delay: "2s", factor: 3, maxDelay: "5s", jitter: 0 } }) } });
  rig.ends("r.a.1", { exit: 7 });
  assert.equal(rig.step("a")!.state, "retrying");
  assert.equal(rig.step("a")!.dueMs, rig.wallMs + 2_000);
  assert.deepEqual(rig.drafts.flatMap(({ alarms }) => alarms), [{ topic: "step/r/a", delayMs: 2_000 }]);
  rig.wait(1_000);
  assert.deepEqual(rig.tasks(), []);
  rig.wait(1_000);
  assert.deepEqual(rig.tasks(), ["r.a.2"]);
  rig.ends("r.a.2", { exit: 7 });
  assert.equal(rig.step("a")!.dueMs, rig.wallMs + 5_000);
  rig.wait(5_000);
  rig.ends("r.a.3", { exit: 7 });
  const { state, attempts, error } = rig.step("a")!;
  assert.deepEqual([state, attempts, error], ["failed", 3, "exited with code 7"]);
  assert.deepEqual([rig.run().state, rig.run().why], ["failed", "step a failed"]);
});

Deno.test("retry.when chooses which failures are tried again", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task({ retry: { limit: 5, delay: "0s", when: "exitCode == 75 && attempt < 3" } }) } });
  rig.ends("r.a.1", { exit: 75 });
  rig.wait(1_000);
  rig.ends("r.a.2", { exit: 1 });
  assert.deepEqual([rig.step("a")!.state, rig.step("a")!.attempts], ["failed", 2]);
});

Deno.test("a container that vanishes counts as an attempt and is never started again", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task({ retry: { limit: 1, delay: "0s" } }) } });
  rig.runs("r.a.1");
  rig.vanishes("r.a.1");
  rig.wait(1_000);
  assert.deepEqual(rig.tasks(), ["r.a.2"]);
  assert.equal(rig.state.sails.get("r.a.1")!.attempts, 1);
});

Deno.test("a timeout stops the task, and the step ends once it has stopped; then it is tried again", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task({ timeout: "10s", retry: { limit: 1, delay: "0s" } }) } });
  rig.runs("r.a.1");
  rig.wait(9_000);
  assert.equal(rig.state.sails.get("r.a.1")!.desired, "run");
  rig.wait(2_000);
  assert.equal(rig.step("a")!.state, "running");
  rig.stops("r.a.1");
  assert.equal(rig.step("a")!.state, "retrying");
  rig.wait(1_000);
  rig.runs("r.a.2");
  rig.wait(11_000);
  rig.stops("r.a.2");
  assert.deepEqual([rig.step("a")!.state, rig.step("a")!.error], ["timedOut", "took longer than 10s"]);
  assert.equal(rig.run().state, "failed");
});

Deno.test("waiting for a node does not count towards a step's timeout", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: {
      a: task({ timeout: "10s", task: { image: "x", cpu: 4_000 } }),
      b: task({ task: { image: "x", cpu: 4_000 }, timeout: "10s" }),
    },
  });
  rig.wait(8_000);
  rig.ends("r.a.1");
  rig.wait(8_000);
  assert.equal(rig.step("b")!.state, "queued");
  rig.ends("r.b.1");
  assert.equal(rig.run().state, "succeeded");
});

Deno.test("a run's timeout cancels its steps, runs what follows a failure and then finally", () => {
  const rig = new WorkflowRig();
  rig.start({
    timeout: "5s",
    steps: { a: task(), b: task({ needs: ["a"] }) },
    onFailure: [task()],
    finally: [task()],
  });
  rig.runs("r.a.1");
  rig.wait(6_000);
  rig.stops("r.a.1");
  assert.deepEqual(rig.states(), { a: "cancelled", b: "cancelled", "onFailure-1": "queued", "finally-1": "pending" });
  assert.equal(rig.run().state, "finalizing");
  // A script under `sh -u` may ask for it whatever led there.
  assert.equal(rig.taskSpec("r.onFailure-1.1").env.ORMEN_FAILED_STEP, "");
  rig.ends("r.onFailure-1.1");
  assert.equal(rig.taskSpec("r.finally-1.1").env.ORMEN_FAILED_STEP, "");
  rig.ends("r.finally-1.1");
  assert.deepEqual([rig.run().state, rig.run().why], ["timedOut", "it took longer than 5s"]);
});

Deno.test("onFailure knows the step that failed; a failing finally fails a run", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task() }, onFailure: [task()], finally: [task()] });
  rig.ends("r.a.1", { exit: 1 });
  assert.equal(rig.taskSpec("r.onFailure-1.1").env.ORMEN_FAILED_STEP, "a");
  rig.ends("r.onFailure-1.1");
  rig.ends("r.finally-1.1");
  assert.equal(rig.run().state, "failed");

  const good = new WorkflowRig();
  good.start({ steps: { a: task() }, onFailure: [task()], finally: [task(), task()] });
  good.ends("r.a.1");
  good.ends("r.finally-1.1", { exit: 3 });
  good.ends("r.finally-2.1");
  assert.equal(good.step("onFailure-1"), undefined);
  assert.deepEqual([good.run().state, good.run().why], ["failed", "step finally-1 failed"]);
});

Deno.test("continueOnError keeps outcome and conclusion apart, and the run ends with a warning", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task({ continueOnError: true }), b: task({ needs: ["a"], when: "failed('a')" }) } });
  rig.ends("r.a.1", { exit: 1 });
  const { state, outcome, conclusion } = rig.step("a")!;
  assert.deepEqual([state, outcome, conclusion], ["failed", "failed", "succeeded"]);
  rig.ends("r.b.1");
  assert.equal(rig.run().state, "warning");
});

Deno.test("cancel stops what runs, starts nothing more, and runs only finally", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: { a: task(), b: task({ needs: ["a"] }), c: task({ retry: { limit: 3, delay: "1h" } }) },
    onFailure: [task()],
    finally: [task()],
  });
  rig.runs("r.a.1");
  rig.ends("r.c.1", { exit: 1 });
  assert.deepEqual(rig.input({ kind: "cancelRun", runId: "r", why: "asked" }).reply, {
    kind: "done",
    message: "run r is being cancelled",
  });
  assert.deepEqual(rig.states(), {
    a: "running",
    b: "cancelled",
    c: "cancelled",
    "onFailure-1": "pending",
    "finally-1": "pending",
  });
  rig.ends("r.a.1");
  assert.deepEqual(rig.states(), {
    a: "cancelled",
    b: "cancelled",
    c: "cancelled",
    "onFailure-1": "pending",
    "finally-1": "queued",
  });
  rig.ends("r.finally-1.1");
  assert.deepEqual([rig.run().state, rig.run().why], ["cancelled", "asked"]);
});

Deno.test("what follows any end goes on however often a run is cancelled, and over restarts of the deck", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task() }, finally: [task({ retry: { limit: 1, delay: "1s", jitter: 0 } }), task()] });
  const cancel = () => rig.input({ kind: "cancelRun", runId: "r", why: "asked" });
  cancel();
  rig.stops("r.a.1");
  rig.runs("r.finally-1.1");
  cancel();
  rig.restart();
  rig.ends("r.finally-1.1", { exit: 1 });
  assert.equal(rig.step("finally-1")!.state, "retrying");
  cancel();
  rig.restart();
  rig.wait(1_000);
  rig.ends("r.finally-1.2");
  rig.ends("r.finally-2.1");
  assert.deepEqual(rig.states(), { a: "cancelled", "finally-1": "succeeded", "finally-2": "succeeded" });
  assert.equal(rig.run().state, "cancelled");
});

Deno.test("a run that is cancelled while finally runs ends as cancelled once that has ended", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { a: task() }, finally: [task()] });
  rig.ends("r.a.1");
  rig.runs("r.finally-1.1");
  rig.input({ kind: "cancelRun", runId: "r", why: "asked" });
  rig.ends("r.finally-1.1");
  assert.deepEqual(rig.states(), { a: "succeeded", "finally-1": "succeeded" });
  assert.deepEqual([rig.run().state, rig.run().why], ["cancelled", "asked"]);
});

Deno.test("what follows a timeout goes on over a restart of the deck", () => {
  const rig = new WorkflowRig();
  rig.start({ timeout: "1m", steps: { a: task() }, onFailure: [task()], finally: [task()] });
  rig.runs("r.a.1");
  rig.wait(60_000);
  rig.stops("r.a.1");
  for (const closing of ["r.onFailure-1.1", "r.finally-1.1"]) {
    rig.runs(closing);
    rig.restart();
    rig.ends(closing);
  }
  assert.deepEqual(rig.states(), { a: "cancelled", "onFailure-1": "succeeded", "finally-1": "succeeded" });
  assert.equal(rig.run().state, "timedOut");
});

Deno.test("a run that is cancelled now runs no finally, and ends what runs of it", () => {
  const rig = new WorkflowRig();
  const now = (runId: string) => rig.input({ kind: "cancelRun", runId, why: "asked", now: true });
  rig.start({ steps: { a: task() }, finally: [task(), task()] });
  rig.ends("r.a.1");
  rig.runs("r.finally-1.1");
  now("r");
  rig.stops("r.finally-1.1");
  assert.deepEqual(rig.states(), { a: "succeeded", "finally-1": "cancelled", "finally-2": "cancelled" });
  assert.equal(rig.run().state, "cancelled");

  rig.start({ steps: { a: task() }, finally: [task()] }, { id: "whole" });
  rig.runs("whole.a.1");
  now("whole");
  rig.stops("whole.a.1");
  assert.equal(rig.run("whole").state, "cancelled");
  assert.equal(rig.tasks().some((id) => id.startsWith("whole.finally")), false);
});

Deno.test("a run that is cancelled now ends what follows the end of its sub-workflow too", () => {
  const rig = new WorkflowRig();
  const child = { name: "child", steps: { x: task() }, finally: [task()] };
  const sub = { workflow: "child.yaml" };
  rig.start({ steps: { sub, fan: { ...sub, matrix: { n: [1] } } } }, { included: { "child.yaml": child } });
  const children = ["sub", "fan"].map((id) =>
    (id === "fan" ? rig.state.steps.get("r/fan/0")! : rig.step(id)!).childRunId
  );
  for (const id of children) rig.runs(`${id}.x.1`);
  rig.input({ kind: "cancelRun", runId: "r", why: "asked" });
  for (const id of children) rig.stops(`${id}.x.1`);
  for (const id of children) rig.runs(`${id}.finally-1.1`);
  assert.equal(rig.run().state, "running");
  rig.input({ kind: "cancelRun", runId: "r", why: "asked", now: true });
  for (const id of children) rig.stops(`${id}.finally-1.1`);
  assert.equal(rig.run().state, "cancelled");
  assert.deepEqual(children.map((id) => rig.run(id!).state), ["cancelled", "cancelled"]);
});

Deno.test("a matrix has an instance for each combination, no more at once than maxParallel", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: {
      t: task({
        matrix: { os: ["alpine", "debian"], include: [{ os: "ubuntu", slow: true }] },
        maxParallel: 2,
        task: { image: "t:${{ matrix.os }}" },
        outputs: { os: "${{ matrix.os }}-${{ stdout }}" },
      }),
      after: task({ needs: ["t"], env: { ALL: "${{ toJSON(steps.t.outputs.os) }}" } }),
    },
  });
  assert.deepEqual(rig.tasks(), ["r.t.0.1", "r.t.1.1"]);
  assert.equal(rig.taskSpec("r.t.1.1").image, "t:debian");
  assert.equal(rig.taskSpec("r.t.1.1").env.ORMEN_INSTANCE, "1");
  rig.ends("r.t.1.1", { stdout: "b" });
  assert.deepEqual(rig.tasks(), ["r.t.0.1", "r.t.2.1"]);
  rig.ends("r.t.0.1", { stdout: "a" });
  rig.ends("r.t.2.1", { stdout: "c" });
  assert.deepEqual(rig.outputs("t"), { os: ["alpine-a", "debian-b", "ubuntu-c"] });
  assert.equal(rig.taskSpec("r.after.1").env.ALL, '["alpine-a","debian-b","ubuntu-c"]');
  assert.deepEqual(rig.step("t/2")!.value, { os: "ubuntu", slow: true });
});

Deno.test("failFast ends the other instances; without it they go on, and the step fails in the end", () => {
  const steps = (failFast: boolean) => ({ t: task({ matrix: { n: [0, 1, 2, 3] }, maxParallel: 2, failFast }) });
  const rig = new WorkflowRig();
  rig.start({ steps: steps(true) });
  rig.runs("r.t.0.1");
  rig.ends("r.t.1.1", { exit: 1 });
  rig.stops("r.t.0.1");
  assert.deepEqual([0, 1, 2, 3].map((n) => rig.step(`t/${n}`)!.state), [
    "cancelled",
    "failed",
    "cancelled",
    "cancelled",
  ]);
  assert.equal(rig.step("t")!.error, "instance 1 failed; 0 of 4 instances succeeded");
  assert.equal(rig.run().state, "failed");

  const slow = new WorkflowRig();
  slow.start({ steps: steps(false) });
  slow.ends("r.t.1.1", { exit: 1 });
  for (const n of [0, 2, 3]) slow.ends(`r.t.${n}.1`);
  assert.deepEqual([slow.step("t")!.state, slow.step("t")!.error], ["failed", "3 of 4 instances succeeded"]);
});

Deno.test("forEach makes an instance of each item; an empty list succeeds at once", () => {
  const rig = new WorkflowRig();
  const steps = {
    list: task({ outputs: { items: "${{ fromJSON(stdout) }}" } }),
    map: task({
      needs: ["list"],
      forEach: "${{ steps.list.outputs.items }}",
      env: { ITEM: "${{ item.name }}" },
      outputs: { n: "${{ int(stdout) }}" },
    }),
    sum: task({ needs: ["map"], env: { N: "${{ toJSON(steps.map.outputs.n) }}" } }),
  };
  rig.start({ steps });
  rig.ends("r.list.1", { stdout: JSON.stringify(Array.from({ length: 250 }, (_, i) => ({ name: `i${i}` }))) });
  assert.equal(rig.tasks().length, 250);
  assert.equal(rig.taskSpec("r.map.249.1").env.ITEM, "i249");
  rig.checkIndexes();
  for (let n = 0; n < 250; n++) rig.ends(`r.map.${n}.1`, { stdout: `${n}` });
  assert.equal(JSON.parse(rig.taskSpec("r.sum.1").env.N)[249], 249);
  rig.start({ steps }, { id: "e" });
  rig.ends("e.list.1", { stdout: "[]" });
  assert.equal(rig.taskSpec("e.sum.1").env.N, "[]");

  for (
    const { items, says } of [{ items: '"x"', says: /gives string; it must give a list/ }, {
      items: JSON.stringify(Array(1_001).fill(0)),
      says: /1001 items; at most 1000/,
    }]
  ) {
    const bad = new WorkflowRig();
    bad.start({ steps });
    bad.ends("r.list.1", { stdout: items });
    assert.match(bad.step("map")!.error!, says);
    assert.deepEqual([bad.states().sum, bad.run().state], ["upstreamFailed", "failed"]);
  }
});

Deno.test("a service step lives until those who need it healthy are done", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: {
      db: task({ task: { image: "db:1", health: { exec: ["ready"] } } }),
      migrate: task({ needs: [{ step: "db", condition: "healthy" }] }),
      test: task({ needs: ["migrate", { step: "db", condition: "healthy" }] }),
    },
  });
  rig.runs("r.db.1");
  assert.deepEqual(rig.tasks(), ["r.db.1"]);
  rig.runs("r.db.1", { health: "healthy" });
  rig.ends("r.migrate.1");
  rig.ends("r.test.1");
  assert.deepEqual([rig.state.sails.get("r.db.1")!.desired, rig.run().state], ["stop", "running"]);
  rig.stops("r.db.1");
  assert.deepEqual([rig.step("db")!.state, rig.run().state], ["succeeded", "succeeded"]);
});

Deno.test("a service that fails before it is healthy fails those who need it", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: {
      db: task({ task: { image: "db:1", health: { tcp: 1 } } }),
      use: task({ needs: [{ step: "db", condition: "healthy" }] }),
    },
  });
  rig.runs("r.db.1");
  rig.ends("r.db.1", { exit: 1 });
  assert.deepEqual(rig.states(), { db: "failed", use: "upstreamFailed" });
});

Deno.test("an approval waits, refuses what does not fit, and gives its inputs as outputs", () => {
  const rig = new WorkflowRig();
  const steps = {
    ok: {
      approval: { prompt: "Ship ${{ params.v }}?", inputs: { ticket: { type: "string", required: true } } },
      timeout: "24h",
    },
    ship: task({ needs: ["ok"], env: { T: "${{ steps.ok.outputs.ticket }}" } }),
  };
  const approval = {
    kind: "approval",
    runId: "r",
    step: "ok",
    instance: null,
    approved: true,
    inputs: {},
    reason: null,
  } as const;
  rig.start({ params: { v: { default: "v1" } }, steps });
  assert.deepEqual([rig.run().state, rig.step("ok")!.approval!.prompt], ["waiting", "Ship v1?"]);
  assert.deepEqual(rig.input(approval).reply, {
    kind: "invalid",
    problems: [{ name: "ticket", detail: "is required" }],
  });
  assert.equal(rig.step("ok")!.state, "waiting");
  rig.restart();
  assert.equal(rig.input({ ...approval, inputs: { ticket: "T-1" } }).reply instanceof Object, true);
  assert.equal(rig.taskSpec("r.ship.1").env.T, "T-1");
  assert.equal(rig.run().state, "running");
  assert.match(JSON.stringify(rig.input(approval).reply), /has ended already/);
  assert.match(JSON.stringify(rig.input({ ...approval, step: "ship" }).reply), /asks for no approval/);

  rig.start({ params: { v: { default: "v1" } }, steps }, { id: "no" });
  rig.input({ ...approval, runId: "no", approved: false, reason: "not today" });
  assert.deepEqual([rig.step("ok", "no")!.error, rig.run("no").state], ["rejected: not today", "failed"]);
  rig.start({ params: { v: { default: "v1" } }, steps }, { id: "late" });
  rig.wait(86_402_000);
  assert.equal(rig.step("ok", "late")!.state, "timedOut");
});

Deno.test("a sleep is over when its time has come, over a restart too", () => {
  const rig = new WorkflowRig();
  rig.start({ steps: { s: { sleep: "${{ '1' }}m" }, a: task({ needs: ["s"] }) } });
  rig.wait(30_000);
  rig.restart();
  rig.wait(28_000);
  assert.deepEqual([rig.tasks(), rig.run().state], [[], "waiting"]);
  rig.wait(3_000);
  assert.deepEqual(rig.tasks(), ["r.a.1"]);
});

Deno.test("an http step is a request on a sailor, judged by its expectation", () => {
  const rig = new WorkflowRig();
  const steps = {
    up: {
      http: { url: "http://${{ params.host }}/up", expect: "status == 200 && body.contains('ok')" },
      retry: { limit: 1, delay: "0s" },
      outputs: { server: "${{ headers.server }}" },
    },
  };
  rig.start({ params: { host: { default: "web:80" } }, steps });
  assert.deepEqual(rig.taskSpec("r.up.1").http, {
    url: "http://web:80/up",
    method: "GET",
    headers: {},
    body: null,
    timeoutMs: null,
  });
  rig.ends("r.up.1", { stdout: "down", answer: { status: 503, headers: {} } });
  assert.equal(rig.step("up")!.state, "retrying");
  rig.wait(1_000);
  rig.ends("r.up.2", { stdout: "ok", answer: { status: 200, headers: { server: "x" } } });
  assert.deepEqual([rig.step("up")!.state, rig.outputs("up")], ["succeeded", { server: "x" }]);
});

Deno.test("a sub-workflow is a run of its own, whose outputs are the step's", () => {
  const rig = new WorkflowRig();
  const child = {
    name: "warm",
    params: { shards: { type: "number", required: true } },
    steps: { x: task({ env: { N: "${{ params.shards }}" } }) },
    outputs: { n: "${{ params.shards * 2 }}" },
  };
  rig.start({
    steps: {
      warm: { workflow: "warm.yaml", with: { shards: "${{ 1 + 1 }}" } },
      after: task({ needs: ["warm"], env: { N: "${{ steps.warm.outputs.n }}" } }),
    },
  }, { included: { "warm.yaml": child } });
  const childId = rig.step("warm")!.childRunId!;
  assert.match(childId, /^warm-[0-9a-z]{13}$/);
  assert.equal(rig.run(childId).cause.kind, "step");
  rig.ends(`${childId}.x.1`);
  assert.equal(rig.taskSpec("r.after.1").env.N, "4");
  rig.ends("r.after.1");
  assert.deepEqual([rig.run().state, rig.run(childId).state], ["succeeded", "succeeded"]);

  rig.start({ steps: { warm: { workflow: "warm.yaml", with: { shards: 1 }, retry: { limit: 1, delay: "0s" } } } }, {
    id: "f",
    included: { "warm.yaml": child },
  });
  const first = rig.step("warm", "f")!.childRunId!;
  rig.ends(`${first}.x.1`, { exit: 2 });
  rig.wait(1_000);
  const second = rig.step("warm", "f")!.childRunId!;
  assert.notEqual(first, second);
  rig.runs(`${second}.x.1`);
  rig.input({ kind: "cancelRun", runId: "f", why: "asked" });
  rig.stops(`${second}.x.1`);
  assert.deepEqual([rig.run(second).state, rig.run("f").state], ["cancelled", "cancelled"]);
});

Deno.test("concurrency: queue waits its turn, cancel takes the place, fail refuses", () => {
  const document = (onConflict: string) => ({
    params: { env: { default: "prod" } },
    concurrency: { group: "deploy-${{ params.env }}", onConflict },
    steps: { a: task() },
  });
  const rig = new WorkflowRig();
  rig.start(document("queue"), { id: "q1" });
  rig.start(document("queue"), { id: "q2" });
  rig.start(document("queue"), { id: "other", params: { env: "staging" } });
  assert.deepEqual(["q1", "q2", "other"].map((id) => rig.run(id).state), ["running", "queued", "running"]);
  rig.restart();
  rig.ends("q1.a.1");
  assert.equal(rig.run("q2").state, "running");
  assert.match(
    JSON.stringify(rig.start(document("fail"), { id: "f" }).reply),
    /deploy-prod has 1 of 1 runs already \(q2\)/,
  );
  assert.equal(rig.run("f"), undefined);
  rig.start(document("cancel"), { id: "c" });
  assert.equal(rig.run("c").state, "queued");
  rig.stops("q2.a.1");
  assert.deepEqual([rig.run("q2").state, rig.run("c").state], ["cancelled", "running"]);
});

Deno.test("--only runs one step and skips the others; a resumed run keeps what succeeded", () => {
  const rig = new WorkflowRig();
  rig.start(DIAMOND, { only: "b" });
  assert.deepEqual(rig.tasks(), ["r.b.1"]);
  rig.ends("r.b.1");
  assert.deepEqual([rig.states(), rig.run().state], [
    { a: "skipped", b: "succeeded", c: "skipped", d: "skipped" },
    "succeeded",
  ]);

  const steps = { ...DIAMOND.steps, a: task({ outputs: { o: "${{ stdout }}" } }) };
  rig.start({ steps }, { id: "one" });
  rig.ends("one.a.1", { stdout: "kept" });
  rig.ends("one.b.1", { exit: 1 });
  rig.ends("one.c.1");
  assert.equal(rig.run("one").state, "failed");
  rig.start({ steps }, { id: "two", cause: { kind: "resume", runId: "one", from: null } });
  assert.deepEqual(rig.tasks(), ["two.b.1"]);
  assert.deepEqual([rig.step("a", "two")!.keptFrom, rig.outputs("a", "two")], ["one", { o: "kept" }]);
  rig.ends("two.b.1");
  rig.ends("two.d.1");
  assert.equal(rig.run("two").state, "succeeded");
  rig.start({ steps }, { id: "three", cause: { kind: "resume", runId: "two", from: "c" } });
  assert.deepEqual(rig.tasks(), ["three.c.1"]);
  rig.ends("three.c.1");
  assert.deepEqual(rig.tasks(), ["three.d.1"]);
});

Deno.test("a run of one step alone has the outputs that this step is enough for", () => {
  const rig = new WorkflowRig();
  const steps = {
    a: task({ outputs: { n: "${{ stdout }}" } }),
    b: task({ needs: ["a"], outputs: { n: "${{ stdout }}" } }),
  };
  const outputs = { a: "${{ steps.a.outputs.n }}", b: "${{ steps.b.outputs.n }}" };
  rig.start({ steps, outputs }, { only: "b" });
  rig.ends("r.b.1", { stdout: "2" });
  assert.deepEqual([rig.run().state, rig.runOutputs()], ["succeeded", { b: "2" }]);
});

Deno.test("onNodeLost: wait keeps the attempt, retry gives it up and starts another elsewhere", () => {
  for (const onNodeLost of ["wait", "retry"]) {
    const rig = new WorkflowRig();
    rig.start({ steps: { a: task({ onNodeLost, retry: { limit: 1, delay: "0s" } }) } });
    rig.runs("r.a.1");
    const lost = rig.state.attempts.get("r.a.1-1")!.nodeId;
    rig.join("n2");
    rig.pass(15_000, ["n2"]);
    for (let i = 0; i < 2; i++) rig.input({ kind: "alarm", topic: "step/r/a" });
    if (onNodeLost === "wait") {
      assert.deepEqual([lost, rig.step("a")!.state, rig.tasks()], ["n1", "running", ["r.a.1"]]);
    } else {
      assert.deepEqual(rig.tasks(), ["r.a.1", "r.a.2"]);
      assert.equal(rig.state.attempts.get("r.a.2-1")!.nodeId, "n2");
      assert.equal(rig.state.sails.get("r.a.1")!.desired, "stop");
    }
  }
});

Deno.test("onCrash: adopt goes on, retry counts the attempt, fail ends the step", () => {
  for (
    const { onCrash, after } of [{ onCrash: "adopt", after: "running" }, { onCrash: "retry", after: "retrying" }, {
      onCrash: "fail",
      after: "failed",
    }]
  ) {
    const rig = new WorkflowRig();
    rig.start({ steps: { a: task({ onCrash, retry: { limit: 1, delay: "1h" } }) } });
    rig.runs("r.a.1");
    rig.restart();
    if (onCrash !== "adopt") rig.stops("r.a.1");
    assert.equal(rig.step("a")!.state, after);
  }
});

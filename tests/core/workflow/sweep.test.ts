/** What is kept of runs that have ended, and of definitions that nobody refers to. */
import assert from "node:assert/strict";
import { task, WorkflowRig } from "./rig.ts";

const HOUR = 3_600_000;
const document = (name: string) => ({
  name,
  steps: { a: task({ outputs: { o: "${{ stdout }}" } }), b: task({ matrix: { n: [1, 2] }, needs: ["a"] }) },
});

function ended(rig: WorkflowRig, id: string): void {
  rig.start(document(id), { id });
  rig.ends(`${id}.a.1`, { stdout: "x" });
  for (const n of [0, 1]) rig.ends(`${id}.b.${n}.1`);
  assert.equal(rig.run(id).state, "succeeded");
}

Deno.test("an ended run goes after its time with all of its records, its definition when nobody refers to it", () => {
  const rig = new WorkflowRig({ keepEndedMs: HOUR });
  ended(rig, "old");
  rig.start(document("live"), { id: "live" });
  rig.wallMs += HOUR / 2;
  rig.input({ kind: "sweep" });
  assert.deepEqual([...rig.state.runs.keys()], ["old", "live"]);
  rig.wallMs += HOUR;
  rig.input({ kind: "sweep" });
  assert.deepEqual([...rig.state.runs.keys()], ["live"]);
  assert.deepEqual([...rig.state.steps.keys()], ["live/a"]);
  assert.equal(rig.state.outputs.size, 0);
  assert.equal(rig.state.definitions.size, 1, "that of the run which has not ended");
});

Deno.test("a definition that was only sent stays for an hour, one of a registered workflow for as long as that", () => {
  const rig = new WorkflowRig();
  const sent = rig.define(document("sent"));
  const kept = rig.define(document("kept"));
  rig.input({ kind: "applyWorkflow", name: "kept", hash: kept });
  rig.wallMs += HOUR - 1;
  rig.input({ kind: "sweep" });
  assert.ok(rig.state.definitions.has(sent));
  rig.wallMs += 1;
  rig.input({ kind: "sweep" });
  assert.deepEqual([...rig.state.definitions.keys()], [kept]);
});

Deno.test("a sub-workflow's run is kept while its parent has not ended, and what is being resumed too", () => {
  const rig = new WorkflowRig({ keepEndedMs: 1 });
  const child = { name: "child", steps: { x: task() } };
  rig.start({ steps: { sub: { workflow: "child" }, after: task({ needs: ["sub"] }) } }, { included: { child } });
  const childId = rig.step("sub")!.childRunId!;
  rig.ends(`${childId}.x.1`);
  rig.wallMs += HOUR;
  rig.input({ kind: "sweep" });
  assert.ok(rig.state.runs.has(childId));
  rig.ends("r.after.1");
  rig.wallMs += HOUR;
  rig.input({ kind: "sweep" });
  assert.equal(rig.state.runs.size, 0);
});

Deno.test("more ended runs than are kept: the oldest go, a piece at a time", () => {
  const rig = new WorkflowRig({ keepEndedMax: 20 });
  for (let i = 0; i < 60; i++) {
    ended(rig, `r${i}`);
    rig.wallMs += 1;
  }
  const before = rig.drafts.length;
  rig.input({ kind: "sweep" });
  assert.deepEqual([rig.state.runs.size, rig.state.runs.has("r59"), rig.state.runs.has("r39")], [20, true, false]);
  // A write takes a thousand changes.
  assert.ok(rig.drafts.slice(before).every(({ changes }) => changes.length < 900));
});

Deno.test("a slot fires once, also when its run is not kept any more", () => {
  const rig = new WorkflowRig({ keepEndedMs: 1 });
  const hash = rig.define({ name: "tick", schedule: { cron: "* * * * *" }, steps: { a: task() } });
  rig.input({ kind: "applyWorkflow", name: "tick", hash });
  const slot = { kind: "slot", workflow: "tick", slotMs: rig.wallMs + 1, fire: true } as const;
  rig.input(slot);
  const [id] = rig.state.runs.keys();
  rig.input(slot);
  assert.equal(rig.state.runs.size, 1);
  rig.ends(`${id}.a.1`);
  rig.wallMs += HOUR;
  rig.input({ kind: "sweep" });
  rig.input(slot);
  assert.equal(rig.state.runs.size, 0);
});

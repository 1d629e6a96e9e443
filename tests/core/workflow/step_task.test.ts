/** The task that is an attempt of a step must be one that the store and the sailor can take, whatever was filled in. */
import assert from "node:assert/strict";
import { SPEC_BYTES_MAX } from "../../../lib/core/documents/task.ts";
import { taskSpec } from "../../../lib/messages/task_spec.ts";
import { task, WorkflowRig } from "./rig.ts";

const LARGE = "x".repeat(SPEC_BYTES_MAX);
const makes = task({ run: "x", outputs: { large: "${{ stdout }}" } });

for (
  const [name, step] of [
    ["an environment", task({ needs: ["makes"], env: { D: "${{ steps.makes.outputs.large }}" } })],
    [
      "a request's body",
      { needs: ["makes"], http: { url: "http://a/", method: "POST", body: "${{ steps.makes.outputs.large }}" } },
    ],
    ["a URL", { needs: ["makes"], http: { url: "http://a/${{ steps.makes.outputs.large }}" } }],
  ] as const
) {
  Deno.test(`${name} that is too large once it is filled in fails its step with a sentence`, () => {
    const rig = new WorkflowRig();
    rig.start({ steps: { makes, takes: step } });
    rig.ends("r.makes.1", { stdout: LARGE });
    assert.equal(rig.step("takes")?.state, "failed");
    assert.match(rig.step("takes")!.error!, /its task takes \d+ bytes once it is filled in; at most 61440 can be kept/);
  });
}

Deno.test("tasks of steps are such as a sailor reads", () => {
  const rig = new WorkflowRig();
  rig.start({
    steps: { a: makes, b: { http: { url: "http://a/", headers: { "X-A": "b" }, body: "c", method: "PUT" } } },
  });
  for (const id of rig.tasks()) assert.ok(taskSpec.safeParse(rig.taskSpec(id)).success, id);
});

/** What people ask of runs: to start, to cancel, to go on after an approval, to resume. */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import { byteLength } from "../documents/task.ts";
import type { Input } from "../input.ts";
import { concludeRun } from "./advance.ts";
import { endAttempt } from "./attempt_end.ts";
import { putRun, putStep } from "./changes.ts";
import { activeIn, groupOf, limitOf, makeRun } from "./make_run.ts";
import { resolveParams } from "./params.ts";
import type { Plan } from "./plan.ts";
import type { RunRecord } from "./records.ts";
import { isRunFinal, isStepFinal, RECORD_PART_BYTES_MAX, stepLabel, stepRecordId } from "./records.ts";
import { FillError } from "./values.ts";

export type StartDecision =
  | { readonly kind: "started"; readonly runId: string }
  | { readonly kind: "conflict"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string };

export type RunDecision =
  | { readonly kind: "done"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string }
  | { readonly kind: "conflict"; readonly message: string };

export function decideStartRun(world: World, draft: Draft, input: Extract<Input, { kind: "startRun" }>): void {
  draft.reply = startRunAsked(world, draft, input);
}

function startRunAsked(world: World, draft: Draft, input: Extract<Input, { kind: "startRun" }>): StartDecision {
  const { state } = world;
  const { kind: _kind, ...given } = input;
  const plan = state.definition(given.definition)?.plan(given.document);
  if (!plan) return { kind: "notFound", message: "the workflow's definition is not there any more; send it again" };
  const existing = state.runs.get(given.id);
  if (existing) {
    const same = existing.definition === given.definition &&
      JSON.stringify(existing.params) === JSON.stringify(given.params);
    if (same) return { kind: "started", runId: existing.id };
    return { kind: "conflict", message: `there is a run ${given.id} already, with another workflow or other params` };
  }
  const bytes = byteLength(JSON.stringify(given.params));
  if (bytes > RECORD_PART_BYTES_MAX) {
    return { kind: "conflict", message: `the params take ${bytes} bytes; at most ${RECORD_PART_BYTES_MAX}` };
  }
  if (given.only !== null && !plan.phases.steps.some(({ id }) => id === given.only)) {
    return { kind: "notFound", message: `workflow ${plan.spec.name} has no step ${given.only}` };
  }
  try {
    const refusal = makeRoom(world, draft, plan, given);
    if (refusal !== null) return { kind: "conflict", message: refusal };
    makeRun(world, draft, given);
  } catch (error) {
    if (error instanceof FillError) return { kind: "conflict", message: error.message };
    throw error;
  }
  return { kind: "started", runId: given.id };
}

/** A sentence when its group takes no other run; those that it replaces are cancelled. */
export function makeRoom(
  world: World,
  draft: Draft,
  plan: Plan,
  given: Pick<RunRecord, "id" | "params" | "definition" | "document">,
): string | null {
  const { concurrency } = plan.spec;
  if (!concurrency || concurrency.onConflict === "queue") return null;
  const group = groupOf(world.state, plan, { ...given, workflow: plan.spec.name, failedStep: null } as RunRecord)!;
  const active = activeIn(world.state, group);
  if (active.length < limitOf(plan)) return null;
  if (concurrency.onConflict === "fail") {
    return `${group} has ${active.length} of ${limitOf(plan)} runs already (${active[0].id}); ` +
      "wait for its end, or choose another onConflict";
  }
  for (const id of [...world.state.groups.get(group) ?? []]) {
    const run = world.state.runs.get(id)!;
    if (run.ending === null) cancelRun(world, draft, run, `run ${given.id} takes its place`);
  }
  return null;
}

export function decideCancelRun(world: World, draft: Draft, input: Extract<Input, { kind: "cancelRun" }>): void {
  const run = world.state.runs.get(input.runId);
  if (!run) {
    draft.reply = { kind: "notFound", message: `no run ${input.runId}` } satisfies RunDecision;
  } else if (isRunFinal(run.state)) {
    draft.reply = { kind: "done", message: `run ${run.id} had ended already (${run.state})` } satisfies RunDecision;
  } else {
    cancelRun(world, draft, run, input.why, input.now);
    draft.reply = { kind: "done", message: `run ${run.id} is being cancelled` } satisfies RunDecision;
  }
}

/** Asked again it changes nothing: whoever got no answer asks again. `now`: without what follows any end. */
function cancelRun(world: World, draft: Draft, run: RunRecord, why: string, now = false): void {
  if (run.state === "queued") {
    return concludeRun(world, draft, putRun(draft, run, { ending: "cancelled" }), "cancelled", why);
  }
  const ending = now ? "killed" : "cancelled";
  if (run.ending === ending || run.ending === "killed") return;
  if (run.ending === "timedOut" && run.phase === "finally" && !now) return;
  putRun(draft, run, { ending, deadlineMs: null, preparing: false, why });
  draft.event("runCancelling", `run ${run.id} is being cancelled: ${why}`, { runId: run.id });
  draft.follow.push({ kind: "cancelSteps", runId: run.id, from: 0 });
}

export type ApprovalDecision = RunDecision | {
  readonly kind: "invalid";
  readonly problems: readonly { readonly name: string; readonly detail: string }[];
};

export function decideApproval(world: World, draft: Draft, input: Extract<Input, { kind: "approval" }>): void {
  draft.reply = approvalAsked(world, draft, input);
}

function approvalAsked(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "approval" }>,
): ApprovalDecision {
  const { state } = world;
  const run = state.runs.get(input.runId);
  if (!run) return { kind: "notFound", message: `no run ${input.runId}` };
  const plan = state.plan(run);
  const action = plan.byId.get(input.step)?.spec.action;
  if (!action) return { kind: "notFound", message: `run ${run.id} has no step ${input.step}` };
  if (action.kind !== "approval") return { kind: "conflict", message: `step ${input.step} asks for no approval` };
  const step = state.steps.get(stepRecordId(run.id, input.step, input.instance));
  if (step?.fan) {
    return { kind: "conflict", message: `step ${input.step} has ${step.fan.total} instances; say which one` };
  }
  if (!step || step.state !== "waiting") {
    const what = !step || step.state === "pending"
      ? "does not wait for approval yet"
      : isStepFinal(step.state)
      ? `has ended already (${step.state})`
      : `is ${step.state}`;
    return { kind: "conflict", message: `step ${input.step} of run ${run.id} ${what}` };
  }
  const label = stepLabel(step);
  const about = { runId: run.id, step: label };
  if (!input.approved) {
    const reason = input.reason === null ? "rejected" : `rejected: ${input.reason}`;
    draft.event("stepRejected", `${label} was ${reason}`, about);
    const asked = putStep(draft, step, { approval: { ...step.approval!, approved: false, reason: input.reason } });
    endAttempt(world, draft, asked, { outcome: "failed", error: reason, exitCode: null, result: null, retry: false });
    return { kind: "done", message: `step ${label} of run ${run.id} was rejected` };
  }
  const inputs = resolveParams(action.inputs, input.inputs);
  if (inputs.kind === "problems") return { kind: "invalid", problems: inputs.problems };
  if (byteLength(JSON.stringify(inputs.params)) > RECORD_PART_BYTES_MAX) {
    return { kind: "conflict", message: `the inputs take more than ${RECORD_PART_BYTES_MAX / 1024} KiB` };
  }
  draft.event("stepApproved", `${label} was approved`, about);
  const asked = putStep(draft, step, { approval: { ...step.approval!, approved: true, inputs: inputs.params } });
  endAttempt(world, draft, asked, {
    ...{ outcome: "succeeded", error: null, exitCode: null, result: null, retry: false },
    outputs: inputs.params,
  });
  return { kind: "done", message: `step ${label} of run ${run.id} was approved` };
}

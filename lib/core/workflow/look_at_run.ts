/**
 * After a start of the deck, or of its store: what was under way in a run, looked at once as a whole. Nothing of it is needed
 * while the deck runs, when every change leads to the next; what a crash cut off between two writes is found here.
 */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import { giveUp } from "./attempt_end.ts";
import { startNext } from "./make_run.ts";
import { isPhaseEnding, isRunFinal, isStepFinal } from "./records.ts";
import type { RunRecord, StepRecord } from "./records.ts";

export function decideLookAtRun(world: World, draft: Draft, input: Extract<Input, { kind: "lookAtRun" }>): void {
  const { state } = world;
  const run = state.runs.get(input.runId);
  if (!run || isRunFinal(run.state)) return;
  if (run.state === "queued") {
    if (run.group !== null) startNext(world, draft, run.group);
    return;
  }
  if (run.preparing) return void draft.follow.push({ kind: "prepareRun", runId: run.id, from: 0 });
  for (const id of [...state.stepsByRun.get(run.id) ?? []]) {
    const step = state.steps.get(id)!;
    if (step.state !== "pending" && !isStepFinal(step.state)) lookAtStep(world, draft, run, step, input.crashed);
  }
  if (isPhaseEnding(run)) draft.follow.push({ kind: "cancelSteps", runId: run.id, from: 0 });
  draft.follow.push({ kind: "advance", runId: run.id, steps: null });
}

function lookAtStep(world: World, draft: Draft, run: RunRecord, step: StepRecord, crashed: boolean): void {
  const { state } = world;
  const { spec, isService } = state.plan(run).byId.get(step.step)!;
  if (step.fan) {
    draft.follow.push({ kind: "fanOut", stepId: step.id, cancelFrom: step.ending === null ? null : 0 });
    return;
  }
  if (step.dueMs !== null) draft.follow.push({ kind: "alarm", topic: `step/${step.id}` });
  if (step.childRunId !== null) draft.follow.push({ kind: "childEnded", runId: step.childRunId });
  if (step.rolloutId !== undefined) {
    draft.follow.push({ kind: "rolloutEnded", stepId: step.id, rolloutId: step.rolloutId });
  }
  if (isService) draft.follow.push({ kind: "endService", stepId: step.id });
  const isTask = spec.action.kind === "task" || spec.action.kind === "http";
  if (crashed && isTask && spec.onCrash !== "adopt" && step.ending === null && step.state !== "retrying") {
    draft.follow.push({ kind: "crashed", stepId: step.id });
  }
}

export function decideCrashed(world: World, draft: Draft, input: Extract<Input, { kind: "crashed" }>): void {
  const { state } = world;
  const step = state.steps.get(input.stepId);
  const run = step && state.runs.get(step.runId);
  if (!step || !run || step.ending !== null || step.state === "retrying") return;
  const { onCrash } = state.plan(run).byId.get(step.step)!.spec;
  const error = `the deck ended while it ran, and onCrash says ${onCrash}`;
  giveUp(world, draft, step, { outcome: "failed", error, retry: onCrash === "retry" });
}

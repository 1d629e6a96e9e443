/**
 * What becomes of a step when one attempt at it is over: another one, at once or later, or the step's end.
 * Also how an attempt is ended before its own time: its task is stopped first, and the end that was decided waits for it.
 */
import { isFinal } from "../attempt.ts";
import { endSail, putSail, stopAttempt } from "../changes.ts";
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { StepResult } from "../outgoing.ts";
import { isSailFinal } from "../sail.ts";
import { formatDuration } from "../documents/units.ts";
import type { RetrySpec } from "../documents/workflow.ts";
import { putStep, shortened } from "./changes.ts";
import type { Value } from "./expression.ts";
import type { Outputs } from "./outputs.ts";
import { parseOutputLines } from "./outputs.ts";
import type { PlannedStep } from "./plan.ts";
import type { StepEnding, StepRecord } from "./records.ts";
import { isPhaseEnding, isStepFinal, stepLabel } from "./records.ts";
import { leaveRollout } from "./leave_rollout.ts";
import { endStep } from "./step_end.ts";
import type { Scene } from "./values.ts";
import { evaluateCondition, FillError, fillText } from "./values.ts";

/** How an attempt ended. `result` null: nothing is known of what it printed. */
export interface AttemptEnd {
  readonly outcome: "succeeded" | "failed" | "timedOut" | "cancelled";
  readonly error: string | null;
  readonly exitCode: number | null;
  readonly result: StepResult | null;
  /** Outputs that are not made by expressions: of an approval, a sub-workflow. */
  readonly outputs?: Outputs;
  /** Whether retries may be used. */
  readonly retry: boolean;
}

export function endAttempt(world: World, draft: Draft, step: StepRecord, end: AttemptEnd): void {
  const { state } = world;
  const run = state.runs.get(step.runId)!;
  const plan = state.plan(run);
  const planned = plan.byId.get(step.step)!;
  const scene: Scene = { state, run, plan, step, extra: printed(end) };
  const judged = end.outcome === "succeeded" ? judgeSuccess(scene, planned, end) : { ...end, outputs: {} };
  if (judged.outcome === "failed" || judged.outcome === "timedOut") {
    const retry = end.retry && !isPhaseEnding(run) && step.attempts <= planned.spec.retry.limit &&
      !isFanEnding(world, step);
    const wanted = retry ? wantsRetry(scene, planned, judged.outcome) : false;
    if (typeof wanted === "string") return void endStep(world, draft, step, { outcome: "failed", error: wanted });
    if (wanted) return retryLater(draft, step, planned, judged.error ?? judged.outcome);
  }
  endStep(world, draft, step, judged);
}

function printed({ exitCode, outcome, result }: AttemptEnd): Record<string, Value> {
  return {
    exitCode: exitCode ?? -1,
    outcome,
    stdout: result?.stdout ?? "",
    stderr: result?.stderr ?? "",
    status: result?.answer?.status ?? 0,
    headers: result?.answer?.headers ?? {},
    body: result?.stdout ?? "",
  };
}

/** A success counts once its outputs are there and an answer is the expected one. */
function judgeSuccess(scene: Scene, { spec }: PlannedStep, end: AttemptEnd) {
  const failed = (error: string) => ({ outcome: "failed" as const, error, outputs: {} });
  const { result } = end;
  if (result?.problem) return failed(result.problem);
  try {
    if (spec.action.kind === "http") {
      const { expect } = spec.action;
      if (!evaluateCondition(scene, expect, "http.expect", "expect")) {
        return failed(`answered with status ${result?.answer?.status ?? "none"}; expected ${expect}`);
      }
    }
    const lines = parseOutputLines(result?.output ?? "");
    if (lines.kind === "problem") return failed(lines.detail);
    const outputs: Record<string, Value> = { ...end.outputs, ...lines.outputs };
    for (const [name, text] of Object.entries(spec.outputs)) {
      if (result?.truncated && /\bstdout\b/.test(text)) {
        return failed(
          `outputs.${name}: it printed more than the 64 KiB that expressions see; write it to $ORMEN_OUTPUT`,
        );
      }
      outputs[name] = fillText(scene, text, `outputs.${name}`, "outputs");
    }
    return { outcome: "succeeded" as const, error: null, outputs };
  } catch (error) {
    if (error instanceof FillError) return failed(error.message);
    throw error;
  }
}

/** A sentence when the condition itself is wrong. */
function wantsRetry(scene: Scene, { spec }: PlannedStep, outcome: string): boolean | string {
  if (spec.retry.when === null) return true;
  try {
    const extra = { ...scene.extra, outcome };
    return evaluateCondition({ ...scene, extra }, spec.retry.when, "retry.when", "retry");
  } catch (error) {
    if (error instanceof FillError) return error.message;
    throw error;
  }
}

function isFanEnding(world: World, { runId, step, instance }: StepRecord): boolean {
  return instance !== null && world.state.steps.get(`${runId}/${step}`)!.ending !== null;
}

/** delay * factor^n, at most maxDelay, before it is spread by jitter; n counts the retries before this one. */
export function retryDelayMs(retry: RetrySpec, attempts: number): number {
  return Math.min(retry.maxDelayMs, retry.delayMs * retry.factor ** Math.min(attempts - 1, 1_000));
}

function retryLater(draft: Draft, step: StepRecord, { spec: { retry } }: PlannedStep, why: string): void {
  const { wallMs, chance } = draft.context;
  const delayMs = Math.round(retryDelayMs(retry, step.attempts) * (1 + retry.jitter * (2 * chance - 1)));
  putStep(draft, step, {
    state: "retrying",
    dueMs: wallMs + delayMs,
    deadlineMs: null,
    ending: null,
    error: shortened(why),
  });
  draft.alarms.push({ topic: `step/${step.id}`, delayMs });
  const label = stepLabel(step);
  draft.event(
    "stepRetrying",
    `${label} is tried again in ${formatDuration(delayMs)} (attempt ${step.attempts} of ${retry.limit + 1}): ${why}`,
    { runId: step.runId, step: label },
  );
}

/**
 * Ends what a step does, whatever it is: its task is stopped, its sub-workflow cancelled. The step ends with them; at
 * once where nothing runs, or where its node does not answer.
 */
export function giveUp(world: World, draft: Draft, step: StepRecord, ending: StepEnding): void {
  if (isStepFinal(step.state)) return;
  const { state } = world;
  const task = step.state === "queued" || step.state === "running" ? state.sails.get(step.taskId ?? "") : undefined;
  if (task && !isSailFinal(task.state)) {
    const marked = putStep(draft, step, { ending: step.ending ?? ending, deadlineMs: null });
    const attempt = state.attempts.get(task.currentAttemptId ?? "");
    if (!attempt || isFinal(attempt.state)) {
      // What is told of the task's end finds the ending that is noted here.
      endSail(draft, putSail(draft, task, { desired: "stop" }), "stopped", "its step was ended before it was placed");
      return;
    }
    if (task.desired !== "stop") {
      putSail(draft, task, { desired: "stop", state: "stopping" });
      stopAttempt(world, draft, attempt, task.graceMs);
    }
    if (attempt.state === "unknown") concludeEnding(world, draft, marked);
    return;
  }
  const child = state.runs.get(step.childRunId ?? "");
  if (child && child.endedMs === null && step.state === "running") {
    putStep(draft, step, { ending: step.ending ?? ending, deadlineMs: null });
    const now = state.runs.get(step.runId)!.ending === "killed";
    draft.follow.push({ kind: "cancelRun", runId: child.id, why: "its step was ended", now });
    return;
  }
  if (step.state === "running" && step.rolloutId !== undefined) {
    leaveRollout(world, draft, step);
  }
  endAttempt(world, draft, world.state.steps.get(step.id)!, { ...ending, exitCode: null, result: null });
}

/** The end that was decided, now that nothing of the attempt runs any more. */
export function concludeEnding(world: World, draft: Draft, step: StepRecord, result: StepResult | null = null): void {
  const { outcome, error, retry } = step.ending!;
  endAttempt(world, draft, step, { outcome, error, retry, exitCode: null, result });
}

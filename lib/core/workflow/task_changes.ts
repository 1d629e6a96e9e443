/**
 * What happens to the tasks that are attempts of steps, told to the steps. Called at the end of every decision that
 * changed such a task, within its write: a step's end and what it was made of are durable together.
 */
import type { AttemptRecord } from "../attempt.ts";
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { StepResult } from "../outgoing.ts";
import type { SailRecord } from "../sail.ts";
import { isSailFinal } from "../sail.ts";
import { concludeEnding, endAttempt, giveUp } from "./attempt_end.ts";
import { putStep } from "./changes.ts";
import type { StepRecord } from "./records.ts";
import { isStepFinal } from "./records.ts";
import { tellStarted } from "./started.ts";

export function followTasks(world: World, draft: Draft): void {
  // Ending a step may stop tasks of others, which come later in the list then.
  for (let at = 0; at < draft.changes.length; at++) {
    const change = draft.changes[at];
    if (change.kind !== "sail" && change.kind !== "attempt") continue;
    const sailId = change.kind === "sail" ? change.id : change.value?.sailId;
    const sail = sailId === undefined ? undefined : world.state.sails.get(sailId);
    if (sail?.stepId === undefined) continue;
    followTask(world, draft, sail, sail.stepId, draft.results.get(sail.id) ?? null);
  }
}

function followTask(
  world: World,
  draft: Draft,
  sail: SailRecord,
  stepId: string,
  result: StepResult | null,
): void {
  const { state } = world;
  let step = state.steps.get(stepId);
  if (!step || step.taskId !== sail.id || isStepFinal(step.state) || step.state === "retrying") return;
  const attempt = state.attempts.get(sail.currentAttemptId ?? "");
  // One that ends quickly is never told of as running.
  if (isSailFinal(sail.state) && !step.started && attempt?.observed.startedMs != null) {
    step = putStep(draft, step, { started: true });
    tellStarted(world, draft, step);
  }
  if (isSailFinal(sail.state)) {
    if (step.ending) return concludeEnding(world, draft, step, result);
    return endAttempt(world, draft, step, {
      outcome: sail.state === "completed" ? "succeeded" : "failed",
      error: sail.state === "completed"
        ? null
        : sail.state === "stopped"
        ? "its task was stopped by somebody"
        : failureOf(sail, attempt),
      exitCode: attempt?.observed.exitCode ?? null,
      result,
      retry: sail.state !== "stopped",
    });
  }
  if (step.ending) {
    // Nobody can say when its node comes back; the task stays asked to stop.
    if (attempt?.state === "unknown") concludeEnding(world, draft, step);
    return;
  }
  if (sail.state === "unknown") return nodeLost(world, draft, step);
  noteProgress(world, draft, step, sail, attempt);
}

/** Why it failed, and the last line that it printed. */
function failureOf(sail: SailRecord, attempt: AttemptRecord | undefined): string {
  const last = attempt?.observed.outputTail?.trimEnd().split("\n").at(-1)?.trim();
  return last ? `${sail.why}: ${last.slice(0, 500)}` : sail.why ?? "failed";
}

function nodeLost(world: World, draft: Draft, step: StepRecord): void {
  const run = world.state.runs.get(step.runId)!;
  if (world.state.plan(run).byId.get(step.step)!.spec.onNodeLost !== "retry") return;
  giveUp(world, draft, step, { outcome: "failed", error: "its node does not answer", retry: true });
}

function noteProgress(
  world: World,
  draft: Draft,
  step: StepRecord,
  sail: SailRecord,
  attempt: AttemptRecord | undefined,
): void {
  const { wallMs } = draft.context;
  const run = world.state.runs.get(step.runId)!;
  const planned = world.state.plan(run).byId.get(step.step)!;
  const change: { -readonly [K in keyof StepRecord]?: StepRecord[K] } = {};
  // Waiting for a node does not count: the time runs from when one has been found.
  if (sail.state !== "pending" && step.startedMs === null) change.startedMs = wallMs;
  if (sail.state !== "pending" && step.deadlineMs === null && planned.spec.timeoutMs !== null) {
    change.deadlineMs = wallMs + planned.spec.timeoutMs;
  }
  if (sail.state === "running") {
    if (step.state !== "running") change.state = "running";
    if (!step.started) change.started = true;
    const healthy = attempt?.observed.health === "healthy";
    if (healthy && !step.healthy) change.healthy = true;
  }
  if (Object.keys(change).length === 0) return;
  const next = putStep(draft, step, change);
  if (next.started !== step.started || next.healthy !== step.healthy) tellStarted(world, draft, next);
}

/** What time and other runs do to a step: a retry that is due, a sleep that is over, a deadline, the end of a sub-workflow. */
import { formatDuration } from "../documents/units.ts";
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import { concludeEnding, endAttempt, giveUp, retryDelayMs } from "./attempt_end.ts";
import { putRun, putStep } from "./changes.ts";
import { outputsOfRun } from "./outputs.ts";
import type { RunRecord, StepRecord } from "./records.ts";
import { isPhaseEnding, isRunFinal, isStepFinal } from "./records.ts";
import { sceneOf, sleepMs, startAttempt } from "./step_start.ts";
import { FillError } from "./values.ts";

const DEADLINES_PER_TICK = 100;

/** Alarms only wake: whether it is due stands in the step. */
export function wakeStep(world: World, draft: Draft, stepId: string): void {
  const { state } = world;
  const step = state.steps.get(stepId);
  if (!step || step.dueMs === null || isStepFinal(step.state)) return;
  const { wallMs } = draft.context;
  const leftMs = Math.min(step.dueMs - wallMs, longestWaitMs(world, step));
  if (leftMs > 0) {
    // The clock has gone back since it was set.
    if (step.dueMs - wallMs > leftMs) putStep(draft, step, { dueMs: wallMs + leftMs });
    draft.alarms.push({ topic: `step/${step.id}`, delayMs: leftMs });
    return;
  }
  const run = state.runs.get(step.runId)!;
  if (step.state === "retrying" && step.ending === null && !isPhaseEnding(run)) return startAttempt(world, draft, step);
  if (step.state === "waiting") {
    endAttempt(world, draft, step, { outcome: "succeeded", error: null, exitCode: null, result: null, retry: false });
  }
}

/** What a step that is tried again, or sleeps, waits for in all. */
function longestWaitMs(world: World, step: StepRecord): number {
  const run = world.state.runs.get(step.runId)!;
  const { retry, action } = world.state.plan(run).byId.get(step.step)!.spec;
  if (step.state === "retrying") return Math.ceil(retryDelayMs(retry, step.attempts) * (1 + retry.jitter));
  if (action.kind !== "sleep") return Infinity;
  try {
    return sleepMs(sceneOf(world, run, step), action.duration);
  } catch (error) {
    // What it was made of has changed since it began: nothing can be said.
    if (error instanceof FillError) return Infinity;
    throw error;
  }
}

/** What is left of `of`'s time, were it set just now; Infinity: it has no limit. */
function timeoutOf({ state }: World, of: "run" | "step", id: string): number {
  const step = of === "step" ? state.steps.get(id)! : undefined;
  const run = state.runs.get(step?.runId ?? id)!;
  const { spec, byId } = state.plan(run);
  return (step ? byId.get(step.step)!.spec.timeoutMs : spec.timeoutMs) ?? Infinity;
}

/** An alarm should have rung by then; this is the second way to what is due. */
const ALARM_LATE_MS = 2_000;

/** Finds out whose time is over, or has come unnoticed; what follows is decided one by one. */
export function judgeDeadlines(world: World, draft: Draft): void {
  const { state } = world;
  const { wallMs } = draft.context;
  let found = 0;
  for (const key of state.deadlines) {
    const [kind, id] = [key.slice(0, key.indexOf("/")), key.slice(key.indexOf("/") + 1)];
    const deadlineMs = (kind === "run" ? state.runs.get(id)! : state.steps.get(id)!).deadlineMs;
    const dueMs = kind === "run" ? null : state.steps.get(id)!.dueMs;
    const of = kind as "run" | "step";
    // Further ahead than any wait: it was set before the clock went back.
    const isDue = dueMs !== null &&
      (dueMs + ALARM_LATE_MS <= wallMs || dueMs - wallMs > longestWaitMs(world, state.steps.get(id)!));
    const isOver = deadlineMs !== null &&
      (deadlineMs <= wallMs || deadlineMs - wallMs > timeoutOf(world, of, id));
    if (isDue) draft.follow.push({ kind: "alarm", topic: key });
    else if (isOver) draft.follow.push({ kind: "deadline", of, id });
    else continue;
    if (++found >= DEADLINES_PER_TICK) return;
  }
}

export function decideDeadline(world: World, draft: Draft, input: Extract<Input, { kind: "deadline" }>): void {
  const { state } = world;
  const { wallMs } = draft.context;
  if (input.of === "run") {
    const run = state.runs.get(input.id);
    if (!run || run.deadlineMs === null || isRunFinal(run.state)) return;
    const timeoutMs = timeoutOf(world, "run", run.id);
    if (run.deadlineMs - wallMs > timeoutMs) return void putRun(draft, run, { deadlineMs: wallMs + timeoutMs });
    if (run.deadlineMs > wallMs) return;
    const tookMs = run.deadlineMs - run.startedMs!;
    putRun(draft, run, { ending: "timedOut", deadlineMs: null, why: `it took longer than ${formatDuration(tookMs)}` });
    draft.event("runCancelling", `run ${run.id} took longer than ${formatDuration(tookMs)}`, { runId: run.id });
    draft.follow.push({ kind: "cancelSteps", runId: run.id, from: 0 });
    return;
  }
  const step = state.steps.get(input.id);
  if (!step || step.deadlineMs === null || isStepFinal(step.state)) return;
  const timeoutMs = timeoutOf(world, "step", step.id);
  if (step.deadlineMs - wallMs > timeoutMs) return void putStep(draft, step, { deadlineMs: wallMs + timeoutMs });
  if (step.deadlineMs > wallMs) return;
  // Its sailor may be about to say that it has ended long ago: after a start of the deck all of them come back.
  if (isBetweenSessions(world, step)) return;
  const error = `took longer than ${formatDuration(timeoutMs)}`;
  giveUp(world, draft, step, { outcome: "timedOut", error, retry: true });
}

function isBetweenSessions({ state }: World, step: StepRecord): boolean {
  const attempt = state.attempts.get(state.sails.get(step.taskId ?? "")?.currentAttemptId ?? "");
  const mast = attempt && state.masts.get(attempt.nodeId);
  return mast !== undefined && mast.status !== "down" && !state.live.get(mast.id)?.sessionId;
}

export function decideChildEnded(world: World, draft: Draft, input: Extract<Input, { kind: "childEnded" }>): void {
  const { state } = world;
  const child = state.runs.get(input.runId);
  if (child?.cause.kind !== "step" || !isRunFinal(child.state)) return;
  const step = state.steps.get(child.cause.stepId);
  if (!step || step.childRunId !== child.id || step.state !== "running") return;
  if (step.ending) return concludeEnding(world, draft, step);
  const good = child.state === "succeeded" || child.state === "warning";
  endAttempt(world, draft, step, {
    outcome: good ? "succeeded" : child.state === "timedOut" ? "timedOut" : "failed",
    error: good ? null : `run ${child.id} ${wordsOf(child)}`,
    exitCode: null,
    result: null,
    outputs: good ? outputsOfRun(state, child) : {},
    retry: child.state !== "cancelled",
  });
}

function wordsOf({ state, why }: RunRecord): string {
  const words = state === "timedOut" ? "timed out" : state;
  return why === null ? words : `${words}: ${why}`;
}

/** Nobody needs the service any more. */
export function decideEndService(world: World, draft: Draft, input: Extract<Input, { kind: "endService" }>): void {
  const step = world.state.steps.get(input.stepId);
  if (!step || isStepFinal(step.state) || step.ending !== null) return;
  const run = world.state.runs.get(step.runId)!;
  if (world.state.runIndex(run).users.get(step.step) !== 0) return;
  giveUp(world, draft, step, { outcome: "succeeded", error: null, retry: false });
}

/**
 * Carries a run on: starts steps whose needs are decided, leads from its steps to what closes it, and ends it.
 * Level-triggered: looking again changes nothing where nothing is due.
 */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { EventKind } from "../event.ts";
import type { Input } from "../input.ts";
import { giveUp } from "./attempt_end.ts";
import { pendingStep, putRun, putStep, shortened } from "./changes.ts";
import { startNext } from "./make_run.ts";
import { textOf } from "./expression.ts";
import type { Value } from "./expression.ts";
import { outputsBytes, putOutputs } from "./outputs.ts";
import type { RunPhase, RunRecord, RunState } from "./records.ts";
import { isPhaseEnding, isRunFinal, isStepFinal, RUN_OUTPUTS_BYTES_MAX, stepRecordId } from "./records.ts";
import { endStep } from "./step_end.ts";
import { sceneOf, startStep } from "./step_start.ts";
import { FillError, fillText } from "./values.ts";

/** A step that starts writes about eight records. */
const STEPS_PER_PIECE = 40;
/** Of steps that are looked at and left alone. */
const LOOKS_PER_PIECE = 2_000;

export function decideAdvance(world: World, draft: Draft, input: Extract<Input, { kind: "advance" }>): void {
  const { state } = world;
  const run = state.runs.get(input.runId);
  if (!run || isRunFinal(run.state) || run.state === "queued" || run.preparing) return;
  const plan = state.plan(run);
  const ready = input.steps ?? readySteps(world, run);
  for (const id of ready.slice(0, STEPS_PER_PIECE)) {
    const planned = plan.byId.get(id)!;
    if (planned.phase === run.phase) startStep(world, draft, state.runs.get(run.id)!, planned);
  }
  if (ready.length > STEPS_PER_PIECE) draft.follow.push({ ...input, steps: ready.slice(STEPS_PER_PIECE) });
  else settle(world, draft, state.runs.get(run.id)!);
}

function readySteps({ state }: World, run: RunRecord): string[] {
  const index = state.runIndex(run);
  return index.plan.phases[run.phase]
    .filter(({ id }) => index.openNeeds.get(id) === 0 && !state.steps.has(stepRecordId(run.id, id)))
    .map(({ id }) => id);
}

function settle(world: World, draft: Draft, run: RunRecord): void {
  const index = world.state.runIndex(run);
  if (index.unfinished[run.phase] === 0) return nextPhase(world, draft, run);
  if (run.state === "running" && index.active === 0 && index.waiting > 0) {
    putRun(draft, run, { state: "waiting" });
    draft.event("runWaiting", `run ${run.id} waits`, { runId: run.id });
  } else if (run.state === "waiting" && index.active > 0) putRun(draft, run, { state: "running" });
}

function nextPhase(world: World, draft: Draft, run: RunRecord): void {
  const { phases } = world.state.plan(run);
  const failed = run.ending === "timedOut" || (run.ending === null && world.state.runIndex(run).bad.steps > 0);
  const order: RunPhase[] = ["steps", "onFailure", "finally"];
  const next = order.slice(order.indexOf(run.phase) + 1).find((phase) =>
    phases[phase].length > 0 && (phase === "finally" || failed)
  );
  if (next === undefined || run.ending === "killed") return endRun(world, draft, run);
  if (run.state !== "finalizing") {
    draft.event("runFinalizing", `run ${run.id} has ended its steps and runs what follows them`, { runId: run.id });
  }
  putRun(draft, run, { state: "finalizing", phase: next, deadlineMs: null });
  draft.follow.push({ kind: "advance", runId: run.id, steps: null });
}

const END_EVENTS: Readonly<Partial<Record<RunState, EventKind>>> = {
  succeeded: "runSucceeded",
  warning: "runWarning",
  failed: "runFailed",
  cancelled: "runCancelled",
  timedOut: "runTimedOut",
};

function endRun(world: World, draft: Draft, run: RunRecord): void {
  const { bad, warnings } = world.state.runIndex(run);
  const good = run.ending === null && bad.steps === 0 && bad.finally === 0;
  const made = good ? outputsOfEnd(world, run) : {};
  const problem = typeof made === "string" ? made : null;
  const state: RunState = run.ending === "timedOut"
    ? "timedOut"
    : run.ending !== null
    ? "cancelled"
    : problem !== null || !good
    ? "failed"
    : warnings > 0
    ? "warning"
    : "succeeded";
  const why = problem ?? whyOfEnd(run, state, warnings);
  concludeRun(world, draft, run, state, why, typeof made === "string" ? {} : made);
}

function whyOfEnd(run: RunRecord, state: RunState, warnings: number): string | null {
  if (state === "failed") {
    return run.failedStep === null ? "not all of its steps succeeded" : `step ${run.failedStep} failed`;
  }
  if (state === "warning") return warnings === 1 ? "a step failed that may" : `${warnings} steps failed that may`;
  return run.why;
}

/** A sentence when they cannot be had. A run of one step alone has those that this step is enough for. */
function outputsOfEnd(world: World, run: RunRecord): Record<string, Value> | string {
  const scene = sceneOf(world, run, null);
  const outputs: Record<string, Value> = {};
  for (const [name, text] of Object.entries(scene.plan.spec.outputs)) {
    try {
      outputs[name] = fillText(scene, text, `outputs.${name}`);
    } catch (error) {
      if (!(error instanceof FillError)) throw error;
      if (run.only === null) return error.message;
    }
  }
  if (outputsBytes(outputs) <= RUN_OUTPUTS_BYTES_MAX) return outputs;
  return `outputs: they take more than ${RUN_OUTPUTS_BYTES_MAX / 1024} KiB`;
}

/** The run is over, whatever its steps are. */
export function concludeRun(
  world: World,
  draft: Draft,
  run: RunRecord,
  state: RunState,
  why: string | null,
  outputs: Readonly<Record<string, Value>> = {},
): void {
  putRun(draft, run, {
    state,
    why: why === null ? null : shortened(why),
    endedMs: draft.context.wallMs,
    deadlineMs: null,
    outputPieces: putOutputs(draft, run.id, run.id, outputs),
  });
  const words = state === "timedOut" ? "timed out" : state === "warning" ? "succeeded with warnings" : state;
  draft.event(END_EVENTS[state]!, `run ${run.id} ${words}${why === null ? "" : `: ${textOf(why)}`}`, { runId: run.id });
  if (run.cause.kind === "step") draft.follow.push({ kind: "childEnded", runId: run.id });
  if (run.group !== null) startNext(world, draft, run.group);
}

/** Ends what the run's present phase does, a piece at a time, and sees to it that nothing of it begins. */
export function decideCancelSteps(world: World, draft: Draft, input: Extract<Input, { kind: "cancelSteps" }>): void {
  const { state } = world;
  const run = state.runs.get(input.runId);
  if (!run || isRunFinal(run.state) || !isPhaseEnding(run)) return;
  const steps = state.plan(run).phases[run.phase];
  let changed = 0;
  let at = input.from;
  for (; at < steps.length && changed < STEPS_PER_PIECE && at - input.from < LOOKS_PER_PIECE; at++) {
    const step = state.steps.get(stepRecordId(run.id, steps[at].id));
    // One that is ending is told again when the run is killed: its sub-workflow may be at what follows its own end.
    if (step && (isStepFinal(step.state) || (step.ending !== null && run.ending !== "killed"))) continue;
    changed++;
    const error = run.ending === "timedOut" ? "the run's time was over" : null;
    if (!step) {
      endStep(world, draft, pendingStep(run, steps[at].id, draft.context.wallMs), { outcome: "cancelled", error });
    } else if (step.fan) {
      putStep(draft, step, { ending: step.ending ?? { outcome: "cancelled", error, retry: false } });
      draft.follow.push({ kind: "fanOut", stepId: step.id, cancelFrom: 0 });
    } else giveUp(world, draft, step, { outcome: "cancelled", error, retry: false });
  }
  if (at < steps.length) draft.follow.push({ ...input, from: at });
  else draft.follow.push({ kind: "advance", runId: run.id, steps: [] });
}

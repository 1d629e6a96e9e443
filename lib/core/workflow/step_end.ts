/**
 * The end of a step or of one instance of it: its record, its outputs, and whom to look at next.
 * What follows is left to inputs that are decided right after this one, so that a write stays small.
 */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { EventKind } from "../event.ts";
import { putRun, putStep, shortened } from "./changes.ts";
import type { Outputs } from "./outputs.ts";
import { outputsBytes, putOutputs } from "./outputs.ts";
import type { PlannedStep } from "./plan.ts";
import type { StepOutcome, StepRecord } from "./records.ts";
import { RUN_OUTPUTS_BYTES_MAX, stepLabel, stepRecordId } from "./records.ts";

export interface StepEnd {
  readonly outcome: StepOutcome;
  readonly error?: string | null;
  readonly outputs?: Outputs;
}

const EVENTS: Readonly<Record<StepOutcome, EventKind>> = {
  succeeded: "stepSucceeded",
  failed: "stepFailed",
  timedOut: "stepTimedOut",
  cancelled: "stepCancelled",
  skipped: "stepSkipped",
  upstreamFailed: "stepUpstreamFailed",
};

/** `step` may be one that is not on record yet. */
export function endStep(world: World, draft: Draft, step: StepRecord, end: StepEnd): StepRecord {
  const { state } = world;
  const run = state.runs.get(step.runId)!;
  const planned = state.plan(run).byId.get(step.step)!;
  const { outcome, error, outputs } = withinAllowance(run.outputsBytes, end);
  const bytes = outputsBytes(outputs);
  if (bytes > 0) putRun(draft, run, { outputsBytes: run.outputsBytes + bytes });
  const ended = putStep(draft, step, {
    state: outcome,
    outcome,
    conclusion: step.instance === null ? conclusionOf(planned, outcome) : outcome,
    endedMs: draft.context.wallMs,
    deadlineMs: null,
    dueMs: null,
    outputPieces: putOutputs(draft, step.id, step.runId, outputs),
    error: error === null ? null : shortened(error),
  });
  tell(draft, run.id, ended);
  if (step.instance === null) afterStep(world, draft, planned, ended);
  else afterInstance(world, draft, planned, ended);
  return ended;
}

/** A step that may fail has failed all the same, but those who need it go on. */
function conclusionOf({ spec }: PlannedStep, outcome: StepOutcome): StepOutcome {
  return spec.continueOnError && (outcome === "failed" || outcome === "timedOut") ? "succeeded" : outcome;
}

function withinAllowance(used: number, end: StepEnd): { outcome: StepOutcome; error: string | null; outputs: Outputs } {
  const { outcome, error = null, outputs = {} } = end;
  const bytes = outputsBytes(outputs);
  if (used + bytes <= RUN_OUTPUTS_BYTES_MAX) return { outcome, error, outputs };
  const kib = (count: number) => `${Math.ceil(count / 1024)} KiB`;
  return {
    outcome: "failed",
    error: `its outputs take ${kib(bytes)}, and those of the run may take ${kib(RUN_OUTPUTS_BYTES_MAX)} together` +
      (used === 0 ? "" : ` (${kib(used)} are taken)`),
    outputs: {},
  };
}

function tell(draft: Draft, runId: string, step: StepRecord): void {
  const label = stepLabel(step);
  const words = step.outcome === "timedOut"
    ? "timed out"
    : step.outcome === "upstreamFailed"
    ? "did not begin: a step that it needs has failed"
    : step.outcome;
  const why = step.error === null ? "" : `: ${step.error}`;
  draft.event(EVENTS[step.outcome!], `${label} ${words}${why}`, { runId, step: label });
}

function afterStep(world: World, draft: Draft, planned: PlannedStep, ended: StepRecord): void {
  const { state } = world;
  const run = state.runs.get(ended.runId)!;
  const index = state.runIndex(run);
  if (run.failedStep === null && (ended.conclusion === "failed" || ended.conclusion === "timedOut")) {
    putRun(draft, run, { failedStep: ended.step });
  }
  const ready = planned.dependents.map(({ step }) => step).filter((id) => index.openNeeds.get(id) === 0);
  draft.follow.push({ kind: "advance", runId: run.id, steps: ready });
  const services = planned.needs.filter(({ step, condition }) =>
    condition === "healthy" && index.users.get(step) === 0
  );
  for (const { step } of services) draft.follow.push({ kind: "endService", stepId: stepRecordId(run.id, step) });
}

function afterInstance(world: World, draft: Draft, planned: PlannedStep, ended: StepRecord): void {
  const top = world.state.steps.get(stepRecordId(ended.runId, ended.step))!;
  const fan = top.fan!;
  const outcome = ended.outcome as "succeeded" | "failed" | "timedOut" | "cancelled";
  // One that was never started is not among the active ones.
  const wasActive = ended.attempts > 0 || ended.startedMs !== null ? 1 : 0;
  const next = putStep(draft, top, {
    fan: {
      ...fan,
      active: fan.active - wasActive,
      ended: fan.ended + 1,
      succeeded: fan.succeeded + Number(outcome === "succeeded"),
      worst: fan.worst ?? (outcome === "succeeded" ? null : outcome),
    },
  });
  const failsFast = planned.spec.failFast && outcome !== "succeeded" && next.ending === null;
  if (failsFast) {
    const error = `instance ${ended.instance} ${outcome === "timedOut" ? "timed out" : outcome}`;
    putStep(draft, next, { ending: { outcome: "failed", error, retry: false } });
  }
  const isOver = next.fan!.ended === next.fan!.total;
  if (isOver || failsFast || next.fan!.next < next.fan!.total) {
    draft.follow.push({ kind: "fanOut", stepId: top.id, cancelFrom: failsFast ? 0 : null });
  }
}

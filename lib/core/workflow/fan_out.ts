/**
 * A step with a matrix or a list, once it is in instances: makes their records, starts as many as may run at once,
 * ends those that are not wanted any more, and ends the step when all are over. Carried on in pieces.
 */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import { giveUp } from "./attempt_end.ts";
import { pendingStep, putStep } from "./changes.ts";
import type { PlannedStep } from "./plan.ts";
import type { FanOut, RunRecord, StepRecord } from "./records.ts";
import { isPhaseEnding, isStepFinal, stepRecordId } from "./records.ts";
import { endStep } from "./step_end.ts";
import { itemsOf, sceneOf, startAttempt } from "./step_start.ts";

const RECORDS_PER_PIECE = 100;
/** A start or an end writes several records. */
const INSTANCES_PER_PIECE = 40;

export function decideFanOut(world: World, draft: Draft, input: Extract<Input, { kind: "fanOut" }>): void {
  const { state } = world;
  const top = state.steps.get(input.stepId);
  const run = top && state.runs.get(top.runId);
  if (!top?.fan || !run || isStepFinal(top.state)) return;
  const planned = state.plan(run).byId.get(top.step)!;
  if (input.cancelFrom !== null) return endInstances(world, draft, top, input.cancelFrom);
  if (top.ending !== null) return endPending(world, draft, top);
  if (isPhaseEnding(run)) return;
  const { fan } = top;
  if (fan.made < fan.total) return makeInstances(world, draft, run, top, planned);
  startInstances(world, draft, top, planned);
  finishIfOver(world, draft, top.id);
}

function makeInstances(world: World, draft: Draft, run: RunRecord, top: StepRecord, planned: PlannedStep): void {
  const fan = top.fan!;
  const items = itemsOf(sceneOf(world, run, null), planned);
  const made = Math.min(fan.total, fan.made + RECORDS_PER_PIECE);
  for (let number = fan.made; number < made; number++) {
    const instance = pendingStep(run, top.step, draft.context.wallMs, { number, value: items[number] });
    draft.put("step", instance.id, instance);
  }
  putFan(draft, top, { made });
  draft.follow.push({ kind: "fanOut", stepId: top.id, cancelFrom: null });
}

function startInstances(world: World, draft: Draft, top: StepRecord, { spec }: PlannedStep): void {
  const fan = top.fan!;
  const room = Math.min((spec.maxParallel ?? fan.total) - fan.active, fan.made - fan.next);
  const count = Math.min(room, INSTANCES_PER_PIECE);
  if (count <= 0) return;
  for (let number = fan.next; number < fan.next + count; number++) {
    const now = world.state.steps.get(top.id)!;
    // One before could not even begin, and the others are not wanted any more.
    if (now.ending !== null) return;
    // Counted first: one that cannot begin is counted off again at once.
    putFan(draft, now, { next: number + 1, active: now.fan!.active + 1 });
    const instance = world.state.steps.get(stepRecordId(top.runId, top.step, number))!;
    startAttempt(world, draft, instance);
  }
  if (count < room) draft.follow.push({ kind: "fanOut", stepId: top.id, cancelFrom: null });
}

/** Those that run are given up, a piece at a time; then those that have not begun. */
function endInstances(world: World, draft: Draft, top: StepRecord, from: number): void {
  const isKilled = world.state.runs.get(top.runId)!.ending === "killed";
  let done = 0;
  for (let number = from; number < top.fan!.next; number++) {
    const instance = world.state.steps.get(stepRecordId(top.runId, top.step, number))!;
    if (isStepFinal(instance.state) || (instance.ending && !isKilled)) continue;
    if (++done > INSTANCES_PER_PIECE) {
      draft.follow.push({ kind: "fanOut", stepId: top.id, cancelFrom: number });
      return;
    }
    giveUp(world, draft, instance, { outcome: "cancelled", error: null, retry: false });
  }
  draft.follow.push({ kind: "fanOut", stepId: top.id, cancelFrom: null });
}

function endPending(world: World, draft: Draft, top: StepRecord): void {
  const fan = top.fan!;
  // Those whose records were not made yet will never be.
  const next = Math.min(fan.made, fan.next + INSTANCES_PER_PIECE);
  putFan(draft, top, { next, total: fan.made });
  for (let number = fan.next; number < next; number++) {
    const instance = world.state.steps.get(stepRecordId(top.runId, top.step, number))!;
    endStep(world, draft, instance, { outcome: "cancelled" });
  }
  if (next < fan.made) draft.follow.push({ kind: "fanOut", stepId: top.id, cancelFrom: null });
  finishIfOver(world, draft, top.id);
}

function finishIfOver(world: World, draft: Draft, stepId: string): void {
  const top = world.state.steps.get(stepId)!;
  const fan = top.fan!;
  if (isStepFinal(top.state) || fan.ended < fan.total || fan.made < fan.total) return;
  if (fan.succeeded === fan.total && top.ending === null) {
    endStep(world, draft, top, { outcome: "succeeded" });
    return;
  }
  const { outcome, error } = top.ending ?? { outcome: fan.worst ?? "failed", error: null };
  const counts = `${fan.succeeded} of ${fan.total} instances succeeded`;
  endStep(world, draft, top, { outcome, error: error === null ? counts : `${error}; ${counts}` });
}

function putFan(draft: Draft, top: StepRecord, change: Partial<FanOut>): StepRecord {
  return putStep(draft, top, { fan: { ...top.fan!, ...change } });
}

/** A step, or an instance of one, runs or is healthy for the first time: who needed no more of it may begin. */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import { putStep } from "./changes.ts";
import type { StepRecord } from "./records.ts";
import { stepRecordId } from "./records.ts";

/** `step` as it is on record now. A step that was fanned out has started with the first of its instances. */
export function tellStarted(world: World, draft: Draft, step: StepRecord): void {
  const { state } = world;
  if (step.instance !== null) {
    const top = state.steps.get(stepRecordId(step.runId, step.step))!;
    if (top.started) return;
    putStep(draft, top, { started: true });
  }
  const run = state.runs.get(step.runId)!;
  const { openNeeds, plan } = state.runIndex(run);
  const ready = plan.byId.get(step.step)!.dependents.map((user) => user.step).filter((id) => openNeeds.get(id) === 0);
  if (ready.length > 0) draft.follow.push({ kind: "advance", runId: run.id, steps: ready });
}

/** Measurements of a rollout: requests that sailors make to its own replicas, one after the other. */
import { acceptTask } from "../changes.ts";
import type { World } from "../decide.ts";
import { taskDocument } from "../documents/task.ts";
import type { TaskSpec } from "../documents/task.ts";
import type { Draft } from "../draft.ts";
import type { StepResult } from "../outgoing.ts";
import type { SailRecord } from "../sail.ts";
import { isSailFinal } from "../sail.ts";
import { addressOf } from "./addresses.ts";
import { judgeAnswer, requestFor, UnfitMeasurement } from "./measurement.ts";
import { putRollout } from "./change_rollout.ts";
import type { AnalysisProgress, RolloutRecord } from "./records.ts";
import { phaseOf, replicasOf, rolloutNowMs } from "./scene.ts";

const NONE: AnalysisProgress = { done: 0, failed: 0, taskId: null, nextAtMs: 0, lastFailure: null };
const BARE = taskDocument.parse({ name: "measurement", image: "none" });

/** Begins the next measurement, of each of the rollout's healthy replicas in turn. */
export function measure(world: World, draft: Draft, rollout: RolloutRecord): void {
  const { state } = world;
  const progress = rollout.analysis ?? NONE;
  const healthy = replicasOf(state, rollout.service).filter((sail) =>
    sail.replica!.revision === rollout.to && sail.replica!.retireAtMs === null && phaseOf(state, sail) === "healthy"
  );
  if (healthy.length === 0) return;
  const { replica, id: measured } = healthy[progress.done % healthy.length];
  const address = addressOf(state, state.sails.get(measured)!)?.address ?? "";
  const { http, intervalMs } = rollout.update.analysis!;
  const nextAtMs = rolloutNowMs(world, rollout, draft.context.monoMs) + intervalMs;
  try {
    const { slot, revision, service } = replica!;
    const request = requestFor(http, { address, slot, revision, service });
    let number = progress.done + 1;
    const idOf = (n: number) => `${rollout.service}.measure.${rollout.number}.${n}`;
    // Users may choose ids.
    while (state.sails.has(idOf(number))) number++;
    const spec: TaskSpec = {
      ...BARE,
      name: idOf(number),
      image: "",
      runtime: "http",
      reschedule: false,
      http: request,
      step: { script: null, capture: true },
    };
    putRollout(world, draft, rollout, { analysis: { ...progress, taskId: idOf(number), nextAtMs } });
    acceptTask(world, draft, { id: idOf(number), spec, measures: rollout.id });
  } catch (error) {
    if (!(error instanceof UnfitMeasurement)) throw error;
    count(world, draft, rollout, { ...progress, nextAtMs }, error.message);
  }
}

/** A request has ended: what it says of the rollout. */
export function takeMeasurement(world: World, draft: Draft, sail: SailRecord, result: StepResult | null): void {
  const rollout = world.state.rollouts.get(sail.measures!);
  if (
    !rollout?.analysis || rollout.analysis.taskId !== sail.id || !isSailFinal(sail.state) || rollout.endedMs !== null
  ) {
    return;
  }
  const { expect } = rollout.update.analysis!.http;
  const failure = sail.state === "completed" && result !== null
    ? judgeAnswer(expect, result)
    : sail.why ?? `its request ${sail.state}`;
  count(world, draft, rollout, rollout.analysis, failure);
}

function count(
  world: World,
  draft: Draft,
  rollout: RolloutRecord,
  progress: AnalysisProgress,
  failure: string | null,
): void {
  const analysis: AnalysisProgress = {
    ...progress,
    taskId: null,
    done: progress.done + 1,
    failed: progress.failed + (failure === null ? 0 : 1),
    lastFailure: failure?.slice(0, 500) ?? progress.lastFailure,
  };
  const next = putRollout(world, draft, rollout, { analysis });
  const delayMs = Math.max(1, analysis.nextAtMs - next.activeMs);
  draft.alarms.push({ topic: `service/${rollout.service}`, delayMs });
  draft.follow.push({ kind: "lookAtService", name: rollout.service });
}

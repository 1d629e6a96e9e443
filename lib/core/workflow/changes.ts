/** How records of runs and steps change: along their transition tables only (I6). */
import type { Draft } from "../draft.ts";
import type { Value } from "./expression.ts";
import type { RunRecord, StepRecord } from "./records.ts";
import { ERROR_CHARS_MAX, RUN_TRANSITIONS, STEP_TRANSITIONS, stepRecordId } from "./records.ts";

/** A step that the transition table does not know is a defect and throws. */
export function putRun(draft: Draft, run: RunRecord, change: Partial<RunRecord>): RunRecord {
  const next = { ...run, ...change, revision: run.revision + 1 };
  if (next.state !== run.state && !RUN_TRANSITIONS[run.state].includes(next.state)) {
    throw new Error(`run ${run.id} cannot go from ${run.state} to ${next.state}`);
  }
  draft.put("run", run.id, next);
  return next;
}

export function putStep(draft: Draft, step: StepRecord, change: Partial<StepRecord>): StepRecord {
  const next = { ...step, ...change };
  if (next.state !== step.state && !STEP_TRANSITIONS[step.state].includes(next.state)) {
    throw new Error(`step ${step.id} cannot go from ${step.state} to ${next.state}`);
  }
  draft.put("step", step.id, next);
  return next;
}

/** One that nothing has happened to yet; it is not on record. */
export function pendingStep(
  run: RunRecord,
  step: string,
  createdMs: number,
  instance: { readonly number: number; readonly value: Value } | null = null,
): StepRecord {
  return {
    id: stepRecordId(run.id, step, instance?.number ?? null),
    runId: run.id,
    step,
    instance: instance?.number ?? null,
    state: "pending",
    outcome: null,
    conclusion: null,
    attempts: 0,
    taskId: null,
    childRunId: null,
    started: false,
    healthy: false,
    ending: null,
    createdMs,
    startedMs: null,
    endedMs: null,
    deadlineMs: null,
    dueMs: null,
    outputPieces: 0,
    error: null,
    value: instance?.value ?? null,
    fan: null,
    approval: null,
    keptFrom: null,
  };
}

export function shortened(text: string): string {
  return text.length <= ERROR_CHARS_MAX ? text : `${text.slice(0, ERROR_CHARS_MAX - 3)}...`;
}

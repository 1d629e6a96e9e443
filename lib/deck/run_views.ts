/** From records of workflows and runs to what /v1 shows. Pure. */
import type { Settings } from "../core/input.ts";
import type { State } from "../core/state.ts";
import { needStatus } from "../core/workflow/needs.ts";
import { outputsOf, outputsOfRun } from "../core/workflow/outputs.ts";
import type { Plan, PlannedStep } from "../core/workflow/plan.ts";
import type { RunCause, RunRecord, StepRecord, WorkflowRecord } from "../core/workflow/records.ts";
import { isRunFinal, stepRecordId } from "../core/workflow/records.ts";
import type {
  RunSummary,
  RunView,
  StepInstanceView,
  StepView,
  WorkflowDetailView,
  WorkflowView,
} from "../messages/run_api.ts";
import { rfc3339, whyOf } from "./views.ts";

const RUNS_OF_WORKFLOW_MAX = 20;
const timeOrNull = (ms: number | null) => ms === null ? null : rfc3339(ms);

export function runSummary(run: RunRecord): RunSummary {
  return {
    id: run.id,
    workflow: run.workflow,
    state: run.state,
    params: { ...run.params },
    createdAt: rfc3339(run.createdMs),
    startedAt: timeOrNull(run.startedMs),
    finishedAt: timeOrNull(run.endedMs),
    why: run.why,
    cause: causeText(run.cause),
  };
}

function causeText(cause: RunCause): string {
  switch (cause.kind) {
    case "manual":
      return "manual";
    case "schedule":
      return `schedule ${rfc3339(cause.slotMs)}`;
    case "step":
      return `step ${cause.stepId}`;
    case "resume":
    case "rerun":
      return `${cause.kind} ${cause.runId}`;
    default:
      return cause satisfies never;
  }
}

export function runView(state: State, settings: Settings, run: RunRecord): RunView {
  const plan = state.plan(run);
  const steps = plan.steps.map((planned): [string, StepView] => [planned.id, stepView(state, settings, run, planned)]);
  return { ...runSummary(run), outputs: { ...outputsOfRun(state, run) }, steps: Object.fromEntries(steps) };
}

function stepView(state: State, settings: Settings, run: RunRecord, planned: PlannedStep): StepView {
  const step = state.steps.get(stepRecordId(run.id, planned.id));
  const { spec } = planned;
  const common = {
    kind: spec.action.kind,
    retryLimit: spec.retry.limit,
    prompt: step?.state === "waiting" ? step.approval?.prompt ?? null : null,
    keptFrom: step?.keptFrom ?? null,
  };
  if (!step) return { ...notBegun(state, run, planned), ...common };
  const instances = step.fan ? instanceViews(state, settings, step) : undefined;
  return { ...fieldsOf(state, settings, step), ...common, ...(instances ? { instances } : {}) };
}

/** A closing step of a run that has ended without it was passed over. */
function notBegun(state: State, run: RunRecord, { needs, phase }: PlannedStep) {
  const open = needs.filter(({ step, condition }) =>
    needStatus(condition, state.steps.get(stepRecordId(run.id, step))) === "open"
  ).map(({ step }) => step);
  const isOver = isRunFinal(run.state);
  const waitsFor = phase === "steps" ? open.join(", ") : phase === "finally" ? "the end" : "a failure";
  return {
    state: isOver ? "skipped" as const : "pending" as const,
    outcome: isOver ? "skipped" as const : null,
    conclusion: isOver ? "skipped" as const : null,
    attempts: 0,
    startedAt: null,
    finishedAt: null,
    outputs: {},
    error: null,
    taskId: null,
    runId: null,
    node: null,
    dueAt: null,
    why: isOver || waitsFor === "" ? null : `waits for ${waitsFor}`,
  };
}

function fieldsOf(state: State, settings: Settings, step: StepRecord) {
  const task = state.sails.get(step.taskId ?? "");
  const attempt = state.attempts.get(task?.currentAttemptId ?? "");
  return {
    state: step.state,
    outcome: step.outcome,
    conclusion: step.conclusion,
    attempts: step.attempts,
    startedAt: timeOrNull(step.startedMs),
    finishedAt: timeOrNull(step.endedMs),
    outputs: { ...outputsOf(state, step) },
    error: step.error,
    taskId: step.taskId,
    runId: step.childRunId,
    node: attempt ? state.masts.get(attempt.nodeId)?.name ?? null : null,
    dueAt: timeOrNull(step.dueMs),
    why: step.state === "queued" && task?.state === "pending"
      ? whyOf(state, settings, task)
      : step.state === "waiting" && step.approval
      ? "waits for approval"
      : null,
  };
}

function instanceViews(state: State, settings: Settings, step: StepRecord): StepInstanceView[] {
  const views: StepInstanceView[] = [];
  for (let instance = 0; instance < step.fan!.total; instance++) {
    const record = state.steps.get(stepRecordId(step.runId, step.step, instance));
    if (record) views.push({ ...fieldsOf(state, settings, record), value: record.value });
  }
  return views;
}

/** `nextAt`: when its schedule comes next; null where it has none, or is paused. */
export function workflowView(state: State, workflow: WorkflowRecord, nextMs: number | null): WorkflowView {
  const newest = workflow.versions.at(-1)!;
  const schedule = planOfWorkflow(state, workflow)?.spec.schedule ?? null;
  const last = runsOf(state, workflow.name, 1)[0];
  return {
    name: workflow.name,
    version: newest.version,
    hash: newest.hash,
    appliedAt: rfc3339(newest.appliedMs),
    paused: workflow.paused,
    schedule: schedule && { cron: schedule.cron, timezone: schedule.timezone, nextAt: timeOrNull(nextMs) },
    lastRun: last ? runSummary(last) : null,
  };
}

export function workflowDetailView(state: State, workflow: WorkflowRecord, nextMs: number | null): WorkflowDetailView {
  return {
    ...workflowView(state, workflow, nextMs),
    versions: [...workflow.versions].reverse().map(({ version, hash, appliedMs }) => ({
      ...{ version, hash, appliedAt: rfc3339(appliedMs) },
    })),
    runs: runsOf(state, workflow.name, RUNS_OF_WORKFLOW_MAX).map(runSummary),
  };
}

export function planOfWorkflow(state: State, workflow: WorkflowRecord): Plan | undefined {
  return state.definition(workflow.versions.at(-1)!.hash)?.plan(null);
}

/** Newest first. */
export function runsOf(state: State, workflow: string, limit: number): RunRecord[] {
  return [...state.runsByWorkflow.get(workflow) ?? []].slice(-limit).reverse().map((id) => state.runs.get(id)!);
}

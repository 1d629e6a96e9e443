/** Records and views as a deck would have them; a test says only what matters to it. */
import { NOTHING_OBSERVED } from "../../lib/core/attempt.ts";
import type { AttemptRecord } from "../../lib/core/attempt.ts";
import { taskDocument } from "../../lib/core/documents/task.ts";
import type { TaskDocument } from "../../lib/core/documents/task.ts";
import type { SailRecord } from "../../lib/core/sail.ts";
import type {
  RunView,
  StepView,
  WorkflowDetailView,
  WorkflowSource,
  WorkflowView,
} from "../../lib/messages/run_api.ts";
import type { EventView, NodeView, TaskDetailView } from "../../lib/messages/api.ts";

export const WALL_MS = Date.parse("2026-11-22T13:31:04Z");
export const TASK_ID = "bb1d59ef-9fc1-4e4b-a44d-db571eeed203";

export function event(id: number, more: Partial<EventView> = {}): EventView {
  return {
    id,
    at: new Date(WALL_MS + id * 1000).toISOString(),
    kind: "taskRunning",
    taskId: TASK_ID,
    task: "web",
    attemptId: null,
    nodeId: null,
    node: null,
    message: `event ${id}`,
    runId: null,
    step: null,
    ...more,
  };
}

export function taskDetail(more: Partial<TaskDetailView> = {}): TaskDetailView {
  return {
    id: TASK_ID,
    name: "web",
    image: "example/web:1",
    state: "running",
    why: null,
    desired: "run",
    labels: {},
    createdAt: "2026-11-22T13:31:04.000Z",
    endedAt: null,
    retryAt: null,
    attempts: 1,
    attempt: null,
    spec: { name: "web", image: "example/web:1" },
    history: [],
    events: [],
    ...more,
  };
}

export function nodeView(more: Partial<NodeView> = {}): NodeView {
  return {
    id: "node-a",
    name: "localhost:8080",
    address: "http://localhost:8080",
    status: "ready",
    eligibility: "eligible",
    statusSince: "2026-11-22T13:31:04.000Z",
    labels: {},
    runtimes: ["docker"],
    allows: null,
    runtimesAway: [],
    engineId: "engine",
    version: "0.1.0",
    cpu: { total: 4, reserved: 0 },
    memory: { total: 1024, reserved: 0 },
    disk: { total: 1024, reserved: 0 },
    load1: null,
    tasks: 0,
    localTasks: 0,
    ...more,
  };
}

export function sailRecord(more: Partial<SailRecord> = {}): SailRecord {
  return {
    id: TASK_ID,
    name: "web",
    specId: TASK_ID,
    state: "pending",
    desired: "run",
    graceMs: 10_000,
    attempts: 0,
    currentAttemptId: null,
    createdMs: WALL_MS,
    endedMs: null,
    retryAtMs: null,
    reschedules: 0,
    why: null,
    originalEventId: null,
    revision: 1,
    ...more,
  };
}

export function attemptRecord(more: Partial<AttemptRecord["observed"]> = {}): AttemptRecord {
  return {
    id: `${TASK_ID}-1`,
    sailId: TASK_ID,
    number: 1,
    nodeId: "node-a",
    engineId: "engine",
    state: "running",
    desired: "run",
    graceMs: 10_000,
    reservation: { cpuCores: 0.1, memoryBytes: 64 * 2 ** 20, diskBytes: 0, hostPorts: [] },
    holding: true,
    reported: true,
    reason: null,
    createdMs: WALL_MS,
    endedMs: null,
    observed: { ...NOTHING_OBSERVED, ...more },
  };
}

export const specOf = (document: TaskDocument) => taskDocument.parse(document);

export const RUN_ID = "deploy-7f3a";
export const SOURCE: WorkflowSource = { workflow: { name: "deploy", steps: { build: { run: "true" } } } };

export function stepView(more: Partial<StepView> = {}): StepView {
  return {
    kind: "task",
    state: "pending",
    outcome: null,
    conclusion: null,
    attempts: 0,
    retryLimit: 0,
    startedAt: null,
    finishedAt: null,
    outputs: {},
    error: null,
    taskId: null,
    runId: null,
    node: null,
    dueAt: null,
    why: null,
    prompt: null,
    keptFrom: null,
    ...more,
  };
}

export function runView(more: Partial<RunView> = {}): RunView {
  return {
    id: RUN_ID,
    workflow: "deploy",
    state: "running",
    params: {},
    createdAt: "2026-11-22T13:31:04.000Z",
    startedAt: "2026-11-22T13:31:04.000Z",
    finishedAt: null,
    why: null,
    cause: "manual",
    outputs: {},
    steps: { build: stepView({ state: "running" }), ship: stepView({ why: "waits for build" }) },
    ...more,
  };
}

export function workflowView(more: Partial<WorkflowView> = {}): WorkflowView {
  return {
    name: "deploy",
    version: 1,
    hash: "h1",
    appliedAt: "2026-11-22T13:31:04.000Z",
    paused: false,
    schedule: null,
    lastRun: null,
    ...more,
  };
}

export function workflowDetail(more: Partial<WorkflowDetailView> = {}): WorkflowDetailView {
  return {
    ...workflowView(),
    versions: [{ version: 1, hash: "h1", appliedAt: "2026-11-22T13:31:04.000Z" }],
    runs: [],
    ...more,
  };
}

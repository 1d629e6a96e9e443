/** From records to what /v1 shows. Pure. */
import type { AttemptRecord } from "../core/attempt.ts";
import { describeTask } from "../core/documents/task.ts";
import type { EventRecord } from "../core/event.ts";
import type { Settings } from "../core/input.ts";
import type { MastRecord } from "../core/mast.ts";
import { choose } from "../core/rudder/rudder.ts";
import { SCHEDULERS } from "../core/rudder/schedulers.ts";
import type { SailRecord } from "../core/sail.ts";
import { placingOf } from "../core/service/placing.ts";
import type { SecretRecord } from "../core/secret.ts";
import type { State } from "../core/state.ts";
import type { TokenRecord } from "../core/token.ts";
import type {
  AttemptView,
  EventView,
  NodeView,
  SecretView,
  TaskDetailView,
  TaskView,
  TokenView,
} from "../messages/api.ts";

const EVENTS_OF_TASK_MAX = 100;

export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

const timeOrNull = (ms: number | null) => ms === null ? null : rfc3339(ms);

export function taskView(state: State, settings: Settings, sail: SailRecord): TaskView {
  const spec = state.specs.get(sail.specId)!.spec;
  const attempt = latestAttempt(state, sail);
  return {
    id: sail.id,
    name: sail.name,
    image: spec.image,
    state: sail.state,
    why: whyOf(state, settings, sail),
    desired: sail.desired,
    labels: { ...spec.labels },
    createdAt: rfc3339(sail.createdMs),
    endedAt: timeOrNull(sail.endedMs),
    retryAt: timeOrNull(sail.retryAtMs),
    attempts: sail.attempts,
    attempt: attempt ? attemptView(state, attempt) : null,
  };
}

/** A pending sail's reason is found when somebody asks: it would change with every other placement. */
export function whyOf(state: State, settings: Settings, sail: SailRecord): string | null {
  if (sail.state !== "pending" || sail.retryAtMs !== null) return sail.why;
  const choice = choose(state, SCHEDULERS[settings.scheduler], state.specs.get(sail.specId)!.spec, {
    turn: 0,
    ...(sail.replica ? placingOf(state, sail.replica) : {}),
  });
  return choice.kind === "refused" ? choice.why : "about to be placed";
}

export function latestAttempt(state: State, sail: SailRecord): AttemptRecord | undefined {
  if (sail.currentAttemptId !== null) return state.attempts.get(sail.currentAttemptId);
  return attemptsOf(state, sail).at(-1);
}

export function attemptsOf(state: State, sail: SailRecord): AttemptRecord[] {
  return [...state.attemptsBySail.get(sail.id) ?? []].map((id) => state.attempts.get(id)!)
    .sort((a, b) => a.number - b.number);
}

export function attemptView(state: State, attempt: AttemptRecord): AttemptView {
  const { observed } = attempt;
  return {
    id: attempt.id,
    number: attempt.number,
    state: attempt.state,
    node: state.masts.get(attempt.nodeId)?.name ?? null,
    nodeId: attempt.nodeId,
    containerId: observed.containerId,
    containerName: observed.containerName,
    ports: observed.ports.map((p) => ({ ...p })),
    health: observed.health,
    healthOutput: observed.healthOutput,
    restarts: observed.restarts,
    healthRestarts: observed.healthRestarts,
    exitCode: observed.exitCode,
    oomKilled: observed.oomKilled,
    message: observed.message,
    reason: attempt.reason,
    outputTail: observed.outputTail,
    createdAt: rfc3339(attempt.createdMs),
    startedAt: timeOrNull(observed.startedMs),
    finishedAt: timeOrNull(observed.finishedMs ?? attempt.endedMs),
  };
}

export function taskDetailView(state: State, settings: Settings, sail: SailRecord): TaskDetailView {
  const events = [...state.eventsBySail.get(sail.id) ?? []].slice(-EVENTS_OF_TASK_MAX);
  return {
    ...taskView(state, settings, sail),
    spec: describeTask(state.specs.get(sail.specId)!.spec) as Record<string, unknown>,
    history: attemptsOf(state, sail).map((attempt) => attemptView(state, attempt)),
    events: events.map((id) => eventView(state.events.get(id)!)),
  };
}

export function eventView(event: EventRecord): EventView {
  return {
    id: event.sequence,
    at: rfc3339(event.atMs),
    kind: event.kind,
    taskId: event.sailId,
    task: event.sailName,
    attemptId: event.attemptId,
    nodeId: event.nodeId,
    node: event.nodeName,
    message: event.message,
    runId: event.runId ?? null,
    step: event.step ?? null,
    service: event.service ?? null,
  };
}

export function tokenView(token: TokenRecord): TokenView {
  const { id, name, role } = token;
  return { id, name, role, createdAt: rfc3339(token.createdMs), expiresAt: timeOrNull(token.expiresMs) };
}

export function secretView({ name, revision, createdMs, updatedMs }: SecretRecord): SecretView {
  return { name, revision, createdAt: rfc3339(createdMs), updatedAt: rfc3339(updatedMs) };
}

export function nodeView(state: State, mast: MastRecord): NodeView {
  const live = state.live.get(mast.id);
  const book = state.books.get(mast.engineId);
  return {
    id: mast.id,
    name: mast.name,
    address: mast.api,
    status: mast.status === "down" ? "down" : live?.sessionId ? "ready" : "disconnected",
    eligibility: mast.eligibility,
    statusSince: rfc3339(mast.statusSinceMs),
    labels: { ...mast.labels },
    runtimes: [...mast.runtimes],
    allows: mast.allows ? { ...mast.allows, binds: [...mast.allows.binds] } : null,
    runtimesAway: [...live?.runtimesAway ?? []],
    engineId: mast.engineId,
    version: mast.version,
    cpu: { total: mast.capacity.cpuCores, reserved: (book?.cpuMillis ?? 0) / 1000 },
    memory: { total: mast.capacity.memoryBytes, reserved: book?.memoryBytes ?? 0 },
    disk: { total: mast.capacity.diskBytes, reserved: book?.diskBytes ?? 0 },
    load1: live?.stats ? Number(live.stats.load.last1min ?? 0) : null,
    tasks: state.attemptsByNode.get(mast.id)?.size ?? 0,
    localTasks: live?.local.taskCount ?? 0,
  };
}

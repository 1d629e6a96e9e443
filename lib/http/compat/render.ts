/**
 * Tasks, nodes and machine figures as the original shows them: names, order of the keys, units and zero values. Pure. Fields
 * that we add stand behind the original's, and only when they are set.
 */
import type { AttemptState, BoundPort } from "../../core/attempt.ts";
import { describeTask, formatRestart } from "../../core/documents/task.ts";
import type { TaskSpec } from "../../core/documents/task.ts";
import type { MachineStats } from "../../core/mast.ts";
import type { OriginalFields, SailState } from "../../core/sail.ts";
import type { OriginalNode, OriginalTask } from "../../deck/api.ts";
import type { SailorTask } from "../sailor_api.ts";
import { goTime, sortedKeys } from "./answers.ts";
import { ADDITIONS } from "./sail_event.ts";

export interface OriginalTaskFields {
  readonly id: string;
  readonly state: number;
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
  readonly containerId: string | null;
  readonly ports: readonly BoundPort[];
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
  readonly restarts: number;
}

/** Pending 0, Scheduled 1, Running 2, Completed 3, Failed 4. */
const SAIL_STATE_NUMBERS: Readonly<Record<SailState, number>> = {
  pending: 0,
  scheduled: 1,
  running: 2,
  unknown: 2,
  stopping: 2,
  completed: 3,
  stopped: 3,
  failed: 4,
};

const ATTEMPT_STATE_NUMBERS: Readonly<Record<AttemptState, number>> = {
  assigned: 1,
  preparing: 1,
  running: 2,
  unknown: 2,
  stopping: 2,
  completed: 3,
  stopped: 3,
  failed: 4,
  lost: 4,
};

export function stateNumber(state: SailState): number {
  return SAIL_STATE_NUMBERS[state];
}

export function renderDeckTask({ sail, spec, attempt }: OriginalTask): Record<string, unknown> {
  const observed = attempt?.observed;
  return renderTask({
    id: sail.id,
    state: SAIL_STATE_NUMBERS[sail.state],
    spec: spec.spec,
    original: spec.original,
    containerId: observed?.containerId ?? null,
    ports: observed?.ports ?? [],
    startedMs: observed?.startedMs ?? null,
    finishedMs: observed?.finishedMs ?? null,
    restarts: (observed?.restarts ?? 0) + (observed?.healthRestarts ?? 0),
  });
}

export function renderSailorTask({ id, state, spec, original, observed }: SailorTask): Record<string, unknown> {
  const { containerId, ports, startedMs, finishedMs, restarts, healthRestarts } = observed;
  return renderTask({
    id,
    state: ATTEMPT_STATE_NUMBERS[state],
    spec,
    original,
    containerId,
    ports,
    startedMs,
    finishedMs,
    restarts: restarts + healthRestarts,
  });
}

export function renderTask(task: OriginalTaskFields): Record<string, unknown> {
  const original = task.original ?? deriveOriginal(task.spec);
  return {
    ID: task.id,
    ContainerID: task.containerId ?? "",
    Name: task.spec.name,
    State: task.state,
    Image: task.spec.image,
    Cpu: original.cpu,
    Memory: original.memory,
    Disk: original.disk,
    ExposedPorts: original.exposedPorts && sortedKeys(original.exposedPorts),
    HostPorts: hostPorts(task.ports),
    PortBindings: original.portBindings && sortedKeys(original.portBindings),
    RestartPolicy: original.restartPolicy,
    StartTime: goTime(task.startedMs),
    FinishTime: goTime(task.finishedMs),
    HealthCheck: original.healthCheck,
    RestartCount: task.restarts,
    ...additionsOf(task.spec, original),
  };
}

/** What the original would have called a task that came in another way. */
function deriveOriginal(spec: TaskSpec): OriginalFields {
  const key = (port: { container: number; protocol: string }) => `${port.container}/${port.protocol}`;
  const bound = spec.ports.filter((port) => port.host !== null);
  return {
    cpu: spec.cpuCores ?? 0,
    memory: spec.memoryBytes ?? 0,
    disk: spec.diskBytes,
    exposedPorts: spec.ports.length === 0 ? null : Object.fromEntries(spec.ports.map((port) => [key(port), {}])),
    portBindings: bound.length === 0 ? null : Object.fromEntries(bound.map((port) => [key(port), String(port.host)])),
    restartPolicy: spec.restart.kind === "no" ? "" : formatRestart(spec.restart),
    healthCheck: spec.health?.probe.kind === "http" && spec.health.probe.port === null ? spec.health.probe.path : "",
  };
}

function additionsOf(spec: TaskSpec, original: OriginalFields): Record<string, unknown> {
  const document = describeTask(spec) as Record<string, unknown>;
  const additions: Record<string, unknown> = {};
  for (const name of ADDITIONS) {
    // HealthCheck says it already.
    if (name === "Health" && original.healthCheck !== "") continue;
    const value = document[name[0].toLowerCase() + name.slice(1)];
    if (value !== undefined) additions[name] = value;
  }
  return additions;
}

function hostPorts(ports: readonly BoundPort[]): Record<string, { HostIp: string; HostPort: string }[]> | null {
  if (ports.length === 0) return null;
  const byPort: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { container, protocol, hostIp, host } of ports) {
    (byPort[`${container}/${protocol}`] ??= []).push({ HostIp: hostIp, HostPort: String(host) });
  }
  return sortedKeys(byPort);
}

const KIB = 1024;

export function renderNode(node: OriginalNode): Record<string, unknown> {
  const { mast, live } = node;
  return {
    Name: mast.name,
    Ip: mast.ip,
    Api: mast.api,
    Memory: Math.floor(mast.capacity.memoryBytes / KIB),
    MemoryAllocated: Math.ceil(node.reservedMemoryBytes / KIB),
    Disk: mast.capacity.diskBytes,
    DiskAllocated: node.reservedDiskBytes,
    Stats: renderStats(live?.stats ?? null),
    Role: "worker",
    TaskCount: node.taskCount,
  };
}

/** Null: nothing was heard yet; the original's pointers are nil then. */
export function renderStats(stats: MachineStats | null): Record<string, unknown> {
  return {
    MemStats: stats?.memory ?? null,
    DiskStats: stats?.disk ?? null,
    CpuStats: stats?.cpu ?? null,
    LoadStats: stats?.load ?? null,
    TaskCount: stats?.taskCount ?? 0,
  };
}

/**
 * An attempt: one try at a sail on one mast; one container, one-shot, never moved.
 * Owns the record, its states and the only transitions they may take (I6).
 */

/**
 * assigned   on the deck's books, the sailor has not confirmed it yet
 * preparing  the sailor has journalled it and pulls, creates or starts
 * running    its container runs (also while the Engine or a failed health check restarts it)
 * unknown    its node is silent; it may return as long as it has not been replaced
 * stopping   asked to stop
 * completed  exited with code 0                             (final)
 * failed     exited otherwise, never started, or gave up    (final)
 * stopped    stopped because somebody asked                 (final)
 * lost       its container vanished or its node was replaced (final)
 */
export type AttemptState =
  | "assigned"
  | "preparing"
  | "running"
  | "unknown"
  | "stopping"
  | "completed"
  | "failed"
  | "stopped"
  | "lost";

export const ATTEMPT_STATES: readonly AttemptState[] = [
  "assigned",
  "preparing",
  "running",
  "unknown",
  "stopping",
  "completed",
  "failed",
  "stopped",
  "lost",
];

const FINAL: readonly AttemptState[] = ["completed", "failed", "stopped", "lost"];

/** From each state, the states that may follow. A final state has none. */
export const ATTEMPT_TRANSITIONS: Readonly<Record<AttemptState, readonly AttemptState[]>> = {
  assigned: ["preparing", "running", "unknown", "stopping", ...FINAL],
  preparing: ["running", "unknown", "stopping", ...FINAL],
  running: ["preparing", "unknown", "stopping", ...FINAL],
  unknown: ["assigned", "preparing", "running", "stopping", ...FINAL],
  stopping: ["unknown", ...FINAL],
  completed: [],
  failed: [],
  stopped: [],
  lost: [],
};

export function isFinal(state: AttemptState): boolean {
  return ATTEMPT_TRANSITIONS[state].length === 0;
}

export function mayFollow(from: AttemptState, to: AttemptState): boolean {
  return ATTEMPT_TRANSITIONS[from].includes(to);
}

export interface BoundPort {
  readonly container: number;
  readonly protocol: "tcp" | "udp";
  readonly hostIp: string;
  readonly host: number;
}

export type HealthState = "none" | "starting" | "healthy" | "unhealthy";

/** What a sailor observed of an attempt. Wall times are the sailor's clock, milliseconds since 1970; null: not yet. */
export interface Observation {
  readonly containerId: string | null;
  readonly containerName: string | null;
  readonly ports: readonly BoundPort[];
  readonly health: HealthState;
  /** How long the health state has lasted without a break, measured on the sailor when it was reported. */
  readonly healthForMs: number;
  readonly healthOutput: string | null;
  readonly restarts: number;
  readonly healthRestarts: number;
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
  /** What is being done or what went wrong, for a person: `pulling example/web:1`, the Engine's own words. */
  readonly message: string | null;
  /** The end of the output of a failed attempt, at most 8 KiB. */
  readonly outputTail: string | null;
  /**
   * Of a task that says `minHealthyMs`. True: it runs, and was healthy (without a health check: up) without a break for that
   * long. False: there was a break. Absent: this process of the sailor found it running and cannot tell yet.
   */
  readonly settled?: boolean;
}

export const NOTHING_OBSERVED: Observation = {
  containerId: null,
  containerName: null,
  ports: [],
  health: "none",
  healthForMs: 0,
  healthOutput: null,
  restarts: 0,
  healthRestarts: 0,
  exitCode: null,
  oomKilled: false,
  startedMs: null,
  finishedMs: null,
  message: null,
  outputTail: null,
};

/** What a placement takes from an Engine's book. */
export interface Reservation {
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Host ports claimed by the document, as `8080/tcp`. Ports of the Engine's choice are not claimed. */
  readonly hostPorts: readonly string[];
}

export interface AttemptRecord {
  readonly id: string;
  readonly sailId: string;
  /** 1 for a sail's first attempt. */
  readonly number: number;
  readonly nodeId: string;
  readonly engineId: string;
  readonly state: AttemptState;
  readonly desired: "run" | "stop";
  readonly graceMs: number;
  readonly reservation: Reservation;
  /** The sailor has reported it at least once: from then on it may only be adopted, never started anew (I7). */
  readonly reported: boolean;
  /** True until the sailor has said that the container no longer runs: the reservation counts that long (I4). */
  readonly holding: boolean;
  /** Why it ended without a report of its own: `node host-a is down`. */
  readonly reason: string | null;
  readonly createdMs: number;
  readonly endedMs: number | null;
  readonly observed: Observation;
  /** Of a replica: `startedMs` of the process that was healthy for minHealthyTime and has had no break since; absent: none. */
  readonly settledStartMs?: number;
}

/** `SAIL-NUMBER`: unique, readable, and the tail of the container's name. */
export function attemptId(sailId: string, number: number): string {
  return `${sailId}-${number}`;
}

/**
 * The container's name. Cluster and the whole id are in it, because two decks may share an Engine and ids may be
 * chosen by users: a name that is taken by another attempt would keep this one from ever starting.
 */
export function containerName(owner: string, sailId: string, number: number): string {
  return `ormen-${owner.slice(0, 6)}-${sailId}-${number}`;
}

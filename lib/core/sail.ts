/**
 * A sail: what a user asked to run. Owns the record and what its state means for users.
 * The spec lies in a record of its own (it is large and never changes); attempts have theirs.
 */
import type { AttemptState } from "./attempt.ts";
import type { TaskSpec } from "./documents/task.ts";
import type { ReplicaMark } from "./service/records.ts";

/**
 * pending    wants an attempt and has none (`why` says what stands in the way, `retryAtMs` when it is tried again)
 * scheduled  an attempt is on its way to running
 * running    its attempt runs
 * unknown    its attempt's node is silent
 * stopping   a stop was acknowledged and is being carried out
 * completed, failed, stopped   final
 */
export type SailState =
  | "pending"
  | "scheduled"
  | "running"
  | "unknown"
  | "stopping"
  | "completed"
  | "failed"
  | "stopped";

export const SAIL_STATES: readonly SailState[] = [
  "pending",
  "scheduled",
  "running",
  "unknown",
  "stopping",
  "completed",
  "failed",
  "stopped",
];

export function isSailFinal(state: SailState): boolean {
  return state === "completed" || state === "failed" || state === "stopped";
}

/** The state of a sail whose current attempt is in `state` and is to run. */
export function sailStateOf(state: AttemptState): SailState {
  switch (state) {
    case "assigned":
    case "preparing":
      return "scheduled";
    case "lost":
      return "pending";
    case "running":
    case "unknown":
    case "stopping":
    case "completed":
    case "failed":
    case "stopped":
      return state;
    default:
      return state satisfies never;
  }
}

export interface SailRecord {
  readonly id: string;
  readonly name: string;
  /** Key of the spec record; the sail's own id for a task. */
  readonly specId: string;
  readonly state: SailState;
  readonly desired: "run" | "stop";
  readonly graceMs: number;
  /** Number of attempts made so far. */
  readonly attempts: number;
  /** Id of the attempt that counts (I2), null before the first and while a new one is awaited. */
  readonly currentAttemptId: string | null;
  readonly createdMs: number;
  readonly endedMs: number | null;
  /** When a delayed new attempt is due, wall time. */
  readonly retryAtMs: number | null;
  /** How often it was placed again because its restarts were used up: drives the backoff. */
  readonly reschedules: number;
  /** Why it is pending or how it ended, one sentence. */
  readonly why: string | null;
  /** Ids of the events' causes that were taken already, so that the same original event twice is one task. */
  readonly originalEventId: string | null;
  /** Bumped at each change, for watchers that compare. */
  readonly revision: number;
  /** The step record whose attempt it is; absent: none. */
  readonly stepId?: string;
  /** Absent: it is no replica of a service. */
  readonly replica?: ReplicaMark;
  /** The rollout whose replicas its request measures; absent: none. */
  readonly measures?: string;
}

/** A spec as stored, shared by all who run it. `original` keeps fields of the Go original's document for echoing. */
export interface SpecRecord {
  readonly id: string;
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
}

export interface OriginalFields {
  readonly exposedPorts: Readonly<Record<string, Record<string, never>>> | null;
  readonly portBindings: Readonly<Record<string, string>> | null;
  readonly restartPolicy: string;
  readonly healthCheck: string;
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

/** Shapes of the session protocol that decisions read and make; their schemas are in messages/session.ts. */
import type { AttemptState, Observation } from "./attempt.ts";
import type { Bounds } from "./bounds.ts";
import type { HostRuntime, TaskSpec } from "./documents/task.ts";
import type { Capacity, LocalUse, MachineStats } from "./mast.ts";

/**
 * exited          its process ended and its policy does not start it again
 * restartsUsedUp  it may not be restarted any more (exits or health)
 * notCreated      pull, create or start failed for good
 * vanished        it was journalled and its container is gone
 * stopped         somebody asked
 */
export type AttemptCause = "exited" | "restartsUsedUp" | "notCreated" | "vanished" | "stopped";

export const STDOUT_BYTES_MAX = 64 * 1024;
export const OUTPUT_BYTES_MAX = 256 * 1024;
/** Names and values of an answer's headers together, and how many there may be. */
export const HEADERS_BYTES_MAX = 16 * 1024;
export const HEADERS_MAX = 100;

/** Of an http step: what came back, its body aside. Names of headers in small letters. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** What an attempt of a workflow's step left behind, read when it ended. Texts are UTF-8; what is none is replaced. */
export interface StepResult {
  /** The beginning of each, at most STDOUT_BYTES_MAX; `truncated` says that stdout was longer. */
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
  /** The file behind ORMEN_OUTPUT; null: nothing was written. */
  readonly output: string | null;
  /** Of an http step: what came back; its body is `stdout`. */
  readonly answer: HttpAnswer | null;
  /** Why something of the above could not be read; null: all was. */
  readonly problem: string | null;
}

/** What a sailor tells of one attempt. `revision` grows with each change within one process of the sailor. */
export interface AttemptReport {
  readonly attemptId: string;
  readonly sailId: string;
  readonly number: number;
  readonly revision: number;
  readonly state: Exclude<AttemptState, "assigned" | "unknown">;
  /** Why it ended; null while it has not. */
  readonly cause: AttemptCause | null;
  readonly observed: Observation;
  /** With the end of an attempt whose task says `step.capture`. */
  readonly result?: StepResult;
}

/** One attempt that the sailor should run or stop. */
export interface Assignment {
  readonly attemptId: string;
  readonly sailId: string;
  readonly number: number;
  readonly desired: "run" | "stop";
  readonly graceMs: number;
  /** The sailor has reported it before: when it knows nothing of it now, it is lost and not to be started. */
  readonly known: boolean;
  readonly spec: TaskSpec;
  /** Values of the secrets that the task names, for its environment and files. Only on the wire, and never kept. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Service to the addresses of its healthy replicas as they are now, `host:port`, of the services that the task binds. */
  readonly services?: Readonly<Record<string, readonly string[]>>;
}

export interface Hello {
  readonly kind: "hello";
  readonly protocol: number;
  readonly version: string;
  readonly nodeId: string;
  /** Proven before the hello reaches a decision; absent: an older sailor. */
  readonly publicKey?: string;
  readonly name: string;
  /** Made anew by each process. */
  readonly instance: string;
  /** Null: never joined a cluster. */
  readonly clusterId: string | null;
  readonly highestTerm: number;
  /** `host:port` of the sailor's own API; null: none that others reach. */
  readonly address: string | null;
  readonly engineId: string;
  readonly runtimes: readonly HostRuntime[];
  /** Absent: an older sailor. */
  readonly allows?: Bounds;
  readonly capacity: Capacity;
  readonly labels: Readonly<Record<string, string>>;
  /** All attempts that are not both ended and acknowledged. */
  readonly attempts: readonly AttemptReport[];
  readonly local: LocalUse;
  readonly stats: MachineStats | null;
  readonly runtimesAway?: readonly HostRuntime[];
  /** What this sailor can do besides running tasks: see core/mast.ts. Absent: an older sailor. */
  readonly abilities?: readonly string[];
}

export type RefuseCode =
  | "foreignCluster"
  | "staleTerm"
  | "secondInstance"
  | "protocol"
  | "unauthorized"
  | "starting";

export type DeckMessage =
  | {
    readonly kind: "welcome";
    readonly protocol: number;
    readonly version: string;
    readonly clusterId: string;
    readonly term: number;
    readonly sessionId: string;
    readonly heartbeatMs: number;
    readonly timeoutMs: number;
    readonly assignments: readonly Assignment[];
  }
  | { readonly kind: "refuse"; readonly code: RefuseCode; readonly message: string }
  | {
    readonly kind: "acknowledge";
    readonly reports: readonly { readonly attemptId: string; readonly revision: number }[];
  }
  /** Addresses of services that tasks of this sailor bind; those that are named are whole. Only to sailors with the ability `services`. */
  | { readonly kind: "services"; readonly services: Readonly<Record<string, readonly string[]>> };

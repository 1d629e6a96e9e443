/**
 * What a sailor offers to its own listener. Tasks that come in here belong to `local`: no deck knows or stops them; tasks of
 * a deck are shown, and not stopped here.
 */
import type { AttemptState, Observation } from "../core/attempt.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { MachineStats } from "../core/mast.ts";
import type { OriginalFields } from "../core/sail.ts";
import type { Link } from "../contracts/link.ts";

export interface LocalTask {
  /** Null: the sailor makes one. */
  readonly id: string | null;
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
  /** Id of the original's event; the same event twice is one task. */
  readonly originalEventId: string | null;
}

export type LocalSubmitReply =
  | { readonly kind: "accepted"; readonly id: string }
  | { readonly kind: "conflict"; readonly message: string }
  | { readonly kind: "unavailable"; readonly message: string };

export type LocalStopReply =
  | { readonly kind: "done" }
  | { readonly kind: "notFound" }
  /** It belongs to a deck. */
  | { readonly kind: "conflict"; readonly message: string }
  | { readonly kind: "unavailable"; readonly message: string };

/** One task on this sailor, whoever gave it. */
export interface SailorTask {
  readonly id: string;
  readonly state: AttemptState;
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
  readonly observed: Observation;
}

export interface SailorApi {
  /** Resolves once it is journalled. */
  localSubmit(task: LocalTask): Promise<LocalSubmitReply>;
  localStop(taskId: string): Promise<LocalStopReply>;
  tasks(): Iterable<SailorTask>;
  /** The Engine's inspect document of a task's container; undefined when there is none. */
  inspectRaw(taskId: string): Promise<unknown | undefined>;
  stats(): Promise<MachineStats>;
  /** A deck dialled in. */
  acceptSession(link: Link, remoteIp: string): void;
  acceptStreams(link: Link): void;
  /** Null: ready; else why not. */
  notReady(): string | null;
}

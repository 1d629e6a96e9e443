/**
 * What the deck offers to its edges (HTTP, and whoever embeds it). Writes go through the loop and resolve once they
 * are durable; reads see committed records only.
 */
import type { SailRecord, SpecRecord } from "../core/sail.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { SubmitConflict } from "../core/decide_submit.ts";
import type { OriginalFields } from "../core/sail.ts";
import type { MastLive, MastRecord } from "../core/mast.ts";
import type { AttemptRecord } from "../core/attempt.ts";
import type { Role } from "../core/token.ts";
import type { Link } from "../contracts/link.ts";
import type { VersionedRecord } from "../core/migrate.ts";
import type { ServiceApi } from "./service_api.ts";
import type { WorkflowApi } from "./workflow_api.ts";
import type { BackupHeader } from "../messages/backup.ts";
import type {
  DeckInfo,
  EventView,
  NodeView,
  SecretView,
  TaskDetailView,
  TaskView,
  TokenView,
} from "../messages/api.ts";

export interface NewTask {
  /** Null: the deck makes one. */
  readonly id: string | null;
  readonly spec: TaskSpec;
  readonly original: OriginalFields | null;
  /** Id of the original's event; the same event twice is one task. */
  readonly originalEventId: string | null;
}

/** `unavailable`: the store refuses or the deck is stopping; nothing was changed. */
export type Unavailable = { readonly kind: "unavailable"; readonly message: string };

export type SubmitReply =
  | { readonly kind: "accepted"; readonly sail: SailRecord; readonly created: boolean }
  | { readonly kind: "conflict"; readonly code: SubmitConflict; readonly message: string }
  | Unavailable;

export type SecretReply =
  | { readonly kind: "set"; readonly secret: SecretView }
  | { readonly kind: "conflict"; readonly message: string }
  | Unavailable;

export type BatchReply =
  | {
    readonly kind: "done";
    readonly items: readonly { readonly id: string; readonly name: string; readonly error: string | null }[];
  }
  | { readonly kind: "conflict"; readonly code: "nameInUse" | "keyReused"; readonly message: string }
  | Unavailable;

export type CommandReply =
  | { readonly kind: "done"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string }
  | { readonly kind: "conflict"; readonly message: string }
  | Unavailable;

export type TokenReply =
  | { readonly kind: "created"; readonly token: TokenView }
  | { readonly kind: "conflict"; readonly message: string }
  | Unavailable;

/** `ambiguous`: a shortened id that fits several. */
export type Found<T> =
  | { readonly kind: "found"; readonly value: T }
  | { readonly kind: "none" }
  | { readonly kind: "ambiguous"; readonly candidates: readonly string[] };

export interface TaskFilter {
  readonly states?: readonly string[];
  /** Name or id of a node. */
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Only tasks that have not ended. */
  readonly live?: boolean;
}

/** A page in creation order, newest last; `next` null at the end. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export interface LogRequest {
  /** Number of an attempt; null: the current or last one. */
  readonly attempt: number | null;
  readonly follow: boolean;
  readonly tail: number | null;
  readonly sinceMs: number | null;
  readonly timestamps: boolean;
}

export interface OutputPiece {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
}

/** Bounded by credits: what is not read is not fetched. Ends by itself or by `close`. */
export interface OutputStream extends AsyncIterable<OutputPiece> {
  close(): void;
}

export interface RemoteExec {
  readonly output: AsyncIterable<OutputPiece>;
  readonly exitCode: Promise<number>;
  write(data: Uint8Array): Promise<void>;
  closeStdin(): void;
  resize(columns: number, rows: number): void;
  close(): void;
}

/** Why a stream cannot be had: text for a person, e.g. `node host-a is down`. */
export class StreamUnavailable extends Error {
  constructor(readonly code: "notFound" | "noContainer" | "nodeAway" | "failed", message: string) {
    super(message);
    this.name = "StreamUnavailable";
  }
}

/** Bounded: a subscriber that does not keep up is told `lagged` once and gets nothing more. */
export interface EventSubscription {
  close(): void;
}

export interface DeckMetrics {
  /** Prometheus text exposition of the deck's own figures (without HTTP's). */
  expose(): string;
}

/** What GET /tasks of the original needs of one task. */
export interface OriginalTask {
  readonly sail: SailRecord;
  readonly spec: SpecRecord;
  readonly attempt: AttemptRecord | null;
}

export interface OriginalNode {
  readonly mast: MastRecord;
  readonly live: MastLive | null;
  readonly reservedMemoryBytes: number;
  readonly reservedDiskBytes: number;
  readonly taskCount: number;
}

export interface DeckApi extends WorkflowApi, ServiceApi {
  submit(task: NewTask): Promise<SubmitReply>;
  /**
   * Carried on in pieces, answered after the last. `key` null: no idempotency. With the same key and the same
   * `digest` (of the body, by the caller) it completes what is missing or repeats the answer; another digest is a
   * conflict. `ids` has one id for each task, made from key and index by the caller.
   */
  submitBatch(
    request: {
      readonly key: string | null;
      readonly digest: string;
      readonly ids: readonly string[];
      readonly specs: readonly TaskSpec[];
    },
  ): Promise<BatchReply>;
  /** Stops a task; done at once when it has ended already. `graceMs` null: the task's own. */
  stop(sailId: string, graceMs: number | null): Promise<CommandReply>;
  drain(nodeId: string): Promise<CommandReply>;
  resume(nodeId: string): Promise<CommandReply>;
  removeNode(nodeId: string): Promise<CommandReply>;

  /** `name` null: made of the role and the id. */
  createToken(request: {
    readonly name: string | null;
    readonly role: Role;
    readonly digest: string;
    readonly expiresMs: number | null;
  }): Promise<TokenReply>;
  revokeToken(id: string): Promise<CommandReply>;
  /** In the order of their making. */
  listTokens(): readonly TokenView[];
  /** By its SHA-256 in hex; also one that has expired. */
  findToken(
    digest: string,
  ): { readonly id: string; readonly role: Role; readonly expiresMs: number | null } | undefined;

  /** The value is sealed before anything is kept of it. */
  setSecret(name: string, value: string): Promise<SecretReply>;
  removeSecret(name: string, force: boolean): Promise<CommandReply>;
  /** By name. */
  listSecrets(): readonly SecretView[];

  /** By id, by name (a live one first, then the newest), or by the beginning of an id. */
  findTask(reference: string): Found<TaskDetailView>;
  /** By id, without what only its own page shows: history, events and specification. */
  summaryOf(taskId: string): TaskView | undefined;
  findNode(reference: string): Found<NodeView>;
  /** `cursor` from an earlier page's `next`; undefined when it is not one. */
  listTasks(filter: TaskFilter, limit: number, cursor: string | null): Page<TaskView> | undefined;
  listNodes(limit: number, cursor: string | null): Page<NodeView> | undefined;
  /** Events after `sequence`, oldest first, at most `limit`. */
  listEvents(afterSequence: number, limit: number): readonly EventView[];
  /** Sequence of the newest event, and of the oldest that is kept; 0 when there is none. */
  eventRange(): { readonly oldest: number; readonly newest: number };
  /**
   * Every event committed from now on, in order, without a gap to `listEvents` in the same turn. `onEvents` must
   * return at once.
   */
  subscribe(onEvents: (events: readonly EventView[]) => void): EventSubscription;

  originalTasks(): Iterable<OriginalTask>;
  originalNodes(): readonly OriginalNode[];

  /** Throws StreamUnavailable. */
  openLogs(sailId: string, request: LogRequest): Promise<OutputStream>;
  openExec(
    sailId: string,
    request: {
      readonly command: readonly string[];
      readonly tty: boolean;
      readonly stdin: boolean;
      readonly columns?: number;
      readonly rows?: number;
    },
  ): Promise<RemoteExec>;

  /** A sailor dialled in. */
  acceptSession(link: Link, remoteIp: string): void;
  acceptStreams(link: Link): void;

  /** Null: ready; else why not. */
  notReady(): string | null;
  info(): DeckInfo;
  metrics(): DeckMetrics;
  /** All records as of one moment. They are held by reference: nothing is copied. */
  backup(): { readonly about: BackupAbout; readonly records: Iterable<VersionedRecord> };
}

export type BackupAbout = Omit<BackupHeader, "format" | "version">;

/**
 * Services as the deck keeps them: the service, its revisions, and its rollouts. A replica is a task (a sail) that bears a
 * mark (`ReplicaMark`); its attempts are tries at it, as of any task.
 *
 * 1. A slot keeps its number; a replica is one task in one slot of one revision.
 * 2. At most one rollout of a service is active. A later one supersedes it.
 * 3. Times of a rollout are counted on a clock of its own (`activeMs`), which stands still while the deck is away or the
 *    rollout is paused.
 */
import type { ServiceMode, ServiceSpec, UpdateSpec } from "../documents/service.ts";

export const REVISIONS_KEPT = 10;
export const ROLLOUTS_KEPT = 10;

export interface ServiceRecord {
  readonly name: string;
  readonly mode: ServiceMode;
  /** Wanted by users; a global service has as many as there are nodes for it. */
  readonly replicas: number;
  readonly update: UpdateSpec;
  /** The revision that the replicas should have: of the last rollout, whatever became of it. */
  readonly revision: number;
  /** The newest one given out. */
  readonly newestRevision: number;
  /** Of the newest rollout; 0: there was none yet. */
  readonly rollout: number;
  /** A rollout has failed and nothing took its place: replicas are kept as they are until somebody decides. */
  readonly held: string | null;
  /** Counts replicas, so that ids of tasks are never used twice. */
  readonly serial: number;
  /** Of a global one: node id to slot, so that a node keeps its number. */
  readonly nodeSlots: Readonly<Record<string, number>>;
  /** Asked to go: its replicas are being stopped, then it is forgotten. */
  readonly removing: boolean;
  readonly notes: readonly string[];
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** `SERVICE@NUMBER`; its task's spec is the spec record of the same id. */
export interface RevisionRecord {
  readonly id: string;
  readonly service: string;
  readonly number: number;
  readonly spread: ServiceSpec["spread"];
  /** When a rollout to it succeeded last; null: none has. */
  readonly stableMs: number | null;
  /** What made it: `apply`, `restart of 3`. */
  readonly cause: string;
  readonly createdMs: number;
}

/**
 * running   replicas are being replaced
 * waiting   canaries, or a green side, are healthy and a person is to promote them
 * paused    by a person
 * succeeded, failed, aborted, superseded   final
 */
export type RolloutState = "running" | "waiting" | "paused" | "succeeded" | "failed" | "aborted" | "superseded";

export const ROLLOUT_STATES: readonly RolloutState[] = [
  "running",
  "waiting",
  "paused",
  "succeeded",
  "failed",
  "aborted",
  "superseded",
];

export function isRolloutFinal(state: RolloutState): boolean {
  return state !== "running" && state !== "waiting" && state !== "paused";
}

/**
 * What a rollout is at, in this order; not every strategy has each.
 * canaries   the first few, or the whole green side, become healthy
 * analysis   what was started is measured
 * promotion  a person is awaited
 * replacing  the rest follows
 * monitor    all are healthy, and watched
 */
export type RolloutStage = "canaries" | "analysis" | "promotion" | "replacing" | "monitor";

export interface AnalysisProgress {
  readonly done: number;
  readonly failed: number;
  /** The request that is under way. */
  readonly taskId: string | null;
  /** On the rollout's own clock. */
  readonly nextAtMs: number;
  readonly lastFailure: string | null;
}

/** `SERVICE#NUMBER`. */
export interface RolloutRecord {
  readonly id: string;
  readonly service: string;
  readonly number: number;
  /** The revision that was wanted before; null: none. */
  readonly from: number | null;
  readonly to: number;
  readonly cause: "apply" | "rollback" | "restart" | "revert" | "resume";
  /** Of a revert: the rollout that failed. */
  readonly reverts: number | null;
  /** Of workflows' runs: the step records that wait for it. */
  readonly stepIds: readonly string[];
  /** A run began it: with the last step that waits for it it is aborted. */
  readonly byRun: boolean;
  readonly update: UpdateSpec;
  readonly state: RolloutState;
  readonly stage: RolloutStage;
  /** Whether canaries or the green side took over. */
  readonly promoted: boolean;
  readonly analysis: AnalysisProgress | null;
  /** How it ended, or what it waits for. */
  readonly why: string | null;
  /** The replica that made it fail. */
  readonly failedTask: string | null;
  /** Of its own clock, when this record was written, and wall time then. */
  readonly activeMs: number;
  readonly clockAtMs: number;
  /** On its own clock: when the last replica became healthy for the first time; when its stage began. */
  readonly progressAtMs: number;
  readonly stageAtMs: number;
  /** How often all replicas were healthy and one of them was lost before it counted. */
  readonly setbacks: number;
  readonly createdMs: number;
  readonly endedMs: number | null;
}

/** What makes a task a replica. */
export interface ReplicaMark {
  readonly service: string;
  readonly slot: number;
  readonly revision: number;
  /** The rollout that started it; 0: none (it was scaled up, or takes the place of one that was lost). */
  readonly rollout: number;
  /** Of a global service: the only node it may run on. */
  readonly nodeId: string | null;
  /** On the rollout's clock: when it found a node. */
  readonly placedAtMs: number | null;
  /** It was healthy for minHealthyTime once. */
  readonly wasHealthy: boolean;
  /** Why it last ended by itself, or could not be started; null: it has not. */
  readonly failure: string | null;
  /** Wall time at which it is stopped; from when this is set it is on no address list. Null: it stays. */
  readonly retireAtMs: number | null;
}

export function revisionId(service: string, number: number): string {
  return `${service}@${number}`;
}

export function rolloutId(service: string, number: number): string {
  return `${service}#${number}`;
}

/** A replica's name for people, such as `web.1@4`; no user's task can have it. */
export function replicaName({ service, slot, revision }: Pick<ReplicaMark, "service" | "slot" | "revision">): string {
  return `${service}.${slot}@${revision}`;
}

/** Part of the container's name, too. */
export function replicaTaskId(mark: Pick<ReplicaMark, "service" | "slot" | "revision">, serial: number): string {
  return `${mark.service}.${mark.slot}.r${mark.revision}.${serial}`;
}

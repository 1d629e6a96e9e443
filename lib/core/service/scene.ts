/**
 * What a service is decided by, in one look: which slots are wanted, what is in them, and how late it is on the rollout's
 * own clock. Made from the records; what is decided from it (plan_service.ts) reads nothing else.
 */
import type { UpdateSpec } from "../documents/service.ts";
import { amountOf } from "../documents/service.ts";
import type { World } from "../decide.ts";
import { lateAfterMs } from "../liveness.ts";
import { meetsConstraints } from "../rudder/filters.ts";
import type { SailRecord } from "../sail.ts";
import type { State } from "../state.ts";
import type { ReplicaMark, RevisionRecord, RolloutRecord, ServiceRecord } from "./records.ts";
import { revisionId, rolloutId } from "./records.ts";

/**
 * pending   it has no node
 * starting  on its way, or up and not healthy for minHealthyTime
 * healthy   healthy for minHealthyTime, without a break since
 * unknown   its node is silent
 */
export type ReplicaPhase = "pending" | "starting" | "healthy" | "unknown";

export interface Replica {
  readonly taskId: string;
  readonly slot: number;
  readonly revision: number;
  readonly rollout: number;
  readonly phase: ReplicaPhase;
  /** It is retired or being stopped. */
  readonly leaving: boolean;
  readonly wasHealthy: boolean;
  readonly failure: string | null;
  /** On the rollout's clock; null: it has no node now. */
  readonly placedAtMs: number | null;
  /** Its node takes no tasks any more, and those that it has are to go. */
  readonly displaced: boolean;
  /** Why it is not healthy, for people. */
  readonly why: string | null;
}

export interface ServiceScene {
  readonly name: string;
  readonly revision: number;
  readonly update: UpdateSpec;
  readonly held: boolean;
  readonly removing: boolean;
  /** Null: none is active. */
  readonly rollout: RolloutRecord | null;
  /** Slots that should have a replica, in order. */
  readonly slots: readonly number[];
  /** Those that have not ended, in the order in which they were made. */
  readonly replicas: readonly Replica[];
  /** Newest stable revision; null: none. */
  readonly stable: number | null;
  /** The rollout's clock. */
  readonly nowMs: number;
}

/** Of the rollout `record` names; 0 when there is none. */
export function sceneOf(world: World, service: ServiceRecord, monoMs: number): ServiceScene {
  const { state } = world;
  const rollout = activeRollout(state, service);
  return {
    name: service.name,
    revision: service.revision,
    update: rollout?.update ?? service.update,
    held: service.held !== null,
    removing: service.removing,
    rollout,
    slots: wantedSlots(state, service),
    replicas: replicasOf(state, service.name)
      .filter(({ replica }) => !isAtSilentHome(state, replica!))
      .map((sail) => replicaOf(state, sail, sail.replica!)),
    stable: newestStable(state, service.name)?.number ?? null,
    nowMs: rollout ? rolloutNowMs(world, rollout, monoMs) : 0,
  };
}

export function activeRollout(state: State, service: ServiceRecord): RolloutRecord | null {
  const id = rolloutId(service.name, service.rollout);
  return state.activeRollouts.has(id) ? state.rollouts.get(id)! : null;
}

export function replicasOf(state: State, service: string): SailRecord[] {
  return [...state.replicas.get(service) ?? []].map((id) => state.sails.get(id)!);
}

/** The time that the deck was away, or stood still, or the rollout was paused, is not in it. */
export function rolloutNowMs(world: World, rollout: RolloutRecord, monoMs: number): number {
  const { rolloutClocks } = world.memory;
  const since = rolloutClocks.get(rollout.id);
  const wakingMs = wakingMonoMs(world, monoMs);
  if (since === undefined) {
    rolloutClocks.set(rollout.id, wakingMs);
    return rollout.activeMs;
  }
  return rollout.state === "paused" ? rollout.activeMs : rollout.activeMs + Math.max(0, wakingMs - since);
}

/** Monotonic time without the standstill that the next pulse will pass over. */
export function wakingMonoMs(world: World, monoMs: number): number {
  return monoMs - stoodStillMs(world, monoMs);
}

/** How long the deck's own pulse has been missing, beyond what is usual: its process was stopped, or its machine slept. */
function stoodStillMs({ memory, settings }: World, monoMs: number): number {
  if (memory.lastTickMonoMs < 0) return 0;
  return Math.max(0, monoMs - memory.lastTickMonoMs - lateAfterMs(settings.nodeTimeoutMs));
}

/** At the pulse that follows: what was not counted will not be. */
export function passOverStandstill(world: World, monoMs: number): void {
  const awayMs = stoodStillMs(world, monoMs);
  if (awayMs === 0) return;
  for (const [id, since] of world.memory.rolloutClocks) world.memory.rolloutClocks.set(id, since + awayMs);
}

/** The revision that a rollout succeeded to last, `except` aside. */
export function newestStable(state: State, service: string, except?: number): RevisionRecord | undefined {
  let newest: RevisionRecord | undefined;
  for (const id of state.revisionsByService.get(service) ?? []) {
    const revision = state.revisions.get(id)!;
    if (revision.stableMs === null || revision.number === except) continue;
    const isNewer = !newest || revision.stableMs > newest.stableMs! ||
      (revision.stableMs === newest.stableMs && revision.number > newest.number);
    if (isNewer) newest = revision;
  }
  return newest;
}

/** Of a global service: those of the nodes that can have a replica now. */
export function wantedSlots(state: State, service: ServiceRecord): number[] {
  if (service.removing) return [];
  if (service.mode === "replicated") return Array.from({ length: service.replicas }, (_, slot) => slot);
  return Object.entries(service.nodeSlots)
    .filter(([nodeId]) => belongs(state, service, nodeId))
    .map(([, slot]) => slot)
    .sort((a, b) => a - b);
}

/** Whether a global service should have a replica on the node. One that is silent keeps what it has, and is waited for by nobody. */
export function belongs(state: State, service: ServiceRecord, nodeId: string): boolean {
  const mast = state.masts.get(nodeId);
  const spec = state.specs.get(revisionId(service.name, service.revision))?.spec;
  if (!mast || !spec || mast.status === "down" || mast.eligibility !== "eligible") return false;
  return mast.runtimes.some((runtime) => runtime === spec.runtime) && meetsConstraints(mast, spec);
}

/** Nobody but its own node could have it: it is left alone until that is back. */
function isAtSilentHome(state: State, { nodeId }: ReplicaMark): boolean {
  return nodeId !== null && state.masts.get(nodeId)?.status === "down";
}

function replicaOf(state: State, sail: SailRecord, mark: ReplicaMark): Replica {
  const attempt = state.attempts.get(sail.currentAttemptId ?? "");
  const mast = attempt && state.masts.get(attempt.nodeId);
  const leaving = sail.desired === "stop" || mark.retireAtMs !== null;
  return {
    taskId: sail.id,
    slot: mark.slot,
    revision: mark.revision,
    rollout: mark.rollout,
    phase: phaseOf(state, sail),
    leaving,
    wasHealthy: mark.wasHealthy,
    failure: mark.failure,
    placedAtMs: isHeardOf(state, sail) ? mark.placedAtMs : null,
    displaced: mast !== undefined && mast.status !== "down" && mast.eligibility !== "eligible",
    why: whyNotHealthy(state, sail),
  };
}

/** In words of those who saw it; null: nothing is known. */
export function whyNotHealthy(state: State, sail: SailRecord): string | null {
  const observed = state.attempts.get(sail.currentAttemptId ?? "")?.observed;
  if (observed?.healthOutput != null) return observed.healthOutput;
  if (observed && observed.restarts > 0) {
    const code = observed.exitCode === null ? "" : `, last exit code ${observed.exitCode}`;
    return `restarted ${observed.restarts} ${observed.restarts === 1 ? "time" : "times"}${code}`;
  }
  return observed?.message ?? sail.replica!.failure ?? sail.why;
}

/** Whether somebody tells of it now. What is not heard is none of the replica's failures. */
export function isHeardOf(state: State, sail: SailRecord): boolean {
  const attempt = state.attempts.get(sail.currentAttemptId ?? "");
  return attempt !== undefined && state.live.get(attempt.nodeId)?.sessionId != null;
}

export function phaseOf(state: State, sail: SailRecord): ReplicaPhase {
  const attempt = state.attempts.get(sail.currentAttemptId ?? "");
  if (!attempt) return "pending";
  if (attempt.state === "unknown") return "unknown";
  return attempt.state === "running" && attempt.settledStartMs !== undefined ? "healthy" : "starting";
}

export function maxUnavailableOf({ strategy, maxUnavailable }: UpdateSpec, desired: number): number {
  return strategy === "recreate" ? desired : amountOf(maxUnavailable, desired, "down");
}

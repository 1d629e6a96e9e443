/** From records of services and rollouts to what /v1 shows. Pure. */
import { describeService } from "../core/documents/describe_service.ts";
import type { ServiceSpec } from "../core/documents/service.ts";
import type { Settings } from "../core/input.ts";
import type { SailRecord } from "../core/sail.ts";
import { addressesOf } from "../core/service/addresses.ts";
import { revisionsOf } from "../core/service/decide_service.ts";
import { revisionSpec } from "../core/service/decide_service.ts";
import { deadlineMs } from "../core/service/plan_service.ts";
import type { RevisionRecord, RolloutRecord, ServiceRecord } from "../core/service/records.ts";
import { isRolloutFinal, revisionId, rolloutId } from "../core/service/records.ts";
import { activeRollout, phaseOf, replicasOf, wantedSlots, whyNotHealthy } from "../core/service/scene.ts";
import type { State } from "../core/state.ts";
import type {
  AddressList,
  ReplicaView,
  RevisionView,
  RolloutView,
  ServiceDetailView,
  ServiceHistory,
  ServiceView,
} from "../messages/service_api.ts";
import { rfc3339, whyOf } from "./views.ts";

const timeOrNull = (ms: number | null) => ms === null ? null : rfc3339(ms);

export function serviceView(state: State, service: ServiceRecord): ServiceView {
  const replicas = staying(state, service.name);
  const slots = wantedSlots(state, service);
  const wanted = new Set(slots);
  const healthySlots = new Set(
    replicas.filter((sail) => phaseOf(state, sail) === "healthy").map(({ replica }) => replica!.slot)
      .filter((slot) => wanted.has(slot)),
  );
  const active = activeRollout(state, service);
  const newest = state.rollouts.get(rolloutId(service.name, service.rollout));
  return {
    name: service.name,
    mode: service.mode,
    image: state.specs.get(revisionId(service.name, service.revision))?.spec.image ?? "",
    revision: service.revision,
    state: service.removing
      ? "removing"
      : service.held !== null || active?.state === "paused"
      ? "paused"
      : active?.state === "waiting"
      ? "waiting"
      : active
      ? "rolling"
      : healthySlots.size < slots.length
      ? "degraded"
      : "healthy",
    replicas: {
      desired: slots.length,
      running: replicas.filter(({ state }) => state === "running").length,
      healthy: healthySlots.size,
    },
    rollout: newest ? rolloutView(state, newest) : null,
    createdAt: rfc3339(service.createdMs),
    updatedAt: rfc3339(service.updatedMs),
  };
}

/** Those that are meant to go on. */
function staying(state: State, service: string): SailRecord[] {
  return replicasOf(state, service).filter(({ desired, replica }) => desired === "run" && replica!.retireAtMs === null);
}

export function serviceDetailView(state: State, settings: Settings, service: ServiceRecord): ServiceDetailView {
  const listed = new Map(addressesOf(state, service.name).map(({ taskId, address }) => [taskId, address]));
  const replicas = replicasOf(state, service.name)
    .map((sail) => replicaView(state, settings, sail, listed.get(sail.id) ?? null))
    .sort((a, b) => a.slot - b.slot || a.revision - b.revision);
  const active = activeRollout(state, service);
  return {
    ...serviceView(state, service),
    document: describeService(specOfService(state, service)) as Record<string, unknown>,
    notes: [...service.notes],
    why: service.held ?? (active?.state === "paused" ? `rollout ${active.number} is paused` : null),
    revisions: revisionsOf(state, service.name).map((each) => revisionView(state, service, each))
      .filter(({ running, current }) => running > 0 || current),
    slots: replicas,
  };
}

/** What applying it again would change nothing of. */
export function specOfService(state: State, service: ServiceRecord): ServiceSpec {
  const { name, mode, replicas, update, notes, revision } = service;
  const { task, spread } = revisionSpec(state, name, revision)!;
  return { name, mode, replicas, task, spread, update, notes };
}

function replicaView(state: State, settings: Settings, sail: SailRecord, address: string | null): ReplicaView {
  const mark = sail.replica!;
  const attempt = state.attempts.get(sail.currentAttemptId ?? "");
  return {
    taskId: sail.id,
    name: sail.name,
    slot: mark.slot,
    revision: mark.revision,
    rollout: mark.rollout === 0 ? null : mark.rollout,
    state: stateOfReplica(state, sail),
    why: attempt ? whyNotHealthy(state, sail) : mark.failure ?? whyOf(state, settings, sail),
    node: state.masts.get(attempt?.nodeId ?? "")?.name ?? null,
    address,
    restarts: (attempt?.observed.restarts ?? 0) + (attempt?.observed.healthRestarts ?? 0),
    createdAt: rfc3339(sail.createdMs),
  };
}

function stateOfReplica(state: State, sail: SailRecord): ReplicaView["state"] {
  if (sail.desired === "stop" || sail.replica!.retireAtMs !== null) return "stopping";
  const phase = phaseOf(state, sail);
  if (phase !== "starting") return phase;
  const attempt = state.attempts.get(sail.currentAttemptId!)!;
  if (attempt.state !== "running") return "starting";
  return attempt.observed.health === "unhealthy" ? "unhealthy" : "running";
}

export function revisionView(state: State, service: ServiceRecord, revision: RevisionRecord): RevisionView {
  const own = staying(state, service.name).filter(({ replica }) => replica!.revision === revision.number);
  return {
    revision: revision.number,
    stable: revision.stableMs !== null,
    current: revision.number === service.revision,
    cause: revision.cause,
    image: state.specs.get(revision.id)?.spec.image ?? "",
    createdAt: rfc3339(revision.createdMs),
    running: own.filter(({ state }) => state === "running").length,
    healthy: own.filter((sail) => phaseOf(state, sail) === "healthy").length,
  };
}

export function serviceHistory(state: State, service: ServiceRecord): ServiceHistory {
  return {
    revisions: revisionsOf(state, service.name).map((each) => revisionView(state, service, each)),
    rollouts: rolloutsOf(state, service.name).map((each) => rolloutView(state, each)),
  };
}

/** Newest first. */
export function rolloutsOf(state: State, service: string): RolloutRecord[] {
  return [...state.rolloutsByService.get(service) ?? []].map((id) => state.rollouts.get(id)!)
    .sort((a, b) => b.number - a.number);
}

export function rolloutView(state: State, rollout: RolloutRecord): RolloutView {
  const service = state.services.get(rollout.service);
  const slots = service ? wantedSlots(state, service) : [];
  const up = new Set(
    staying(state, rollout.service)
      .filter((sail) => sail.replica!.revision === rollout.to && phaseOf(state, sail) === "healthy")
      .map(({ replica }) => replica!.slot),
  );
  const isOver = isRolloutFinal(rollout.state);
  const revert = rolloutsOf(state, rollout.service).find(({ reverts }) => reverts === rollout.number);
  return {
    id: rollout.id,
    service: rollout.service,
    number: rollout.number,
    from: rollout.from,
    to: rollout.to,
    cause: rollout.cause,
    reverts: rollout.reverts,
    state: rollout.state,
    stage: rollout.stage,
    strategy: rollout.update.strategy,
    why: rollout.why,
    failedTask: rollout.failedTask,
    revertedBy: revert?.number ?? null,
    analysis: rollout.update.analysis
      ? {
        done: rollout.analysis?.done ?? 0,
        failed: rollout.analysis?.failed ?? 0,
        count: rollout.update.analysis.count,
        lastFailure: rollout.analysis?.lastFailure ?? null,
      }
      : null,
    updated: slots.filter((slot) => up.has(slot)).length,
    desired: slots.length,
    createdAt: rfc3339(rollout.createdMs),
    endedAt: timeOrNull(rollout.endedMs),
    deadlineAt: isOver || rollout.state === "paused" ? null : deadlineAt(rollout),
  };
}

/** Its own clock was last read when its record was written; since then it went with the wall. */
function deadlineAt(rollout: RolloutRecord): string | null {
  const limitMs = deadlineMs(rollout);
  return limitMs === null ? null : rfc3339(rollout.clockAtMs + limitMs - rollout.activeMs);
}

export function addressList(state: State, service: string): AddressList {
  return {
    service,
    addresses: addressesOf(state, service).map((each) => ({ ...each, ports: each.ports.map((port) => ({ ...port })) })),
  };
}

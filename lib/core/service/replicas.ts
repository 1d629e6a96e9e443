/** The beginning and the end of a replica. */
import { isFinal } from "../attempt.ts";
import { acceptSail, endSail, putSail, stopAttempt } from "../changes.ts";
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { SailRecord } from "../sail.ts";
import type { StartReplica } from "./plan_service.ts";
import type { ReplicaMark, ServiceRecord } from "./records.ts";
import { replicaName, replicaTaskId, revisionId } from "./records.ts";
import { phaseOf } from "./scene.ts";

/** Puts a new replica on record. Answers the service as it is now. */
export function startReplica(world: World, draft: Draft, service: ServiceRecord, given: StartReplica): ServiceRecord {
  const { state } = world;
  const mark: ReplicaMark = {
    ...given,
    service: service.name,
    nodeId: service.mode === "global" ? nodeOf(service, given.slot) : null,
    placedAtMs: null,
    wasHealthy: false,
    failure: null,
    retireAtMs: null,
  };
  const specId = revisionId(service.name, given.revision);
  const { graceMs } = state.specs.get(specId)!.spec;
  let serial = service.serial + 1;
  // Users may choose ids.
  while (state.sails.has(replicaTaskId(mark, serial))) serial++;
  const next = { ...service, serial };
  draft.put("service", service.name, next);
  acceptSail(world, draft, {
    id: replicaTaskId(mark, serial),
    name: replicaName(mark),
    specId,
    graceMs,
    originalEventId: null,
    replica: mark,
  });
  return next;
}

function nodeOf({ name, nodeSlots }: ServiceRecord, slot: number): string {
  const nodeId = Object.keys(nodeSlots).find((id) => nodeSlots[id] === slot);
  if (nodeId === undefined) throw new Error(`service ${name} has no node for slot ${slot}`);
  return nodeId;
}

/**
 * Lets a replica go. Others may know the address of one that is healthy: it leaves the list now, and is stopped once
 * those have had the time to notice.
 */
export function retireReplica(world: World, draft: Draft, sail: SailRecord, delayMs: number): void {
  const mark = sail.replica!;
  const isKnown = phaseOf(world.state, sail) === "healthy" && world.state.specs.get(sail.specId)!.spec.ports.length > 0;
  const waitMs = isKnown ? delayMs : 0;
  const retireAtMs = draft.context.wallMs + waitMs;
  const retired = putSail(draft, sail, { replica: { ...mark, retireAtMs } });
  draft.event("replicaRetiring", `${sail.name} is retired`, { sailId: sail.id });
  if (waitMs === 0) return stopReplica(world, draft, retired);
  draft.alarms.push({ topic: `service/${mark.service}`, delayMs: waitMs });
}

/** Stops those whose delay is over. One that lies further ahead than any delay was set before the clock went back. */
export function stopRetired(world: World, draft: Draft, service: string, delayMs: number): boolean {
  const { state } = world;
  const { wallMs } = draft.context;
  let stopped = false;
  for (const id of [...state.replicas.get(service) ?? []]) {
    if (!state.retiring.has(id)) continue;
    const sail = state.sails.get(id)!;
    const leftMs = sail.replica!.retireAtMs! - wallMs;
    if (leftMs > 0 && leftMs <= delayMs) continue;
    stopReplica(world, draft, sail);
    stopped = true;
  }
  return stopped;
}

function stopReplica(world: World, draft: Draft, sail: SailRecord): void {
  const attempt = world.state.attempts.get(sail.currentAttemptId ?? "");
  if (!attempt || isFinal(attempt.state)) {
    endSail(draft, putSail(draft, sail, { desired: "stop" }), "stopped", "retired before it was placed");
    return;
  }
  putSail(draft, sail, { desired: "stop", state: "stopping" });
  stopAttempt(world, draft, attempt, sail.graceMs);
}

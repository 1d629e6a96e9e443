/**
 * Carries out what is planned for a service (plan_service.ts). Level-triggered: it may be looked at at any time, and is
 * whenever something of it has happened, by its alarms, and at each tick while it rolls.
 */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import { enterStage, failRollout, putRollout, succeedRollout } from "./change_rollout.ts";
import { measure } from "./measure.ts";
import type { RolloutStep } from "./plan_service.ts";
import { planService } from "./plan_service.ts";
import type { RolloutRecord, ServiceRecord } from "./records.ts";
import { retireReplica, startReplica, stopRetired } from "./replicas.ts";
import { activeRollout, belongs, isHeardOf, phaseOf, replicasOf, rolloutNowMs, sceneOf } from "./scene.ts";

/** Replicas begun or retired in one write. */
const CHANGES_PER_PIECE = 40;
/** What is done may make room for more; what remains after so many rounds waits for the next look. */
const ROUNDS_MAX = 6;
/** A deck that ends loses no more than this of a rollout's own time. */
const CLOCK_KEPT_EVERY_MS = 30_000;

export function decideLookAtService(
  world: World,
  draft: Draft,
  input: Extract<Input, { kind: "lookAtService" }>,
): void {
  const { state } = world;
  let left = CHANGES_PER_PIECE;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const service = state.services.get(input.name);
    if (!service) return;
    const before = draft.changes.length;
    left -= lookOnce(world, draft, service, left);
    if (left <= 0) return void draft.follow.push(input);
    if (draft.changes.length === before) return;
  }
}

/** Answers how many replicas it has begun or retired. */
function lookOnce(world: World, draft: Draft, given: ServiceRecord, atMost: number): number {
  const { state } = world;
  const service = given.mode === "global" ? numberNodes(world, draft, given) : given;
  stopRetired(world, draft, service.name, service.update.shutdownDelayMs);
  if (service.removing && forgetWhenEmpty(world, draft, service)) return 0;
  noteProgress(world, draft, service);
  const plan = planService(sceneOf(world, service, draft.context.monoMs));
  let done = 0;
  let current = state.services.get(service.name)!;
  for (const taskId of plan.retire) {
    if (done >= atMost) return done;
    retireReplica(world, draft, state.sails.get(taskId)!, service.removing ? 0 : service.update.shutdownDelayMs);
    done++;
  }
  for (const start of plan.start) {
    if (done >= atMost) return done;
    current = startReplica(world, draft, current, start);
    done++;
  }
  const rollout = activeRollout(state, current);
  if (rollout && plan.step) takeStep(world, draft, rollout, plan.step);
  return done;
}

/** Each node that should have a replica gets a slot, and keeps it. */
function numberNodes({ state }: World, draft: Draft, service: ServiceRecord): ServiceRecord {
  const missing = [...state.masts.keys()].filter((id) =>
    !Object.hasOwn(service.nodeSlots, id) && belongs(state, service, id)
  );
  const gone = Object.keys(service.nodeSlots).filter((id) => !state.masts.has(id));
  if (missing.length + gone.length === 0) return service;
  const nodeSlots = Object.fromEntries(Object.entries(service.nodeSlots).filter(([id]) => !gone.includes(id)));
  const taken = new Set(Object.values(nodeSlots));
  let slot = 0;
  for (const nodeId of missing) {
    while (taken.has(slot)) slot++;
    taken.add(slot);
    nodeSlots[nodeId] = slot;
  }
  const next = { ...service, nodeSlots };
  draft.put("service", service.name, next);
  return next;
}

/** A replica on a node that does not answer is told to stop when it comes back, whether its service is known then or not. */
function forgetWhenEmpty({ state }: World, draft: Draft, service: ServiceRecord): boolean {
  const left = replicasOf(state, service.name);
  if (left.some((sail) => sail.desired === "run" || phaseOf(state, sail) !== "unknown")) return false;
  for (const id of [...state.rolloutsByService.get(service.name) ?? []]) draft.delete("rollout", id);
  for (const id of [...state.revisionsByService.get(service.name) ?? []]) {
    draft.delete("revision", id);
    // Tasks that have ended, and are still on record, are shown with it.
    if (!state.specUses.has(id)) draft.delete("spec", id);
  }
  draft.delete("service", service.name);
  draft.event("serviceRemoved", `service ${service.name} is removed`, { service: service.name });
  return true;
}

/** Notes when replicas found a node, and who became healthy for the first time. */
function noteProgress(world: World, draft: Draft, service: ServiceRecord): void {
  const { state } = world;
  const rollout = activeRollout(state, service);
  const nowMs = rollout ? rolloutNowMs(world, rollout, draft.context.monoMs) : 0;
  let progressed = false;
  for (const sail of replicasOf(state, service.name)) {
    const mark = sail.replica!;
    const phase = phaseOf(state, sail);
    const isPlaced = phase === "starting" && isHeardOf(state, sail);
    // One that breaks has the whole time again, as one that has just been placed.
    const placedAtMs = isPlaced ? mark.placedAtMs ?? nowMs : null;
    const wasHealthy = mark.wasHealthy || phase === "healthy";
    if (placedAtMs === mark.placedAtMs && wasHealthy === mark.wasHealthy) continue;
    draft.put("sail", sail.id, { ...sail, replica: { ...mark, placedAtMs, wasHealthy } });
    if (wasHealthy === mark.wasHealthy) continue;
    draft.event("replicaHealthy", `${sail.name} is healthy`, { sailId: sail.id });
    if (rollout && mark.rollout === rollout.number) progressed = true;
  }
  if (!rollout) return;
  if (progressed) putRollout(world, draft, rollout, { progressAtMs: nowMs });
  else if (nowMs - rollout.activeMs >= CLOCK_KEPT_EVERY_MS) putRollout(world, draft, rollout, {});
}

function takeStep(world: World, draft: Draft, rollout: RolloutRecord, step: RolloutStep): void {
  switch (step.kind) {
    case "stage":
      return changeStage(world, draft, rollout, step);
    case "measure":
      return measure(world, draft, rollout);
    case "succeed":
      return succeedRollout(world, draft, rollout, step.why);
    case "fail":
      return failRollout(world, draft, rollout, "failed", step.why, step.taskId);
    default:
      step satisfies never;
  }
}

function changeStage(
  world: World,
  draft: Draft,
  rollout: RolloutRecord,
  { stage, promoted = rollout.promoted }: Extract<RolloutStep, { kind: "stage" }>,
): void {
  const about = { service: rollout.service };
  const what = `rollout ${rollout.number} of ${rollout.service}`;
  const setbacks = rollout.setbacks + (rollout.stage === "monitor" && stage === "replacing" ? 1 : 0);
  const waits = stage === "promotion" && !rollout.update.autoPromote;
  const next = enterStage(world, draft, rollout, { state: waits ? "waiting" : "running", stage, promoted, setbacks });
  if (waits) {
    draft.event("rolloutWaiting", `${what} waits to be promoted`, about);
    return;
  }
  if (promoted !== rollout.promoted) draft.event("rolloutPromoted", `${what} is promoted by itself`, about);
  draft.event("rolloutStage", `${what}: ${stage}`, about);
  if (next.stage === "monitor") {
    draft.alarms.push({ topic: `service/${rollout.service}`, delayMs: next.update.monitorMs });
  }
}

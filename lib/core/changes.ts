/** Steps that several decisions share: how a sail and its attempt change together. */
import type { AttemptRecord, AttemptState } from "./attempt.ts";
import { attemptId, isFinal, mayFollow, NOTHING_OBSERVED } from "./attempt.ts";
import { backoffMs } from "./backoff.ts";
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { EventKind } from "./event.ts";
import type { Assignment } from "./outgoing.ts";
import { choose } from "./rudder/rudder.ts";
import { reservationOf } from "./rudder/filters.ts";
import { placingOf, specOfReplica } from "./service/placing.ts";
import { SCHEDULERS } from "./rudder/schedulers.ts";
import type { TaskSpec } from "./documents/task.ts";
import type { OriginalFields, SailRecord, SailState } from "./sail.ts";

/** A task that failed for good on one node waits at least this long before its next attempt. */
export const RESCHEDULE_BASE_MS = 2_000;
export const RESCHEDULE_MAX_MS = 300_000;
/** Older ones are forgotten: a task that fails for ever would otherwise gather hundreds a day. */
export const ATTEMPTS_KEPT = 20;

/**
 * Milliseconds until a delayed retry is due; 0: it is. One that lies further ahead than any wait is was set before the wall
 * clock went back, and is due.
 */
export function retryInMs(sail: SailRecord, wallMs: number): number {
  const leftMs = sail.retryAtMs === null ? 0 : sail.retryAtMs - wallMs;
  return leftMs > RESCHEDULE_MAX_MS ? 0 : Math.max(0, leftMs);
}

/** Puts a new task on record, and on a node if one fits. The caller has made sure that its id and name are free. */
export function acceptTask(
  world: World,
  draft: Draft,
  { id, spec, original = null, originalEventId = null, ...of }: {
    readonly id: string;
    readonly spec: TaskSpec;
    readonly original?: OriginalFields | null;
    readonly originalEventId?: string | null;
    /** What it is part of; absent: it was submitted by somebody. */
    readonly stepId?: string;
    readonly measures?: string;
  },
): SailRecord {
  draft.put("spec", id, { id, spec, original });
  const { name, graceMs } = spec;
  return acceptSail(world, draft, { id, name, specId: id, graceMs, originalEventId, ...of });
}

/** As `acceptTask`, of a spec that is on record already. */
export function acceptSail(
  world: World,
  draft: Draft,
  given:
    & Pick<SailRecord, "id" | "name" | "specId" | "graceMs" | "originalEventId">
    & Pick<SailRecord, "stepId" | "measures" | "replica">,
): SailRecord {
  const { id } = given;
  const sail: SailRecord = {
    ...given,
    state: "pending",
    desired: "run",
    attempts: 0,
    currentAttemptId: null,
    createdMs: draft.context.wallMs,
    endedMs: null,
    retryAtMs: null,
    reschedules: 0,
    why: null,
    revision: 1,
  };
  draft.put("sail", id, sail);
  draft.event("taskAccepted", `${sail.name} accepted`, { sailId: id });
  const why = placeSail(world, draft, sail);
  if (why !== null) draft.event("taskNotPlaced", `${sail.name} not placed: ${why}`, { sailId: id });
  return world.state.sails.get(id)!;
}

/** Puts a sail on a node if one fits. Answers null when it was placed, else why it was not. */
export function placeSail(
  world: World,
  draft: Draft,
  sail: SailRecord,
  options: { readonly avoid?: string; readonly exclude?: string } = {},
): string | null {
  const { state, settings, memory } = world;
  const spec = state.specs.get(sail.specId)!.spec;
  const { replica } = sail;
  const choice = choose(state, SCHEDULERS[settings.scheduler], spec, {
    turn: memory.turn,
    ...options,
    ...(replica ? placingOf(state, replica) : {}),
  });
  if (choice.kind === "refused") return choice.why;
  memory.turn++;
  const { mast } = choice.candidate;
  const number = sail.attempts + 1;
  const attempt: AttemptRecord = {
    id: attemptId(sail.id, number),
    sailId: sail.id,
    number,
    nodeId: mast.id,
    engineId: mast.engineId,
    state: "assigned",
    desired: "run",
    graceMs: spec.graceMs,
    reservation: reservationOf(spec),
    reported: false,
    holding: true,
    reason: null,
    createdMs: draft.context.wallMs,
    endedMs: null,
    observed: NOTHING_OBSERVED,
  };
  draft.put("attempt", attempt.id, attempt);
  forgetOldAttempts(world, draft, sail.id, number);
  putSail(draft, sail, {
    state: "scheduled",
    attempts: number,
    currentAttemptId: attempt.id,
    retryAtMs: null,
    why: null,
  });
  draft.event("taskPlaced", `${sail.name} placed on ${mast.name}`, {
    sailId: sail.id,
    attemptId: attempt.id,
    nodeId: mast.id,
  });
  sendAssignment(world, draft, attempt);
  return null;
}

/** One whose container may still run stays on record: its reservation hangs on it. */
function forgetOldAttempts(world: World, draft: Draft, sailId: string, newest: number): void {
  const { attempts, attemptsBySail } = world.state;
  const ids = attemptsBySail.get(sailId);
  if (!ids || ids.size <= ATTEMPTS_KEPT) return;
  for (const id of [...ids]) {
    const { number, state, holding } = attempts.get(id)!;
    if (number <= newest - ATTEMPTS_KEPT && isFinal(state) && !holding) draft.delete("attempt", id);
  }
}

export function putSail(draft: Draft, sail: SailRecord, change: Partial<SailRecord>): SailRecord {
  const next = { ...sail, ...change, revision: sail.revision + 1 };
  draft.put("sail", sail.id, next);
  return next;
}

/** Changes an attempt; a step that the transition table does not know is a defect and throws. */
export function putAttempt(draft: Draft, attempt: AttemptRecord, change: Partial<AttemptRecord>): AttemptRecord {
  const next = { ...attempt, ...change };
  if (next.state !== attempt.state && !mayFollow(attempt.state, next.state)) {
    throw new Error(`attempt ${attempt.id} cannot go from ${attempt.state} to ${next.state}`);
  }
  if (isFinal(next.state) && next.endedMs === null) {
    draft.put("attempt", attempt.id, { ...next, endedMs: draft.context.wallMs });
  } else draft.put("attempt", attempt.id, next);
  return next;
}

export function assignmentOf(world: World, attempt: AttemptRecord): Assignment {
  const { state } = world;
  const sail = state.sails.get(attempt.sailId)!;
  const { spec } = state.specs.get(sail.specId)!;
  return {
    attemptId: attempt.id,
    sailId: attempt.sailId,
    number: attempt.number,
    desired: attempt.desired,
    graceMs: attempt.graceMs,
    known: attempt.reported,
    spec: sail.replica ? specOfReplica(spec, sail.replica) : spec,
  };
}

export function sendAssignment(world: World, draft: Draft, attempt: AttemptRecord): void {
  draft.sends.push({ kind: "assign", nodeId: attempt.nodeId, assignment: assignmentOf(world, attempt) });
}

/** Asks an attempt to stop, whatever becomes of its sail. */
export function stopAttempt(world: World, draft: Draft, attempt: AttemptRecord, graceMs: number): void {
  const state: AttemptState = attempt.state === "unknown" || isFinal(attempt.state) ? attempt.state : "stopping";
  const next = putAttempt(draft, attempt, { state, desired: "stop", graceMs });
  sendAssignment(world, draft, next);
}

const END_EVENTS: Partial<Record<SailState, EventKind>> = {
  completed: "taskCompleted",
  failed: "taskFailed",
  stopped: "taskStopped",
};

/** The sail is over. */
export function endSail(draft: Draft, sail: SailRecord, state: "completed" | "failed" | "stopped", why: string): void {
  putSail(draft, sail, { state, why, endedMs: draft.context.wallMs, retryAtMs: null });
  draft.event(END_EVENTS[state]!, `${sail.name} ${state}: ${why}`, {
    sailId: sail.id,
    attemptId: sail.currentAttemptId ?? undefined,
  });
}

/**
 * The sail wants a new attempt: at once, or after a delay that grows with each such wait and whose alarm is part of
 * the same write.
 */
export function wantNewAttempt(draft: Draft, sail: SailRecord, why: string, delayed: boolean): SailRecord {
  const { wallMs, chance } = draft.context;
  const delayMs = delayed ? backoffMs(sail.reschedules, RESCHEDULE_BASE_MS, RESCHEDULE_MAX_MS, chance) : 0;
  const next = putSail(draft, sail, {
    state: "pending",
    currentAttemptId: null,
    why,
    retryAtMs: delayed ? wallMs + delayMs : null,
    reschedules: sail.reschedules + (delayed ? 1 : 0),
  });
  if (delayed) {
    draft.alarms.push({ topic: `sail/${sail.id}`, delayMs });
    draft.event("taskRetrying", `${sail.name} is tried again in ${Math.round(delayMs / 100) / 10} s: ${why}`, {
      sailId: sail.id,
    });
  }
  return next;
}

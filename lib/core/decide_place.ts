/**
 * Looks at everything that wants a place: pending sails, sails whose node is down, and sails on draining nodes.
 * One pass places so many, then goes on in the next input, so that a write stays small. A specification that did not
 * fit once in a pass is not tried again in it.
 */
import type { AttemptRecord } from "./attempt.ts";
import { isFinal } from "./attempt.ts";
import { placeSail, putAttempt, retryInMs, stopAttempt } from "./changes.ts";
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { TaskSpec } from "./documents/task.ts";
import type { MastRecord } from "./mast.ts";
import type { SailRecord } from "./sail.ts";
import { demandOf, signatureOfSpec } from "./rudder/filters.ts";
import type { PromisedPlace } from "./rudder/filters.ts";
import { choose } from "./rudder/rudder.ts";
import { SCHEDULERS } from "./rudder/schedulers.ts";

const PLACEMENTS_PER_PASS = 50;
/** Tasks of one draining node that are on the move at the same time. */
const MOVES_AT_ONCE = 4;

export function decidePlace(world: World, draft: Draft): void {
  const refused = new Set<string>();
  let placed = 0;
  const { state } = world;
  for (const id of state.pending) {
    const sail = state.sails.get(id)!;
    if (retryInMs(sail, draft.context.wallMs) > 0) continue;
    const signature = signatureOf(state.specs.get(sail.specId)!.spec, sail);
    if (refused.has(signature)) continue;
    const previous = lastAttempt(world, id);
    const avoid = previous && (previous.state === "failed" || previous.state === "lost") ? previous.nodeId : undefined;
    if (placeSail(world, draft, sail, { avoid }) !== null) refused.add(signature);
    else if (++placed >= PLACEMENTS_PER_PASS) break;
  }
  const promised: PromisedPlace[] = [];
  const unsettled = [...state.unsettledMasts].map((id) => state.masts.get(id)!);
  for (const mast of unsettled) {
    if (isBeingDrained(mast)) promiseThoseOnTheMove(world, mast.id, promised);
  }
  for (const mast of unsettled) {
    if (placed >= PLACEMENTS_PER_PASS) break;
    if (mast.status === "down") placed += replaceLost(world, draft, mast.id, refused, PLACEMENTS_PER_PASS - placed);
    else if (isBeingDrained(mast)) placed += moveAway(world, draft, mast.id, promised);
  }
  if (placed >= PLACEMENTS_PER_PASS) draft.follow.push({ kind: "place" });
}

/** Everything of a task that decides where it fits. */
function signatureOf(spec: TaskSpec, { replica }: SailRecord): string {
  const own = replica ? replica.nodeId : null;
  return own === null ? signatureOfSpec(spec) : `${signatureOfSpec(spec)} ${own}`;
}

function lastAttempt(world: World, sailId: string): AttemptRecord | undefined {
  let last: AttemptRecord | undefined;
  for (const id of world.state.attemptsBySail.get(sailId) ?? []) {
    const attempt = world.state.attempts.get(id)!;
    if (!last || attempt.number > last.number) last = attempt;
  }
  return last;
}

/**
 * Gives the tasks of a node that is down new attempts elsewhere, as many as fit. One that fits nowhere stays `unknown`
 * on its node: it may still come back. The old attempt keeps holding what it has until its sailor says it is gone.
 */
function replaceLost(world: World, draft: Draft, nodeId: string, refused: Set<string>, atMost: number): number {
  const { state } = world;
  let placed = 0;
  for (const id of [...state.attemptsByNode.get(nodeId) ?? []]) {
    if (placed >= atMost) break;
    const attempt = state.attempts.get(id)!;
    const sail = state.sails.get(attempt.sailId);
    if (attempt.state !== "unknown" || !sail || sail.currentAttemptId !== id || sail.desired === "stop") continue;
    const spec = state.specs.get(sail.specId)!.spec;
    const signature = signatureOf(spec, sail);
    if (spec.reschedule === false || refused.has(signature)) continue;
    if (placeSail(world, draft, sail, { exclude: nodeId }) !== null) {
      refused.add(signature);
      continue;
    }
    const name = state.masts.get(nodeId)!.name;
    putAttempt(draft, attempt, { state: "lost", desired: "stop", reason: `node ${name} is down` });
    draft.event("taskReplaced", `${sail.name} replaced: node ${name} is down`, {
      sailId: sail.id,
      attemptId: id,
      nodeId,
    });
    placed++;
  }
  return placed;
}

function isBeingDrained(mast: MastRecord): boolean {
  return mast.status !== "down" && mast.eligibility === "draining";
}

/** A task on the move reserves its new place only once it has stopped: until then the room it will need is set aside. */
function promiseThoseOnTheMove(world: World, nodeId: string, promised: PromisedPlace[]): void {
  const { state } = world;
  for (const id of state.attemptsByNode.get(nodeId) ?? []) {
    const attempt = state.attempts.get(id)!;
    const sail = state.sails.get(attempt.sailId);
    const moves = attempt.desired === "stop" && !isFinal(attempt.state) && sail?.currentAttemptId === id &&
      sail.desired === "run";
    if (moves) promisePlace(world, state.specs.get(sail.specId)!.spec, nodeId, promised);
  }
}

/** Whether there is room for `spec` on another node than `nodeId`, which is then set aside for it. */
function promisePlace(world: World, spec: TaskSpec, nodeId: string, promised: PromisedPlace[]): boolean {
  const { state, settings, memory } = world;
  const choice = choose(state, SCHEDULERS[settings.scheduler], spec, { turn: memory.turn, exclude: nodeId, promised });
  if (choice.kind === "refused") return false;
  promised.push({ engineId: choice.candidate.mast.engineId, demand: demandOf(spec) });
  return true;
}

/** Asks tasks of a draining node to leave, where another node has room for them. Answers how many it has asked. */
function moveAway(world: World, draft: Draft, nodeId: string, promised: PromisedPlace[]): number {
  const { state } = world;
  const mast = state.masts.get(nodeId)!;
  const attempts = [...state.attemptsByNode.get(nodeId) ?? []].map((id) => state.attempts.get(id)!);
  let moving = attempts.filter((a) => a.desired === "stop" && !isFinal(a.state)).length;
  let staying = 0;
  let asked = 0;
  const refused = new Set<string>();
  for (const attempt of attempts) {
    const sail = state.sails.get(attempt.sailId);
    if (isFinal(attempt.state) || !sail || sail.desired === "stop" || attempt.desired === "stop") continue;
    staying++;
    // Its service replaces it before it goes.
    if (sail.replica) continue;
    const spec = state.specs.get(sail.specId)!.spec;
    if (spec.reschedule === false || moving >= MOVES_AT_ONCE || refused.has(signatureOf(spec, sail))) continue;
    if (!promisePlace(world, spec, nodeId, promised)) {
      refused.add(signatureOf(spec, sail));
      continue;
    }
    draft.event("taskStopping", `${sail.name} leaves ${mast.name}, which is draining`, {
      sailId: sail.id,
      attemptId: attempt.id,
      nodeId,
    });
    stopAttempt(world, draft, putAttempt(draft, attempt, { reason: `node ${mast.name} is draining` }), sail.graceMs);
    moving++;
    asked++;
  }
  if (staying === 0 && moving === 0) {
    draft.put("mast", nodeId, { ...mast, eligibility: "drained" });
    draft.event("nodeDrained", `node ${mast.name} is drained`, { nodeId });
  }
  return asked;
}

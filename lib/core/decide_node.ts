/** What operators ask of nodes. */
import { isFinal } from "./attempt.ts";
import { endSail, putAttempt, wantNewAttempt } from "./changes.ts";
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { Input } from "./input.ts";
import { isSailFinal } from "./sail.ts";

export type NodeDecision =
  | { readonly kind: "done"; readonly message: string }
  | { readonly kind: "notFound"; readonly message: string }
  | { readonly kind: "conflict"; readonly message: string };

export function decideEligibility(world: World, draft: Draft, input: Extract<Input, { kind: "setEligibility" }>): void {
  const mast = world.state.masts.get(input.nodeId);
  if (!mast) {
    draft.reply = { kind: "notFound", message: `no node ${input.nodeId}` } satisfies NodeDecision;
    return;
  }
  const already = input.to === "draining" ? mast.eligibility !== "eligible" : mast.eligibility === "eligible";
  if (!already) {
    draft.put("mast", mast.id, { ...mast, eligibility: input.to });
    if (input.to === "draining") draft.event("nodeDraining", `node ${mast.name} is draining`, { nodeId: mast.id });
    else draft.event("nodeResumed", `node ${mast.name} takes tasks again`, { nodeId: mast.id });
    draft.follow.push({ kind: "place" });
  }
  const word = input.to === "draining" ? "is draining" : "takes tasks";
  draft.reply = { kind: "done", message: `node ${mast.name} ${word}` } satisfies NodeDecision;
}

const ATTEMPTS_PER_PIECE = 50;

/** Forgets a node that is down or empty. Its attempts are lost: who may, gets a new one elsewhere. */
export function decideRemoveNode(world: World, draft: Draft, input: Extract<Input, { kind: "removeNode" }>): void {
  const { state } = world;
  const mast = state.masts.get(input.nodeId);
  if (!mast) {
    draft.reply = { kind: "notFound", message: `no node ${input.nodeId}` } satisfies NodeDecision;
    return;
  }
  const attempts = [...state.attemptsByNode.get(mast.id) ?? []].map((id) => state.attempts.get(id)!);
  const running = attempts.filter((a) => !isFinal(a.state)).length;
  const connected = state.live.get(mast.id)?.sessionId != null;
  if (mast.status === "ready" && (running > 0 || connected)) {
    const reason = running > 0 ? `runs ${running} tasks: drain it first` : "is connected: stop its sailor first";
    draft.reply = {
      kind: "conflict",
      message: `node ${mast.name} ${reason} (ormen mast drain ${mast.name})`,
    } satisfies NodeDecision;
    return;
  }
  for (const attempt of attempts.slice(0, ATTEMPTS_PER_PIECE)) {
    const reason = `node ${mast.name} was removed`;
    if (isFinal(attempt.state)) {
      draft.put("attempt", attempt.id, { ...attempt, holding: false });
      continue;
    }
    putAttempt(draft, attempt, { state: "lost", desired: "stop", holding: false, reason });
    const sail = state.sails.get(attempt.sailId);
    if (!sail || sail.currentAttemptId !== attempt.id || isSailFinal(sail.state)) continue;
    if (sail.desired === "stop") endSail(draft, sail, "stopped", reason);
    else if (state.specs.get(sail.specId)!.spec.reschedule === false) endSail(draft, sail, "failed", reason);
    else wantNewAttempt(draft, sail, reason, false);
  }
  if (attempts.length > ATTEMPTS_PER_PIECE) {
    draft.follow.push(input);
  } else {
    draft.event("nodeRemoved", `node ${mast.name} was removed`, { nodeId: mast.id });
    draft.delete("mast", mast.id);
    state.live.delete(mast.id);
    draft.follow.push({ kind: "place" });
  }
  draft.reply = { kind: "done", message: `node ${mast.name} was removed` } satisfies NodeDecision;
}

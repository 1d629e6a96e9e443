/** The deck's own pulse: who is silent for too long, and what follows from it. */
import { isFinal } from "./attempt.ts";
import { putAttempt, putSail } from "./changes.ts";
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { Input } from "./input.ts";
import { judgeLiveness } from "./liveness.ts";
import { NO_LOCAL_USE } from "./mast.ts";
import { passOverStandstill } from "./service/scene.ts";
import { judgeServices } from "./service/follow_services.ts";
import { judgeDeadlines } from "./workflow/wake.ts";

const ATTEMPTS_PER_PIECE = 50;
/** Nodes given up in one tick, so that a write stays small; the others are still silent at the next. */
const LOST_PER_TICK = 100;
/** A sailor dials its deck again within 5 s; until then a deck that has just started knows nothing of it. */
const REDIAL_WITHIN_MS = 8_000;

export function decideTick(world: World, draft: Draft): void {
  const { state, settings, memory } = world;
  const { monoMs } = draft.context;
  const verdict = judgeLiveness({
    masts: state.masts.values(),
    live: state.live,
    nowMonoMs: monoMs,
    lastTickMonoMs: memory.lastTickMonoMs,
    nodeTimeoutMs: settings.nodeTimeoutMs,
  });
  passOverStandstill(world, monoMs);
  memory.lastTickMonoMs = monoMs;
  if (verdict.kind === "freshGrace") {
    const redialMs = Math.max(0, REDIAL_WITHIN_MS - settings.nodeTimeoutMs);
    for (const mast of state.masts.values()) {
      const live = state.live.get(mast.id);
      state.live.set(
        mast.id,
        live
          ? { ...live, heardMonoMs: monoMs }
          : { sessionId: null, instance: null, heardMonoMs: monoMs + redialMs, stats: null, local: NO_LOCAL_USE },
      );
    }
    return;
  }
  judgeDeadlines(world, draft);
  judgeServices(world, draft);
  memory.suspectSinceMonoMs = verdict.suspicious ? memory.suspectSinceMonoMs ?? monoMs : null;
  for (const nodeId of verdict.lost.slice(0, LOST_PER_TICK)) {
    const mast = state.masts.get(nodeId)!;
    draft.put("mast", nodeId, { ...mast, status: "down", statusSinceMs: draft.context.wallMs });
    draft.event("nodeDown", `node ${mast.name} is down: silent for ${settings.nodeTimeoutMs / 1000} s`, { nodeId });
    const live = state.live.get(nodeId);
    if (live?.sessionId) {
      draft.sends.push({ kind: "close", sessionId: live.sessionId, reason: "silent for too long" });
      state.live.set(nodeId, { ...live, sessionId: null });
    }
    draft.follow.push({ kind: "nodeLost", nodeId });
  }
}

/** The attempts of a node that is down become unknown, a piece at a time; then they may be replaced. */
export function decideNodeLost(world: World, draft: Draft, input: Extract<Input, { kind: "nodeLost" }>): void {
  const { state } = world;
  if (state.masts.get(input.nodeId)?.status !== "down") return;
  let done = 0;
  for (const id of [...state.attemptsByNode.get(input.nodeId) ?? []]) {
    const attempt = state.attempts.get(id)!;
    if (isFinal(attempt.state) || attempt.state === "unknown") continue;
    if (done++ >= ATTEMPTS_PER_PIECE) {
      draft.follow.push(input);
      return;
    }
    putAttempt(draft, attempt, { state: "unknown" });
    const sail = state.sails.get(attempt.sailId);
    if (!sail || sail.currentAttemptId !== id || sail.desired === "stop") continue;
    putSail(draft, sail, { state: "unknown" });
    draft.event("taskUnknown", `${sail.name} is unknown: its node does not answer`, {
      sailId: sail.id,
      attemptId: id,
      nodeId: input.nodeId,
    });
  }
  draft.follow.push({ kind: "place" });
}

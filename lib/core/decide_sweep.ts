/** Nothing grows without end: ended tasks, events and remembered answers go after their time, a piece at a time. */
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { State } from "./state.ts";
import { isExpired } from "./token.ts";
import { sweepRuns } from "./workflow/sweep_runs.ts";

/** Records of ended tasks, their attempts included. */
const RECORDS_PER_PIECE = 200;
const EVENTS_PER_PIECE = 400;
const KEYS_PER_PIECE = 200;

export function decideSweep(world: World, draft: Draft): void {
  const { state, settings } = world;
  const oldestMs = draft.context.wallMs - settings.keepEndedMs;
  let pieceFull = false;

  let records = 0;
  for (const id of endedOldestFirst(state)) {
    const sail = state.sails.get(id)!;
    if (state.ended.size <= settings.keepEndedMax && (sail.endedMs ?? 0) >= oldestMs) break;
    const attempts = [...state.attemptsBySail.get(id) ?? []];
    // A container that may still run must stay on record, or its reservation would be forgotten.
    if (attempts.some((a) => state.attempts.get(a)!.holding)) continue;
    if (records > RECORDS_PER_PIECE) {
      pieceFull = true;
      break;
    }
    records += attempts.length + 2;
    for (const attempt of attempts) draft.delete("attempt", attempt);
    if (sail.specId === id) draft.delete("spec", id);
    draft.delete("sail", id);
    // The last one of a revision that is not kept any more.
    const { specId } = sail;
    if (specId !== id && !state.specUses.has(specId) && !state.revisions.has(specId)) draft.delete("spec", specId);
  }

  let events = 0;
  for (const [id, event] of state.events) {
    if (state.events.size <= settings.keepEventsMax && event.atMs >= oldestMs) break;
    if (++events > EVENTS_PER_PIECE) {
      pieceFull = true;
      break;
    }
    draft.delete("event", id);
  }

  let keys = 0;
  for (const [key, record] of state.idempotency) {
    if (record.createdMs >= oldestMs) break;
    if (++keys > KEYS_PER_PIECE) {
      pieceFull = true;
      break;
    }
    draft.delete("idempotency", key);
  }
  for (const token of state.tokens.values()) {
    if (isExpired(token, oldestMs)) draft.delete("token", token.id);
  }
  if (sweepRuns(world, draft)) pieceFull = true;
  if (pieceFull) draft.follow.push({ kind: "sweep" });
  // A second way for what waits: an alarm that its engine gave up on, a move that was not possible before.
  else draft.follow.push({ kind: "place" });
}

function endedOldestFirst(state: State): string[] {
  return [...state.ended].sort((a, b) => state.sails.get(a)!.endedMs! - state.sails.get(b)!.endedMs!);
}

/** Alarms only wake: what is due is read from the state. The same is done at every start. */
import { placeSail, putSail, retryInMs } from "./changes.ts";
import type { World } from "./decide.ts";
import type { Draft } from "./draft.ts";
import type { Input } from "./input.ts";
import { wakeStep } from "./workflow/wake.ts";

export function decideAlarm(world: World, draft: Draft, input: Extract<Input, { kind: "alarm" }>): void {
  if (input.topic.startsWith("step/")) return wakeStep(world, draft, input.topic.slice("step/".length));
  if (input.topic.startsWith("service/")) {
    return void draft.follow.push({ kind: "lookAtService", name: input.topic.slice("service/".length) });
  }
  if (!input.topic.startsWith("sail/")) return;
  const sail = world.state.sails.get(input.topic.slice("sail/".length));
  if (!sail || sail.state !== "pending" || sail.retryAtMs === null) return;
  const delayMs = retryInMs(sail, draft.context.wallMs);
  if (delayMs > 0) {
    draft.alarms.push({ topic: input.topic, delayMs });
    return;
  }
  const due = putSail(draft, sail, { retryAtMs: null });
  const last = `${sail.id}-${sail.attempts}`;
  placeSail(world, draft, due, { avoid: world.state.attempts.get(last)?.nodeId });
}

/** The cluster gets its identity with the first start; later ones find it. */
export function decideStart(world: World, draft: Draft): void {
  const { state, settings } = world;
  if (!state.cluster) {
    draft.put("cluster", "cluster", { id: settings.clusterId, createdMs: draft.context.wallMs });
  }
  draft.event("deckStarted", `deck started, term ${settings.term}`);
  catchUp(world, draft, true);
}

/** After a start, or when the store answers again: whatever fell due meanwhile. */
export function decideCatchUp(world: World, draft: Draft): void {
  catchUp(world, draft, false);
}

function catchUp({ state }: World, draft: Draft, crashed: boolean): void {
  for (const mast of state.masts.values()) {
    if (mast.status === "down") draft.follow.push({ kind: "nodeLost", nodeId: mast.id });
  }
  for (const runId of state.activeRuns) draft.follow.push({ kind: "lookAtRun", runId, crashed });
  for (const name of state.services.keys()) draft.follow.push({ kind: "lookAtService", name });
  draft.follow.push({ kind: "place" });
}

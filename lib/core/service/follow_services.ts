/**
 * What happened in a decision, told to the services that it concerns. Called at the end of every decision: the look that
 * follows is a write of its own, and finds everything in the records.
 */
import type { World } from "../decide.ts";
import type { Draft } from "../draft.ts";
import type { Input } from "../input.ts";
import { takeMeasurement } from "./measure.ts";

export function followServices(world: World, draft: Draft, input: Input): void {
  const { state } = world;
  const touched = new Set<string>();
  let nodes = false;
  // What is taken in of a measurement comes later in the list.
  for (let at = 0; at < draft.changes.length; at++) {
    const change = draft.changes[at];
    if (change.kind === "mast") nodes = true;
    if (change.kind !== "sail" && change.kind !== "attempt") continue;
    const sailId = change.kind === "sail" ? change.id : change.value?.sailId;
    const sail = sailId === undefined ? undefined : state.sails.get(sailId);
    if (sail?.replica) touched.add(sail.replica.service);
    if (sail?.measures !== undefined && change.kind === "sail") {
      takeMeasurement(world, draft, sail, draft.results.get(sail.id) ?? null);
    }
  }
  // A node came, or takes tasks no more.
  if (nodes) [...state.services.keys()].forEach((name) => touched.add(name));
  // What a look changes it has taken into account itself.
  for (const looked of [input, ...draft.follow]) if (looked.kind === "lookAtService") touched.delete(looked.name);
  for (const name of touched) {
    if (state.services.has(name)) draft.follow.push({ kind: "lookAtService", name });
  }
}

/** Whatever time does to services: deadlines, delays that are over. Looked at at each tick. */
export function judgeServices(world: World, draft: Draft): void {
  const { state } = world;
  const names = new Set<string>();
  for (const id of state.activeRollouts) names.add(state.rollouts.get(id)!.service);
  for (const id of state.retiring) names.add(state.markOf(id).service);
  for (const name of names) draft.follow.push({ kind: "lookAtService", name });
}

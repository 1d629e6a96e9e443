/** What readers ask of the committed records: finding by reference, and lists by page. */
import type { Settings } from "../core/input.ts";
import type { MastRecord } from "../core/mast.ts";
import type { SailRecord } from "../core/sail.ts";
import { isSailFinal } from "../core/sail.ts";
import type { State } from "../core/state.ts";
import type { EventView, NodeView, TaskView } from "../messages/api.ts";
import type { Found, OriginalNode, OriginalTask, Page, TaskFilter } from "./api.ts";
import { eventView, latestAttempt, nodeView, taskView } from "./views.ts";

const PREFIX_MIN = 4;

/** By id, by name (the one that lives, else the newest), or by the beginning of an id (at least 4 characters). */
export function findSail(state: State, reference: string): Found<SailRecord> {
  const exact = state.sails.get(reference);
  if (exact) return { kind: "found", value: exact };
  const live = state.liveNames.get(reference);
  if (live !== undefined) return { kind: "found", value: state.sails.get(live)! };
  const named = [...state.sailsByName.get(reference) ?? []].map((id) => state.sails.get(id)!);
  if (named.length > 0) return { kind: "found", value: named.reduce((a, b) => b.createdMs >= a.createdMs ? b : a) };
  return byPrefix(reference, state.sails);
}

export function findMast(state: State, reference: string): Found<MastRecord> {
  const id = state.mastsByName.get(reference) ?? reference;
  const exact = state.masts.get(id);
  return exact ? { kind: "found", value: exact } : byPrefix(reference, state.masts);
}

export function byPrefix<T>(reference: string, records: ReadonlyMap<string, T>): Found<T> {
  if (reference.length < PREFIX_MIN) return { kind: "none" };
  const ids: string[] = [];
  for (const id of records.keys()) {
    if (id.startsWith(reference) && ids.push(id) > 5) break;
  }
  if (ids.length === 0) return { kind: "none" };
  return ids.length === 1 ? { kind: "found", value: records.get(ids[0])! } : { kind: "ambiguous", candidates: ids };
}

/** In creation order. The cursor is the last id of the page before; undefined when there is no such task (any more). */
export function listTasks(
  state: State,
  settings: Settings,
  filter: TaskFilter,
  limit: number,
  cursor: string | null,
): Page<TaskView> | undefined {
  if (cursor !== null && !state.sails.has(cursor)) return undefined;
  const items: TaskView[] = [];
  let reached = cursor === null;
  let last: string | null = null;
  for (const sail of state.sails.values()) {
    if (!reached) {
      reached = sail.id === cursor;
      continue;
    }
    if (!matches(state, sail, filter)) continue;
    if (items.length === limit) return { items, next: last };
    items.push(taskView(state, settings, sail));
    last = sail.id;
  }
  return { items, next: null };
}

function matches(state: State, sail: SailRecord, filter: TaskFilter): boolean {
  if (filter.live && isSailFinal(sail.state)) return false;
  if (filter.states && !filter.states.includes(sail.state)) return false;
  if (filter.node !== undefined) {
    const attempt = latestAttempt(state, sail);
    if (!attempt) return false;
    if (attempt.nodeId !== filter.node && state.masts.get(attempt.nodeId)?.name !== filter.node) return false;
  }
  if (filter.labels) {
    const { labels } = state.specs.get(sail.specId)!.spec;
    for (const [key, value] of Object.entries(filter.labels)) {
      if (!Object.hasOwn(labels, key) || labels[key] !== value) return false;
    }
  }
  return true;
}

/** In the order of names. */
export function listNodes(state: State, limit: number, cursor: string | null): Page<NodeView> | undefined {
  const names = [...state.mastsByName.keys()].sort();
  const from = cursor === null ? 0 : names.findIndex((name) => name > cursor);
  if (from < 0) return { items: [], next: null };
  const page = names.slice(from, from + limit);
  return {
    items: page.map((name) => nodeView(state, state.masts.get(state.mastsByName.get(name)!)!)),
    next: from + limit < names.length ? page.at(-1)! : null,
  };
}

/** Events are numbered without gaps, so the first wanted one is found without a search. */
export function listEvents(state: State, afterSequence: number, limit: number): EventView[] {
  const { oldest, newest } = eventRange(state);
  const events: EventView[] = [];
  for (let n = Math.max(oldest, afterSequence + 1); n <= newest && events.length < limit; n++) {
    const event = state.events.get(String(n));
    if (event) events.push(eventView(event));
  }
  return events;
}

export function eventRange(state: State): { oldest: number; newest: number } {
  const first = state.events.values().next();
  return first.done ? { oldest: 0, newest: 0 } : { oldest: first.value.sequence, newest: state.newestEvent };
}

export function* originalTasks(state: State): Iterable<OriginalTask> {
  for (const sail of state.sails.values()) {
    yield { sail, spec: state.specs.get(sail.specId)!, attempt: latestAttempt(state, sail) ?? null };
  }
}

export function originalNodes(state: State): OriginalNode[] {
  return [...state.masts.values()].sort((a, b) => a.name < b.name ? -1 : 1).map((mast) => {
    const attempts = [...state.attemptsByNode.get(mast.id) ?? []].map((id) => state.attempts.get(id)!)
      .filter((attempt) => attempt.holding);
    return {
      mast,
      live: state.live.get(mast.id) ?? null,
      reservedMemoryBytes: attempts.reduce((sum, a) => sum + a.reservation.memoryBytes, 0),
      reservedDiskBytes: attempts.reduce((sum, a) => sum + a.reservation.diskBytes, 0),
      taskCount: attempts.length,
    };
  });
}

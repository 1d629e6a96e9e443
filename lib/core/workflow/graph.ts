/** Who waits for whom. Owns the order of steps and what lies before a step; built once for each definition. */
import type { StepSpec } from "../documents/workflow.ts";

export interface Graph {
  /** By step: the steps that name it as a need. */
  readonly dependents: ReadonlyMap<string, readonly string[]>;
  /** Steps in an order in which every need stands before those who need it; document order otherwise. */
  readonly order: readonly string[];
}

/** Names of the steps in a circle, the first one again at its end; undefined: there is none. Needs that are no steps do not count. */
export function findCycle(steps: readonly StepSpec[]): readonly string[] | undefined {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const done = new Set<string>();
  for (const { id } of steps) {
    const cycle = done.has(id) ? undefined : cycleFrom(id, byId, done);
    if (cycle) return cycle;
  }
  return undefined;
}

/** Depth first, without recursion: a chain may be ten thousand steps long. */
function cycleFrom(
  start: string,
  byId: ReadonlyMap<string, StepSpec>,
  done: Set<string>,
): readonly string[] | undefined {
  const path: { readonly id: string; next: number }[] = [{ id: start, next: 0 }];
  const onPath = new Set([start]);
  while (path.length > 0) {
    const top = path[path.length - 1];
    const needs = byId.get(top.id)!.needs;
    if (top.next === needs.length) {
      done.add(top.id);
      onPath.delete(top.id);
      path.pop();
      continue;
    }
    const need = needs[top.next++].step;
    if (!byId.has(need) || done.has(need)) continue;
    if (onPath.has(need)) {
      const ids = path.map((entry) => entry.id);
      // Told in the direction of time: what is needed first stands first.
      return [...ids.slice(ids.indexOf(need)), need].reverse();
    }
    onPath.add(need);
    path.push({ id: need, next: 0 });
  }
  return undefined;
}

/** The steps must be free of cycles, and every need must be one of them. */
export function buildGraph(steps: readonly StepSpec[]): Graph {
  const dependents = new Map<string, string[]>(steps.map(({ id }) => [id, []]));
  const waiting = new Map<string, number>();
  for (const { id, needs } of steps) {
    const distinct = new Set(needs.map((need) => need.step));
    waiting.set(id, distinct.size);
    for (const need of distinct) dependents.get(need)!.push(id);
  }
  const order = steps.filter(({ id }) => waiting.get(id) === 0).map(({ id }) => id);
  for (let at = 0; at < order.length; at++) {
    for (const dependent of dependents.get(order[at])!) {
      const left = waiting.get(dependent)! - 1;
      waiting.set(dependent, left);
      if (left === 0) order.push(dependent);
    }
  }
  return { dependents, order };
}

/** All steps that `id` waits for, near and far. */
export function ancestorsOf(id: string, byId: ReadonlyMap<string, StepSpec>): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [id];
  while (open.length > 0) {
    for (const { step } of byId.get(open.pop()!)?.needs ?? []) {
      if (found.has(step)) continue;
      found.add(step);
      open.push(step);
    }
  }
  return found;
}

/** The way back from a `ServiceSpec` to the document that says the same, and what differs between two of them. */
import { describeAnalysis } from "./analysis.ts";
import { hostPortOf, isOrderChosen, serviceDocument } from "./service.ts";
import type { Amount, ServiceDocument, ServiceSpec, UpdateSpec } from "./service.ts";
import { describeTask } from "./task.ts";
import type { TaskSpec } from "./task.ts";
import { formatDuration } from "./units.ts";

/** The document that parses into `spec`; values that equal their default are left out. */
export function describeService(spec: ServiceSpec): ServiceDocument {
  const update = withoutDefaults(spec);
  return {
    name: spec.name,
    ...(spec.mode === "global" ? { mode: "global" } : { replicas: spec.replicas }),
    task: describeReplica(spec.task),
    ...(spec.spread.length === 0 ? {} : { spread: [...spec.spread] }),
    ...(Object.keys(update).length === 0 ? {} : { update }),
  };
}

/** What a task does by default is not what a service's task does. */
function describeReplica(task: TaskSpec): Record<string, unknown> {
  const { name: _name, reschedule: _always, restart, ...rest } = describeTask(task) as Record<string, unknown>;
  return restart === "always" ? rest : { ...rest, restart: restart ?? "no" };
}

type Update = NonNullable<ServiceDocument["update"]>;

function withoutDefaults(spec: ServiceSpec): Update {
  const { update } = spec;
  const { strategy, order } = update;
  const hasHostPort = hostPortOf(spec.task) !== undefined;
  const isChosen = hasHostPort && isOrderChosen(spec);
  const all = describeUpdate(update);
  const usual = describeUpdate({
    ...DEFAULT_UPDATE,
    // These follow from others.
    order: isChosen ? "stop-first" : "start-first",
    maxUnavailable: { kind: "count", count: order === "stop-first" ? 1 : 0 },
    autoPromote: strategy === "blueGreen",
  });
  const isUsual = (key: string) =>
    JSON.stringify(all[key as keyof Update]) === JSON.stringify(usual[key as keyof Update]);
  // Where the host port would decide, an order that was said is said again.
  const isSaid = (key: string) => key === "order" && hasHostPort && !isChosen;
  return Object.fromEntries(Object.entries(all).filter(([key]) => !isUsual(key) || isSaid(key)));
}

const DEFAULT_UPDATE = serviceDocument.parse({ name: "any", task: { image: "any" } }).update;

function describeUpdate(update: UpdateSpec): Update {
  return {
    strategy: update.strategy,
    maxParallel: describeAmount(update.maxParallel),
    order: update.order,
    maxUnavailable: describeAmount(update.maxUnavailable),
    minHealthyTime: formatDuration(update.minHealthyMs),
    healthyDeadline: formatDuration(update.healthyDeadlineMs),
    progressDeadline: formatDuration(update.progressDeadlineMs),
    canary: describeAmount(update.canary),
    autoPromote: update.autoPromote,
    promoteDeadline: formatDuration(update.promoteDeadlineMs),
    ...(update.analysis ? { analysis: describeAnalysis(update.analysis) } : {}),
    autoRevert: update.autoRevert,
    shutdownDelay: formatDuration(update.shutdownDelayMs),
    monitor: formatDuration(update.monitorMs),
  };
}

function describeAmount(amount: Amount): number | string {
  return amount.kind === "count" ? amount.count : `${amount.percent}%`;
}

export interface Difference {
  /** Such as `task.image` or `update.maxParallel`. */
  readonly key: string;
  /** Undefined: it is not there. */
  readonly from: unknown;
  readonly to: unknown;
}

/**
 * What differs, by key, in the order of the document; lists, and what stands below the second level, are compared as a
 * whole. What is not said counts as its default.
 */
export function serviceDifferences(before: ServiceSpec, after: ServiceSpec): Difference[] {
  const [a, b] = [flat(before), flat(after)];
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((key) => !isSame(a.get(key), b.get(key)))
    .map((key) => ({ key, from: a.get(key), to: b.get(key) }));
}

function flat(spec: ServiceSpec): Map<string, unknown> {
  const below = (top: string, document: object) =>
    Object.entries(document).map(([key, value]): [string, unknown] => [`${top}.${key}`, value]);
  return new Map<string, unknown>([
    ["name", spec.name],
    ["mode", spec.mode],
    ...(spec.mode === "global" ? [] : [["replicas", spec.replicas] as const]),
    ...below("task", describeReplica(spec.task)),
    ["spread", spec.spread],
    ...below("update", describeUpdate(spec.update)),
  ]);
}

/** Keys of maps, such as env, may stand in any order. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(inOrder(a)) === JSON.stringify(inOrder(b));
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, each]) => [key, inOrder(each)]),
  );
}

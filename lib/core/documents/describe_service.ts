/** The way back from a `ServiceSpec` to the document that says the same, and what differs between two of them. */
import type { Amount, AnalysisSpec, ServiceDocument, ServiceSpec, UpdateSpec } from "./service.ts";
import { describeTask } from "./task.ts";
import { formatDuration } from "./units.ts";

/** The document that parses into `spec`; of the task, values that equal their default are left out. */
export function describeService(spec: ServiceSpec): ServiceDocument {
  const { name: _name, reschedule: _always, restart, ...task } = describeTask(spec.task) as Record<string, unknown>;
  return {
    name: spec.name,
    ...(spec.mode === "global" ? { mode: "global" } : { replicas: spec.replicas }),
    // What a task does by default is not what a service's task does.
    task: { ...task, ...(restart === "always" ? {} : { restart: restart ?? "no" }) },
    ...(spec.spread.length === 0 ? {} : { spread: [...spec.spread] }),
    update: describeUpdate(spec.update),
  };
}

function describeUpdate(update: UpdateSpec): ServiceDocument["update"] {
  const { strategy } = update;
  return {
    strategy,
    maxParallel: describeAmount(update.maxParallel),
    order: update.order,
    maxUnavailable: describeAmount(update.maxUnavailable),
    minHealthyTime: formatDuration(update.minHealthyMs),
    healthyDeadline: formatDuration(update.healthyDeadlineMs),
    progressDeadline: formatDuration(update.progressDeadlineMs),
    ...(strategy === "canary" ? { canary: describeAmount(update.canary) } : {}),
    ...(strategy === "canary" || strategy === "blueGreen"
      ? { autoPromote: update.autoPromote, promoteDeadline: formatDuration(update.promoteDeadlineMs) }
      : {}),
    ...(update.analysis ? { analysis: describeAnalysis(update.analysis) } : {}),
    autoRevert: update.autoRevert,
    shutdownDelay: formatDuration(update.shutdownDelayMs),
    monitor: formatDuration(update.monitorMs),
  };
}

function describeAnalysis({ intervalMs, count, failureLimit, http }: AnalysisSpec) {
  return {
    interval: formatDuration(intervalMs),
    count,
    failureLimit,
    http: {
      url: http.url,
      method: http.method,
      ...(Object.keys(http.headers).length === 0 ? {} : { headers: { ...http.headers } }),
      ...(http.body === null ? {} : { body: http.body }),
      timeout: formatDuration(http.timeoutMs),
      expect: http.expect,
    },
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

/** What differs, by key; lists and what stands below the second level are compared as a whole. */
export function serviceDifferences(before: ServiceSpec, after: ServiceSpec): Difference[] {
  const [a, b] = [flat(describeService(before)), flat(describeService(after))];
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((key) => JSON.stringify(a.get(key)) !== JSON.stringify(b.get(key)))
    .map((key) => ({ key, from: a.get(key), to: b.get(key) }));
}

function flat(document: ServiceDocument): Map<string, unknown> {
  const entries = Object.entries(document).flatMap(([key, value]): [string, unknown][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).map(([inner, each]) => [`${key}.${inner}`, each])
      : [[key, value]]
  );
  return new Map(entries);
}

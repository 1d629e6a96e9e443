/**
 * The service document: what `ormen service apply -f web.yaml`, `POST /v1/services` and a workflow's `rollout:` take.
 * Owns its one vocabulary: the zod schema, and the normalised `ServiceSpec` it is parsed into (milliseconds, no optional
 * spellings, what follows from other keys decided). `task:` is the task document without its name.
 */
import { z } from "zod";
import { describeIssues } from "./issues.ts";
import { duration, labelMap, taskDocument } from "./task.ts";
import type { TaskSpec } from "./task.ts";
import { formatDuration } from "./units.ts";

export const REPLICAS_MAX = 1_000;

export type ServiceMode = "replicated" | "global";
export type UpdateStrategy = "rolling" | "canary" | "blueGreen" | "recreate";
export type UpdateOrder = "start-first" | "stop-first";

/** A number of replicas, or a share of all of them. */
export type Amount = { readonly kind: "count"; readonly count: number } | {
  readonly kind: "percent";
  readonly percent: number;
};

/** Measurements of a rollout's own replicas; each is one HTTP request that a sailor makes. */
export interface AnalysisSpec {
  readonly intervalMs: number;
  readonly count: number;
  /** This many measurements may fail. */
  readonly failureLimit: number;
  readonly http: {
    /** May hold `${{ address }}`, `${{ slot }}`, `${{ revision }}` and `${{ service }}`. */
    readonly url: string;
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | null;
    readonly timeoutMs: number;
    /** Expression over `status`, `headers` and `body`. */
    readonly expect: string;
  };
}

/** How one revision takes the place of another. */
export interface UpdateSpec {
  readonly strategy: UpdateStrategy;
  /** Slots that are being replaced at the same time. */
  readonly maxParallel: Amount;
  readonly order: UpdateOrder;
  /** Healthy replicas that a rollout itself may take away. */
  readonly maxUnavailable: Amount;
  readonly minHealthyMs: number;
  /** Of each replica, from when it has found a node. */
  readonly healthyDeadlineMs: number;
  /** Since the last replica became healthy for the first time. */
  readonly progressDeadlineMs: number;
  readonly canary: Amount;
  /** Canaries, or a green side, that are healthy take over without being told to. */
  readonly autoPromote: boolean;
  readonly promoteDeadlineMs: number;
  readonly analysis: AnalysisSpec | null;
  readonly autoRevert: boolean;
  /** Between leaving the address list and the stop signal. */
  readonly shutdownDelayMs: number;
  /** After the last replica has become healthy, before it counts as a success. */
  readonly monitorMs: number;
}

export interface ServiceSpec {
  readonly name: string;
  readonly mode: ServiceMode;
  /** Of a replicated one; 0 for a global one. */
  readonly replicas: number;
  /** Its name is the service's. */
  readonly task: TaskSpec;
  /** Attributes of nodes over whose values the replicas are spread, the first before the others; then over nodes. */
  readonly spread: readonly string[];
  readonly update: UpdateSpec;
  /** What its author should know: what was chosen by itself, and what is left out. Part of no comparison. */
  readonly notes: readonly string[];
}

/** How many of `total` an amount is: shares of `maxUnavailable` are rounded down, those that must go on are rounded up to 1. */
export function amountOf(amount: Amount, total: number, round: "up" | "down"): number {
  if (amount.kind === "count") return amount.count;
  const exact = total * amount.percent / 100;
  return round === "up" ? Math.max(1, Math.ceil(exact)) : Math.floor(exact);
}

const SERVICE_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,47}$/;
export const serviceName = z.string().regex(
  SERVICE_NAME,
  "a service's name has 1 to 48 letters, digits, _ or -, and begins with a letter or digit",
);

const amount = (least: number) =>
  z.union([
    z.number().int().min(least).max(REPLICAS_MAX),
    z.string().regex(/^\d{1,3}%$/, 'a number, or a share such as "25%"'),
  ])
    .transform((value, context): Amount => {
      if (typeof value === "number") return { kind: "count", count: value };
      const percent = Number(value.slice(0, -1));
      if (percent <= 100 && percent >= least) return { kind: "percent", percent };
      context.addIssue({ code: "custom", message: `must be from ${least}% to 100%` });
      return z.NEVER;
    });

const analysis = z.strictObject({
  interval: duration.default(15_000),
  count: z.number().int().min(1).max(1_000).default(4),
  failureLimit: z.number().int().min(0).max(1_000).default(0),
  http: z.strictObject({
    url: z.string().min(1).max(8_192),
    method: z.string().regex(/^[A-Z]{1,32}$/, "a method such as GET").default("GET"),
    headers: z.record(z.string().max(256), z.string().max(8_192)).default({}),
    body: z.string().max(48 * 1024).optional(),
    timeout: duration.default(10_000),
    expect: z.string().min(1).max(8_192).default("status >= 200 && status < 300"),
  }),
});

const update = z.strictObject({
  strategy: z.enum(["rolling", "canary", "blueGreen", "recreate"]).default("rolling"),
  maxParallel: amount(1).default({ kind: "count", count: 1 }),
  order: z.enum(["start-first", "stop-first"]).optional(),
  maxUnavailable: amount(0).optional(),
  minHealthyTime: duration.default(10_000),
  healthyDeadline: duration.default(300_000),
  progressDeadline: duration.default(600_000),
  canary: amount(1).default({ kind: "count", count: 1 }),
  autoPromote: z.boolean().optional(),
  promoteDeadline: duration.default(86_400_000),
  analysis: analysis.optional(),
  autoRevert: z.boolean().default(true),
  shutdownDelay: duration.refine((ms) => ms <= 3_600_000, { message: "at most 1h" }).default(5_000),
  monitor: duration.default(10_000),
});

const spreadAttribute = z.string().regex(
  /^node\.(?:name|id|labels\.[A-Za-z0-9_./-]{1,128})$/,
  "an attribute of nodes, such as node.labels.zone",
);

/** The service document as users write it. Parsing gives a `ServiceSpec`; unknown keys are refused. */
export const serviceDocument = z.strictObject({
  name: serviceName,
  mode: z.enum(["replicated", "global"]).default("replicated"),
  replicas: z.number().int().min(0).max(REPLICAS_MAX).optional(),
  task: z.record(z.string(), z.unknown()),
  /** These three may stand beside the task too; they are added to its own. */
  constraints: z.array(z.string()).max(32).optional(),
  ports: z.array(z.union([z.string(), z.number()])).max(64).optional(),
  labels: labelMap.optional(),
  spread: z.union([spreadAttribute, z.array(spreadAttribute).max(4)]).optional(),
  update: update.prefault({}),
}).transform((value, context): ServiceSpec => {
  const task = parseTask(value, context);
  if (!task) return z.NEVER;
  const problem = (message: string, path: (string | number)[]) => context.addIssue({ code: "custom", message, path });
  if (value.mode === "global" && value.replicas !== undefined) {
    problem("a global service has one replica on each node: leave `replicas` out", ["replicas"]);
  }
  const notes: string[] = [];
  const settled = settle(value.update, task, notes, (message, key) => problem(message, ["update", key]));
  if (task.health === null) {
    notes.push(
      `it has no health check: a replica counts as healthy once it has run for ${formatDuration(settled.minHealthyMs)}`,
    );
  }
  return {
    name: value.name,
    mode: value.mode,
    replicas: value.mode === "global" ? 0 : value.replicas ?? 1,
    task,
    spread: value.spread === undefined ? [] : Array.isArray(value.spread) ? value.spread : [value.spread],
    update: settled,
    notes,
  };
});

/** What a user may write, as a type (before defaults). */
export type ServiceDocument = z.input<typeof serviceDocument>;

interface Given {
  readonly name: string;
  readonly task: Record<string, unknown>;
  readonly constraints?: readonly string[];
  readonly ports?: readonly (string | number)[];
  readonly labels?: Readonly<Record<string, string>>;
}

function parseTask(value: Given, context: z.RefinementCtx): TaskSpec | undefined {
  const refuse = (message: string, path: PropertyKey[]) => {
    context.addIssue({ code: "custom", message, path: path as (string | number)[] });
    return undefined;
  };
  if ("name" in value.task) return refuse("the service's own name counts: leave this out", ["task", "name"]);
  if ("reschedule" in value.task) {
    return refuse("a service replaces its replicas by itself: leave this out", ["task", "reschedule"]);
  }
  const list = (key: string) => Array.isArray(value.task[key]) ? value.task[key] as unknown[] : [];
  const parsed = taskDocument.safeParse({
    restart: "always",
    ...value.task,
    ...(value.constraints ? { constraints: [...list("constraints"), ...value.constraints] } : {}),
    ...(value.ports ? { ports: [...list("ports"), ...value.ports] } : {}),
    ...(value.labels ? { labels: { ...value.task.labels as object, ...value.labels } } : {}),
    name: value.name,
  });
  if (parsed.success) return { ...parsed.data, reschedule: true };
  for (const { path, detail } of describeIssues(taskDocument, parsed.error.issues)) {
    refuse(detail, placeOf(value, path));
  }
  return undefined;
}

/** What was added from beside the task is wrong there. */
function placeOf(value: Given, path: readonly PropertyKey[]): PropertyKey[] {
  const [key, index] = path;
  const own = Array.isArray(value.task[String(key)]) ? (value.task[String(key)] as unknown[]).length : 0;
  const beside = (key === "constraints" || key === "ports") && typeof index === "number" && index >= own;
  if (beside) return [key, index - own, ...path.slice(2)];
  if (key === "labels" && index !== undefined && value.labels && Object.hasOwn(value.labels, String(index))) {
    return [...path];
  }
  return ["task", ...path];
}

/** Decides what was left open, and refuses what cannot be. */
function settle(
  given: z.output<typeof update>,
  task: TaskSpec,
  notes: string[],
  refuse: (message: string, key: string) => void,
): UpdateSpec {
  const port = task.ports.find(({ host }) => host !== null)?.host ??
    (task.runtime === "process" ? task.ports[0]?.container : undefined);
  let order = given.order ?? "start-first";
  if (port !== undefined && given.strategy === "blueGreen") {
    refuse(
      `blueGreen runs both revisions at once, and both want host port ${port}; leave the host port out`,
      "strategy",
    );
  } else if (port !== undefined && given.order === undefined && given.strategy !== "recreate") {
    order = "stop-first";
    notes.push(`order is stop-first: host port ${port} can be held by one replica of a node at a time`);
  } else if (port !== undefined && given.order === "start-first") {
    notes.push(`start-first with host port ${port} needs a free node for each replica that is replaced`);
  }
  const { maxUnavailable = { kind: "count", count: order === "stop-first" ? 1 : 0 } } = given;
  const isZero = maxUnavailable.kind === "count" ? maxUnavailable.count === 0 : maxUnavailable.percent === 0;
  if (order === "stop-first" && isZero && given.strategy !== "recreate") {
    refuse(
      "stop-first takes a replica away before its successor is there: at least 1, or use start-first",
      "maxUnavailable",
    );
  }
  if (given.minHealthyTime >= given.healthyDeadline) {
    refuse(
      `a replica must have the time to be healthy for minHealthyTime (${formatDuration(given.minHealthyTime)}): ` +
        "healthyDeadline must be longer",
      "healthyDeadline",
    );
  }
  if (given.healthyDeadline >= given.progressDeadline) {
    refuse(`must be longer than healthyDeadline (${formatDuration(given.healthyDeadline)})`, "progressDeadline");
  }
  const { analysis } = given;
  return {
    strategy: given.strategy,
    maxParallel: given.maxParallel,
    order,
    maxUnavailable,
    minHealthyMs: given.minHealthyTime,
    healthyDeadlineMs: given.healthyDeadline,
    progressDeadlineMs: given.progressDeadline,
    canary: given.canary,
    autoPromote: given.autoPromote ?? given.strategy === "blueGreen",
    promoteDeadlineMs: given.promoteDeadline,
    analysis: analysis
      ? {
        intervalMs: analysis.interval,
        count: analysis.count,
        failureLimit: analysis.failureLimit,
        http: {
          url: analysis.http.url,
          method: analysis.http.method,
          headers: analysis.http.headers,
          body: analysis.http.body ?? null,
          timeoutMs: analysis.http.timeout,
          expect: analysis.http.expect,
        },
      }
      : null,
    autoRevert: given.autoRevert,
    shutdownDelayMs: given.shutdownDelay,
    monitorMs: given.monitor,
  };
}

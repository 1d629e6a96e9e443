/**
 * The service document: what `ormen service apply -f web.yaml`, `POST /v1/services` and a workflow's `rollout:` take.
 * Owns its one vocabulary: the zod schema, and the normalised `ServiceSpec` it is parsed into (milliseconds, no optional
 * spellings, what follows from other keys decided). `task:` is the task document without its name.
 */
import { z } from "zod";
import { analysis } from "./analysis.ts";
import type { AnalysisSpec } from "./analysis.ts";
import { describeIssues } from "./issues.ts";
import { byteLength, duration, labelMap, SERVICE_NAME, taskDocument } from "./task.ts";
import type { TaskSpec } from "./task.ts";
import { formatDuration } from "./units.ts";

export type { AnalysisSpec } from "./analysis.ts";

export const REPLICAS_MAX = 1_000;
/** It stands in the records of the service and of each of its rollouts, which may take 64 KiB with all else. */
export const UPDATE_BYTES_MAX = 40 * 1024;

export type ServiceMode = "replicated" | "global";
export type UpdateStrategy = "rolling" | "canary" | "blueGreen" | "recreate";
export type UpdateOrder = "start-first" | "stop-first";

/** A number of replicas, or a share of all of them. */
export type Amount = { readonly kind: "count"; readonly count: number } | {
  readonly kind: "percent";
  readonly percent: number;
};

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

const WAIT_MS_MAX = 30 * 86_400_000;
const wait = duration.refine((ms) => ms <= WAIT_MS_MAX, { message: `at most ${formatDuration(WAIT_MS_MAX)}` });

const DEADLINES_MS = { healthyDeadline: 300_000, progressDeadline: 600_000 } as const;

const update = z.strictObject({
  strategy: z.enum(["rolling", "canary", "blueGreen", "recreate"]).default("rolling"),
  maxParallel: amount(1).default({ kind: "count", count: 1 }),
  order: z.enum(["start-first", "stop-first"]).optional(),
  maxUnavailable: amount(0).optional(),
  minHealthyTime: wait.default(10_000),
  healthyDeadline: wait.default(DEADLINES_MS.healthyDeadline),
  progressDeadline: wait.default(DEADLINES_MS.progressDeadline),
  canary: amount(1).default({ kind: "count", count: 1 }),
  autoPromote: z.boolean().optional(),
  promoteDeadline: wait.default(86_400_000),
  analysis: analysis.optional(),
  autoRevert: z.boolean().default(true),
  shutdownDelay: duration.refine((ms) => ms <= 3_600_000, { message: "at most 1h" }).default(5_000),
  monitor: wait.default(10_000),
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
  if (value.mode === "global" && value.spread !== undefined) {
    problem("a global service has one replica on each node: leave `spread` out", ["spread"]);
  }
  const notes: string[] = [];
  const settled = settle(value.update, task, value.mode, notes, (message, ...key) => {
    problem(message, ["update", ...key]);
  });
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
  };
  const { task, constraints, ports, labels } = value;
  const said = (key: string) => Object.hasOwn(task, key);
  if (said("name")) refuse("the service's own name counts: leave this out", ["task", "name"]);
  if (said("reschedule")) refuse("a service replaces its replicas by itself: leave this out", ["task", "reschedule"]);
  const { name: _name, reschedule: _reschedule, ...rest } = task;
  const parsed = taskDocument.safeParse({
    restart: "always",
    ...rest,
    // What is no list or no object is left as it is, to be refused where it stands.
    ...(constraints && isListOrNothing(task.constraints) &&
      { constraints: [...task.constraints ?? [], ...constraints] }),
    ...(ports && isListOrNothing(task.ports) && { ports: [...task.ports ?? [], ...ports] }),
    ...(labels && isObjectOrNothing(task.labels) && { labels: { ...task.labels, ...labels } }),
    name: value.name,
  });
  if (parsed.success) return { ...parsed.data, reschedule: true };
  for (const { path, detail } of describeIssues(taskDocument, parsed.error.issues)) {
    refuse(detail, placeOf(value, path));
  }
  return undefined;
}

function isListOrNothing(value: unknown): value is readonly unknown[] | undefined {
  return value === undefined || Array.isArray(value);
}

function isObjectOrNothing(value: unknown): value is object | undefined {
  return value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value));
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

type Refuse = (message: string, ...key: (string | number)[]) => void;

/** Decides what was left open, and refuses what cannot be. */
function settle(
  given: z.output<typeof update>,
  task: TaskSpec,
  mode: ServiceMode,
  notes: string[],
  refuse: Refuse,
): UpdateSpec {
  const order = orderOf(given, hostPortOf(task), mode, notes, refuse);
  const { maxUnavailable = { kind: "count", count: order === "stop-first" ? 1 : 0 } } = given;
  const isZero = maxUnavailable.kind === "count" ? maxUnavailable.count === 0 : maxUnavailable.percent === 0;
  if (order === "stop-first" && isZero && takesTurns(given)) {
    refuse(
      "stop-first takes a replica away before its successor is there: at least 1, or use start-first",
      "maxUnavailable",
    );
  }
  checkWaits(given, refuse);
  const settled: UpdateSpec = {
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
    analysis: given.analysis ?? null,
    autoRevert: given.autoRevert,
    shutdownDelayMs: given.shutdownDelay,
    monitorMs: given.monitor,
  };
  const bytes = byteLength(JSON.stringify(settled));
  if (bytes > UPDATE_BYTES_MAX) {
    refuse(`it takes ${bytes} bytes with its analysis; at most ${UPDATE_BYTES_MAX} can be kept`);
  }
  return settled;
}

/** Slot by slot: the others start all at once, or stop all at once. */
function takesTurns({ strategy }: { readonly strategy: UpdateStrategy }): boolean {
  return strategy === "rolling" || strategy === "canary";
}

/** The port that two replicas on one node would fight for; a process has no other ports than its host's. */
export function hostPortOf({ ports, runtime }: TaskSpec): number | undefined {
  return ports.find(({ host }) => host !== null)?.host ?? (runtime === "process" ? ports[0]?.container : undefined);
}

function orderOf(
  { strategy, order }: z.output<typeof update>,
  port: number | undefined,
  mode: ServiceMode,
  notes: string[],
  refuse: Refuse,
): UpdateOrder {
  if (port !== undefined && strategy === "blueGreen") {
    refuse(
      `blueGreen runs both revisions at once, and both want host port ${port}; leave the host port out`,
      "strategy",
    );
  }
  if (port === undefined || !takesTurns({ strategy })) return order ?? "start-first";
  if (order === undefined) {
    notes.push(`${CHOSEN} stop-first: host port ${port} can be held by one replica of a node at a time`);
    return "stop-first";
  }
  if (order === "start-first" && mode === "global") {
    refuse(
      `both revisions want host port ${port} of the same node; use stop-first, or leave the host port out`,
      "order",
    );
  } else if (order === "start-first") {
    notes.push(`start-first with host port ${port} needs a free node for each replica that is replaced`);
  }
  return order;
}

const CHOSEN = "order is";

/** Whether nobody said in which order replicas are replaced, and the host port of the task decided. */
export function isOrderChosen({ notes }: Pick<ServiceSpec, "notes">): boolean {
  return notes.some((note) => note.startsWith(CHOSEN));
}

function checkWaits(given: z.output<typeof update>, refuse: Refuse): void {
  const check = (short: "minHealthyTime" | "healthyDeadline", long: keyof typeof DEADLINES_MS) => {
    if (given[short] < given[long]) return;
    // Where the deadline is the usual one, it is the other that somebody wrote.
    if (given[long] !== DEADLINES_MS[long]) {
      refuse(`must be longer than ${short} (${formatDuration(given[short])})`, long);
    } else refuse(`must be shorter than ${long} (${formatDuration(given[long])})`, short);
  };
  check("minHealthyTime", "healthyDeadline");
  check("healthyDeadline", "progressDeadline");
}

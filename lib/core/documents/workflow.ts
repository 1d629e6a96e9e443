/**
 * The workflow document: what `ormen workflow run deploy.yaml` and `POST /v1/runs` take.
 * Owns its one vocabulary: the zod schema and the normalised `WorkflowSpec` it is parsed into (milliseconds, ids, no
 * optional spellings). What a document means beyond its shape (references, cycles, expressions) is judged by
 * workflow/validate.ts; texts with `${{ }}` stay as they were written until a step starts.
 */
import { z } from "zod";
import { duration, environment, file, filePath, mapOf, safeKey, secretUses } from "./task.ts";
import type { SecretUse } from "./task.ts";

export const STEPS_MAX = 10_000;
export const INSTANCES_MAX = 1_000;

/** What a need must have reached. `succeeded` counts a skipped step too; `finished` counts any end. */
export type NeedCondition = "started" | "healthy" | "succeeded" | "finished";
export interface Need {
  readonly step: string;
  readonly condition: NeedCondition;
}

export type Scalar = string | number | boolean;

/** A parameter of a workflow, or an input that an approval asks for. */
export interface ParamSpec {
  readonly type: "string" | "number" | "boolean";
  readonly required: boolean;
  readonly default: Scalar | null;
  readonly enum: readonly Scalar[] | null;
  /** A regular expression in RE2's syntax that the whole or a part of the text must match. */
  readonly pattern: string | null;
  readonly description: string | null;
}

export interface RetrySpec {
  /** Retries after the first attempt. */
  readonly limit: number;
  readonly delayMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
  /** Share of the delay by which it may differ, 0 to 1. */
  readonly jitter: number;
  /** Expression over `exitCode`, `outcome` and `attempt`; null: any failure. */
  readonly when: string | null;
}

export interface ScheduleSpec {
  readonly cron: string;
  readonly timezone: string;
  readonly catchup: "none" | "latest" | "all";
  readonly catchupWindowMs: number;
  readonly overlap: "skip" | "queue" | "replace";
  readonly params: Readonly<Record<string, Scalar>>;
}

export interface ConcurrencySpec {
  readonly group: string;
  readonly limit: number;
  readonly onConflict: "queue" | "cancel" | "fail";
}

export interface MatrixSpec {
  readonly axes: Readonly<Record<string, readonly Scalar[]>>;
  readonly include: readonly Readonly<Record<string, Scalar>>[];
  readonly exclude: readonly Readonly<Record<string, Scalar>>[];
}

/** Either the text, or the name of a file that lies beside the document and is read by the command line. */
export type StepFile = { readonly content: string; readonly mode?: string } | { readonly from: string };

/** What a step does. Texts may hold `${{ }}`, but for `script`. `task` is a task document, perhaps without its name. */
export type StepAction =
  | {
    readonly kind: "task";
    readonly task: Readonly<Record<string, unknown>>;
    readonly script: { readonly text: string; readonly shell: readonly string[] } | null;
    readonly files: Readonly<Record<string, StepFile>>;
  }
  | {
    readonly kind: "http";
    readonly url: string;
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | null;
    /** Expression over `status`, `headers` and `body`. */
    readonly expect: string;
  }
  | {
    readonly kind: "approval";
    readonly prompt: string;
    readonly inputs: Readonly<Record<string, ParamSpec>>;
  }
  | { readonly kind: "sleep"; readonly duration: string }
  | { readonly kind: "workflow"; readonly workflow: string; readonly with: Readonly<Record<string, Scalar>> }
  | { readonly kind: "rollout"; readonly rollout: Readonly<Record<string, unknown>> };

export interface StepSpec {
  readonly id: string;
  readonly action: StepAction;
  readonly needs: readonly Need[];
  readonly when: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: readonly SecretUse[];
  readonly matrix: MatrixSpec | null;
  /** Text with one `${{ }}` that gives a list. */
  readonly forEach: string | null;
  /** Instances at the same time; null: all. */
  readonly maxParallel: number | null;
  readonly failFast: boolean;
  /** Of one attempt; null: none. */
  readonly timeoutMs: number | null;
  readonly retry: RetrySpec;
  readonly continueOnError: boolean;
  readonly outputs: Readonly<Record<string, string>>;
  readonly onNodeLost: "wait" | "retry";
  readonly onCrash: "adopt" | "retry" | "fail";
}

export interface WorkflowSpec {
  readonly name: string;
  readonly description: string | null;
  readonly params: Readonly<Record<string, ParamSpec>>;
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: readonly SecretUse[];
  readonly schedule: ScheduleSpec | null;
  readonly concurrency: ConcurrencySpec | null;
  readonly timeoutMs: number | null;
  /** In the order of the document. */
  readonly steps: readonly StepSpec[];
  readonly onFailure: readonly StepSpec[];
  readonly finally: readonly StepSpec[];
  readonly outputs: Readonly<Record<string, string>>;
}

export const NO_RETRY: RetrySpec = {
  limit: 0,
  delayMs: 1_000,
  factor: 2,
  maxDelayMs: 300_000,
  jitter: 0.1,
  when: null,
};
const DEFAULT_SHELL = ["sh", "-eu"] as const;

// Together they make the ids of runs, tasks and containers, which have their own limits.
export const WORKFLOW_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,47}$/;
export const STEP_ID = /^[A-Za-z][A-Za-z0-9_-]{0,47}$/;
const KEY = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const stepId = safeKey(STEP_ID, "a step's name: a letter, then letters, digits, _ or -, 48 at most");
const key = safeKey(KEY, "a name: a letter or _, then letters, digits or _, 64 at most");

const text = z.string().max(16_384);
const expression = z.string().min(1).max(4_096);
const scalar = z.union([z.string().max(4_096), z.number(), z.boolean()]);
const texts = mapOf(key, text, 256);

const param = z.strictObject({
  type: z.enum(["string", "number", "boolean"]).default("string"),
  required: z.boolean().default(false),
  default: scalar.optional(),
  enum: z.array(scalar).min(1).max(256).optional(),
  pattern: z.string().max(1_024).optional(),
  description: text.optional(),
}).transform((p): ParamSpec => ({
  type: p.type,
  required: p.required,
  default: p.default ?? null,
  enum: p.enum ?? null,
  pattern: p.pattern ?? null,
  description: p.description ?? null,
}));
const params = mapOf(key, param, 256);

const retryKeys = z.strictObject({
  limit: z.number().int().min(0).max(1_000).optional(),
  delay: duration.optional(),
  factor: z.number().min(1).max(100).optional(),
  maxDelay: duration.optional(),
  jitter: z.number().min(0).max(1).optional(),
  when: expression.optional(),
});

const need = z.union([
  stepId.transform((step): Need => ({ step, condition: "succeeded" })),
  z.strictObject({
    step: stepId,
    condition: z.enum(["started", "healthy", "succeeded", "finished"]).default("succeeded"),
  }),
]);

const combination = mapOf(key, scalar, 32);
const matrix = z.looseObject({
  include: z.array(combination).max(INSTANCES_MAX).optional(),
  exclude: z.array(combination).max(INSTANCES_MAX).optional(),
}).transform((value, context): MatrixSpec => {
  const { include, exclude, ...rest } = value;
  const axes = mapOf(key, z.array(scalar).min(1).max(INSTANCES_MAX), 16).safeParse(rest);
  if (!axes.success) {
    for (const issue of axes.error.issues) {
      context.addIssue({ code: "custom", path: issue.path, message: "must be a list of texts, numbers or booleans" });
    }
    return z.NEVER;
  }
  return { axes: axes.data, include: include ?? [], exclude: exclude ?? [] };
});

const stepFile = z.union([file, z.strictObject({ from: z.string().min(1).max(1_024) })]).transform((f): StepFile =>
  typeof f === "string" ? { content: f } : f
);

const http = z.strictObject({
  url: text.min(1),
  method: z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]).default("GET"),
  headers: mapOf(z.string().regex(/^[A-Za-z0-9-]{1,128}$/, "not a header's name"), text, 64).default({}),
  body: z.string().max(65_536).optional(),
  expect: expression.default("status >= 200 && status < 300"),
});

const ACTIONS = ["task", "run", "http", "approval", "sleep", "workflow", "rollout"] as const;

const stepShape = {
  needs: z.array(need).max(STEPS_MAX).optional(),
  when: expression.optional(),
  env: environment.optional(),
  secrets: secretUses.optional(),
  matrix: matrix.optional(),
  forEach: expression.optional(),
  maxParallel: z.number().int().min(1).max(INSTANCES_MAX).optional(),
  failFast: z.boolean().optional(),
  timeout: duration.optional(),
  retry: retryKeys.optional(),
  continueOnError: z.boolean().optional(),
  outputs: texts.optional(),
  onNodeLost: z.enum(["wait", "retry"]).optional(),
  onCrash: z.enum(["adopt", "retry", "fail"]).optional(),
  task: z.record(z.string(), z.unknown()).optional(),
  run: z.string().min(1).max(48 * 1024).optional(),
  shell: z.array(z.string().min(1).max(1_024)).min(1).max(32).optional(),
  files: mapOf(filePath, stepFile, 64).optional(),
  http: http.optional(),
  approval: z.strictObject({ prompt: text.min(1), inputs: params.default({}) }).optional(),
  sleep: z.string().min(1).max(1_024).optional(),
  workflow: z.string().min(1).max(1_024).optional(),
  with: mapOf(key, scalar, 256).optional(),
  rollout: z.record(z.string(), z.unknown()).optional(),
};

const step = z.strictObject(stepShape);
type StepKeys = z.output<typeof step>;
/** Steps of `onFailure` and `finally` run one after the other, so they need nothing; their names are for people. */
const { needs: _needs, ...closingShape } = stepShape;
const closingStep = z.strictObject({ id: stepId.optional(), ...closingShape });

const schedule = z.strictObject({
  cron: z.string().min(1).max(256),
  timezone: z.string().min(1).max(64).default("UTC"),
  catchup: z.enum(["none", "latest", "all"]).default("latest"),
  catchupWindow: duration.default(6 * 3_600_000),
  overlap: z.enum(["skip", "queue", "replace"]).default("skip"),
  params: mapOf(key, scalar, 256).default({}),
}).transform(({ catchupWindow, ...rest }): ScheduleSpec => ({ ...rest, catchupWindowMs: catchupWindow }));

const concurrency = z.strictObject({
  group: text.min(1),
  limit: z.number().int().min(1).max(1_000).default(1),
  onConflict: z.enum(["queue", "cancel", "fail"]).default("queue"),
});

/** The workflow document as users write it. Parsing gives a `WorkflowSpec`; unknown keys are refused. */
export const workflowDocument = z.strictObject({
  name: z.string().regex(
    WORKFLOW_NAME,
    "a name has 1 to 48 letters, digits, _ or -, and begins with a letter or digit",
  ),
  description: text.optional(),
  params: params.optional(),
  env: environment.optional(),
  secrets: secretUses.optional(),
  schedule: schedule.optional(),
  concurrency: concurrency.optional(),
  timeout: duration.optional(),
  defaults: z.strictObject({
    timeout: duration.optional(),
    retry: retryKeys.optional(),
    onNodeLost: stepShape.onNodeLost,
    onCrash: stepShape.onCrash,
  }).optional(),
  steps: mapOf(stepId, step, STEPS_MAX).refine((steps) => Object.keys(steps).length > 0, {
    message: "a workflow needs at least one step",
  }),
  onFailure: z.array(closingStep).max(100).optional(),
  finally: z.array(closingStep).max(100).optional(),
  outputs: texts.optional(),
}).transform((value, context): WorkflowSpec => {
  const defaults = value.defaults ?? {};
  const stepAt = (id: string, keys: StepKeys, path: readonly (string | number)[]): StepSpec => {
    const action = actionOf(keys, (detail, at) => {
      context.addIssue({ code: "custom", message: detail, path: [...path, ...at] });
    });
    return {
      id,
      action,
      needs: keys.needs ?? [],
      when: keys.when ?? null,
      env: keys.env ?? {},
      secrets: keys.secrets ?? [],
      matrix: keys.matrix ?? null,
      forEach: keys.forEach ?? null,
      maxParallel: keys.maxParallel ?? null,
      failFast: keys.failFast ?? true,
      timeoutMs: keys.timeout ?? (waits(action) ? null : defaults.timeout ?? null),
      retry: retryOf({ ...defaults.retry, ...keys.retry }),
      continueOnError: keys.continueOnError ?? false,
      outputs: keys.outputs ?? {},
      onNodeLost: keys.onNodeLost ?? defaults.onNodeLost ?? "wait",
      onCrash: keys.onCrash ?? defaults.onCrash ?? "adopt",
    };
  };
  const closing = (list: "onFailure" | "finally") =>
    (value[list] ?? []).map(({ id, ...keys }, index) => stepAt(id ?? `${list}-${index + 1}`, keys, [list, index]));
  return {
    name: value.name,
    description: value.description ?? null,
    params: value.params ?? {},
    env: value.env ?? {},
    secrets: value.secrets ?? [],
    schedule: value.schedule ?? null,
    concurrency: value.concurrency ?? null,
    timeoutMs: value.timeout ?? null,
    steps: Object.entries(value.steps).map(([id, keys]) => stepAt(id, keys, ["steps", id])),
    onFailure: closing("onFailure"),
    finally: closing("finally"),
    outputs: value.outputs ?? {},
  };
});

/** What a user may write, as a type (before defaults). */
export type WorkflowDocument = z.input<typeof workflowDocument>;

/** A person or a clock ends it: the usual timeout of a step that works says nothing about it. */
function waits(action: StepAction): boolean {
  return action.kind === "approval" || action.kind === "sleep" || action.kind === "workflow" ||
    action.kind === "rollout";
}

function retryOf(keys: z.output<typeof retryKeys>): RetrySpec {
  return {
    limit: keys.limit ?? NO_RETRY.limit,
    delayMs: keys.delay ?? NO_RETRY.delayMs,
    factor: keys.factor ?? NO_RETRY.factor,
    maxDelayMs: keys.maxDelay ?? NO_RETRY.maxDelayMs,
    jitter: keys.jitter ?? NO_RETRY.jitter,
    when: keys.when ?? null,
  };
}

const NOTHING: StepAction = { kind: "sleep", duration: "0" };

/** The one thing that the step does; two or none are told to `problem`. */
function actionOf(keys: StepKeys, problem: (detail: string, at: readonly string[]) => void): StepAction {
  const given = ACTIONS.filter((action) => keys[action] !== undefined);
  const kinds = given.filter((action) => action !== "run" || keys.task === undefined);
  if (kinds.length === 0) problem(`a step needs one of ${ACTIONS.join(", ")}`, []);
  if (kinds.length > 1) problem(`a step does one thing: ${kinds.join(" and ")} exclude each other`, [kinds[1]]);
  if (keys.matrix !== undefined && keys.forEach !== undefined) {
    problem("matrix and forEach exclude each other", ["forEach"]);
  }
  const only = (
    key: "shell" | "files" | "secrets" | "with" | "maxParallel" | "failFast",
    fits: boolean,
    what: string,
  ) => {
    if (keys[key] !== undefined && !fits) problem(`\`${key}\` belongs to ${what}`, [key]);
  };
  const hasTask = keys.task !== undefined || keys.run !== undefined;
  const fansOut = keys.matrix !== undefined || keys.forEach !== undefined;
  only("shell", keys.run !== undefined, "a step with `run`");
  only("files", hasTask, "a step with `task` or `run`");
  only("secrets", hasTask, "a step with `task` or `run`: nothing else can be handed any");
  only("with", keys.workflow !== undefined, "a step with `workflow`");
  only("maxParallel", fansOut, "a step with `matrix` or `forEach`");
  only("failFast", fansOut, "a step with `matrix` or `forEach`");
  if (hasTask) {
    return {
      kind: "task",
      // Without a container of its own a script runs as a process of the sailor's host, where that is allowed.
      task: keys.task ?? { runtime: "process" },
      script: keys.run === undefined ? null : { text: keys.run, shell: keys.shell ?? DEFAULT_SHELL },
      files: keys.files ?? {},
    };
  }
  if (keys.http) return { kind: "http", ...keys.http, body: keys.http.body ?? null };
  if (keys.approval) return { kind: "approval", ...keys.approval };
  if (keys.sleep !== undefined) return { kind: "sleep", duration: keys.sleep };
  if (keys.workflow !== undefined) return { kind: "workflow", workflow: keys.workflow, with: keys.with ?? {} };
  if (keys.rollout) return { kind: "rollout", rollout: keys.rollout };
  return NOTHING;
}

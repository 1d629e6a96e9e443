/** The workflow document: what each key becomes, its defaults, and each refusal. */
import assert from "node:assert/strict";
import { describeIssues } from "../../../lib/core/documents/issues.ts";
import { workflowDocument } from "../../../lib/core/documents/workflow.ts";
import type { StepSpec, WorkflowSpec } from "../../../lib/core/documents/workflow.ts";

type Keys = Record<string, unknown>;

const SLEEP = { sleep: "1s" };

function parse(document: Keys): WorkflowSpec {
  return workflowDocument.parse({ name: "w", steps: { a: SLEEP }, ...document });
}

function stepOf(keys: Keys, document: Keys = {}): StepSpec {
  return parse({ ...document, steps: { a: keys, b: SLEEP } }).steps[0];
}

function refusals(document: Keys): string[] {
  const result = workflowDocument.safeParse({ name: "w", steps: { a: SLEEP }, ...document });
  if (result.success) return [];
  return describeIssues(workflowDocument, result.error.issues).map(({ path, detail }) =>
    `${path.map(String).join(".")}: ${detail}`
  );
}

Deno.test("a workflow of one step has every default", () => {
  assert.deepEqual(parse({}), {
    name: "w",
    description: null,
    params: {},
    env: {},
    secrets: [],
    schedule: null,
    concurrency: null,
    timeoutMs: null,
    steps: [{
      id: "a",
      action: { kind: "sleep", duration: "1s" },
      needs: [],
      when: null,
      env: {},
      secrets: [],
      matrix: null,
      forEach: null,
      maxParallel: null,
      failFast: true,
      timeoutMs: null,
      retry: { limit: 0, delayMs: 1_000, factor: 2, maxDelayMs: 300_000, jitter: 0.1, when: null },
      continueOnError: false,
      outputs: {},
      onNodeLost: "wait",
      onCrash: "adopt",
    }],
    onFailure: [],
    finally: [],
    outputs: {},
  });
});

/** A key of the document and what it becomes in the spec. */
const KEYS: readonly (readonly [string, Keys, (spec: WorkflowSpec) => unknown, unknown])[] = [
  ["description", { description: "x" }, (w) => w.description, "x"],
  ["timeout", { timeout: "1h" }, (w) => w.timeoutMs, 3_600_000],
  ["env, all values as texts", { env: { A: "x", B: 1, C: true } }, (w) => w.env, { A: "x", B: "1", C: "true" }],
  ["secrets as a list", { secrets: ["S"] }, (w) => w.secrets, [{ name: "S", file: null }]],
  ["secrets as files", { secrets: { S: { file: "/run/s" } } }, (w) => w.secrets, [{ name: "S", file: "/run/s" }]],
  ["params", { params: { p: {} } }, (w) => w.params, {
    p: { type: "string", required: false, default: null, enum: null, pattern: null, description: null },
  }],
  [
    "params with everything",
    { params: { p: { type: "number", required: true, default: 1, enum: [1, 2], pattern: "x", description: "d" } } },
    (w) => w.params.p,
    { type: "number", required: true, default: 1, enum: [1, 2], pattern: "x", description: "d" },
  ],
  ["schedule", { schedule: { cron: "0 3 * * *" } }, (w) => w.schedule, {
    cron: "0 3 * * *",
    timezone: "UTC",
    catchup: "latest",
    catchupWindowMs: 6 * 3_600_000,
    overlap: "skip",
    params: {},
  }],
  [
    "schedule with everything",
    {
      schedule: {
        cron: "@daily",
        timezone: "Europe/Berlin",
        catchup: "all",
        catchupWindow: "1h",
        overlap: "replace",
        params: { a: 1 },
      },
    },
    (w) => w.schedule,
    {
      cron: "@daily",
      timezone: "Europe/Berlin",
      catchup: "all",
      catchupWindowMs: 3_600_000,
      overlap: "replace",
      params: { a: 1 },
    },
  ],
  ["concurrency", { concurrency: { group: "g" } }, (w) => w.concurrency, { group: "g", limit: 1, onConflict: "queue" }],
  ["outputs", { outputs: { o: "x" } }, (w) => w.outputs, { o: "x" }],
  ["steps in their order", { steps: { z: SLEEP, a: SLEEP, m: SLEEP } }, (w) => w.steps.map(({ id }) => id), [
    "z",
    "a",
    "m",
  ]],
  [
    "closing steps, named by their place or by themselves",
    { onFailure: [SLEEP], finally: [SLEEP, { id: "last", ...SLEEP }] },
    (w) => [...w.onFailure, ...w.finally].map(({ id }) => id),
    ["onFailure-1", "finally-1", "last"],
  ],
];
for (const [name, document, read, value] of KEYS) {
  Deno.test(`workflowDocument ${name}`, () => assert.deepEqual(read(parse(document)), value));
}

const STEP_KEYS: readonly (readonly [string, Keys, (step: StepSpec) => unknown, unknown])[] = [
  ["needs", { ...SLEEP, needs: ["b", { step: "b", condition: "healthy" }, { step: "b" }] }, (s) => s.needs, [
    { step: "b", condition: "succeeded" },
    { step: "b", condition: "healthy" },
    { step: "b", condition: "succeeded" },
  ]],
  ["when", { ...SLEEP, when: "always()" }, (s) => s.when, "always()"],
  ["matrix", { ...SLEEP, matrix: { os: ["x"], include: [{ os: "y" }] } }, (s) => s.matrix, {
    axes: { os: ["x"] },
    include: [{ os: "y" }],
    exclude: [],
  }],
  ["forEach and what bounds it", { ...SLEEP, forEach: "${{ [1] }}", maxParallel: 2, failFast: false }, (s) => [
    s.forEach,
    s.maxParallel,
    s.failFast,
  ], ["${{ [1] }}", 2, false]],
  [
    "retry over what it does not say",
    { ...SLEEP, retry: { limit: 3, delay: "5s", when: "exitCode == 1" } },
    (s) => s.retry,
    {
      limit: 3,
      delayMs: 5_000,
      factor: 2,
      maxDelayMs: 300_000,
      jitter: 0.1,
      when: "exitCode == 1",
    },
  ],
  [
    "continueOnError, onNodeLost, onCrash",
    { ...SLEEP, continueOnError: true, onNodeLost: "retry", onCrash: "fail" },
    (s) => [
      s.continueOnError,
      s.onNodeLost,
      s.onCrash,
    ],
    [true, "retry", "fail"],
  ],
  ["task", { task: { image: "i", anything: 1 } }, (s) => s.action, {
    kind: "task",
    task: { image: "i", anything: 1 },
    script: null,
    files: {},
  }],
  [
    "run in the task's container",
    { task: { image: "i" }, run: "x", shell: ["bash"], files: { "/f": "t" } },
    (s) => s.action,
    {
      kind: "task",
      task: { image: "i" },
      script: { text: "x", shell: ["bash"] },
      files: { "/f": { content: "t" } },
    },
  ],
  ["run on the host", { run: "x" }, (s) => s.action, {
    kind: "task",
    task: { runtime: "process" },
    script: { text: "x", shell: ["sh", "-eu"] },
    files: {},
  }],
  [
    "files of every form",
    { run: "x", files: { "/a": "t", "/b": { content: "t", mode: "0755" }, "/c": { from: "c" } } },
    (s) => s.action.kind === "task" && s.action.files,
    {
      "/a": { content: "t" },
      "/b": { content: "t", mode: "0755" },
      "/c": { from: "c" },
    },
  ],
  ["http", { http: { url: "http://h" } }, (s) => s.action, {
    kind: "http",
    url: "http://h",
    method: "GET",
    headers: {},
    body: null,
    expect: "status >= 200 && status < 300",
  }],
  ["approval", { approval: { prompt: "p" } }, (s) => s.action, { kind: "approval", prompt: "p", inputs: {} }],
  ["workflow", { workflow: "w.yaml", with: { a: 1 } }, (s) => s.action, {
    kind: "workflow",
    workflow: "w.yaml",
    with: { a: 1 },
  }],
  ["rollout", { rollout: { service: "web", any: 1 } }, (s) => s.action, {
    kind: "rollout",
    rollout: { service: "web", any: 1 },
  }],
];
for (const [name, keys, read, value] of STEP_KEYS) {
  Deno.test(`workflowDocument step: ${name}`, () => assert.deepEqual(read(stepOf(keys)), value));
}

Deno.test("defaults hold for steps that work, where they say nothing themselves", () => {
  const defaults = { timeout: "10m", retry: { limit: 2, delay: "2s" }, onNodeLost: "retry", onCrash: "retry" };
  const step = stepOf({ run: "x", retry: { delay: "3s" } }, { defaults });
  assert.deepEqual([step.timeoutMs, step.retry.limit, step.retry.delayMs, step.onNodeLost, step.onCrash], [
    600_000,
    2,
    3_000,
    "retry",
    "retry",
  ]);
  assert.equal(stepOf({ run: "x", timeout: "1m" }, { defaults }).timeoutMs, 60_000);
  for (const waiting of [SLEEP, { approval: { prompt: "p" } }, { workflow: "w" }, { rollout: {} }]) {
    assert.equal(stepOf(waiting, { defaults }).timeoutMs, null, JSON.stringify(waiting));
  }
});

const long = (length: number) => "x".repeat(length);
const REFUSED: readonly (readonly [Keys, RegExp])[] = [
  [{ name: "a.b" }, /^name: a name has 1 to 48/],
  [{ name: "-a" }, /^name: a name has/],
  [{ name: long(49) }, /^name: a name has/],
  [{ nme: 1 }, /^nme: unknown key `nme`; did you mean `name`\?/],
  [{ steps: {} }, /^steps: a workflow needs at least one step/],
  [{ steps: [] }, /^steps: must be/],
  [{ steps: { "1a": SLEEP } }, /^steps\.1a: not a step's name/],
  [{ steps: { constructor: SLEEP } }, /^steps\.constructor: not a step's name/],
  [{ steps: { [long(49)]: SLEEP } }, /: not a step's name/],
  [{ steps: { a: null } }, /^steps\.a: must be an object/],
  [{ steps: { a: { ...SLEEP, needs: "b" } } }, /^steps\.a\.needs: must be an array/],
  [
    { steps: { a: { ...SLEEP, needs: [{ step: "b", condition: "ok" }] } } },
    /^steps\.a\.needs\.0\.condition: must be one of started, healthy/,
  ],
  [{ steps: { a: { ...SLEEP, needs: [{ stp: "b" }] } } }, /^steps\.a\.needs\.0/],
  [{ steps: { a: { ...SLEEP, when: true } } }, /^steps\.a\.when: must be a string/],
  [{ steps: { a: { ...SLEEP, when: "" } } }, /^steps\.a\.when: must be at least 1/],
  [{ steps: { a: { ...SLEEP, when: long(4_097) } } }, /^steps\.a\.when: must be at most 4096 characters/],
  [{ steps: { a: { ...SLEEP, env: { "1": "x" } } } }, /^steps\.a\.env\.1: not a variable's name/],
  [{ steps: { a: { ...SLEEP, secrets: ["a b"] } } }, /^steps\.a\.secrets\.0: not a secret's name/],
  [{ steps: { a: { ...SLEEP, matrix: { os: "x" } } } }, /^steps\.a\.matrix\.os: must be a list/],
  [{ steps: { a: { ...SLEEP, matrix: { os: [] } } } }, /^steps\.a\.matrix\.os: must be a list/],
  [{ steps: { a: { ...SLEEP, matrix: { os: ["x"], include: {} } } } }, /^steps\.a\.matrix\.include: must be an array/],
  [
    { steps: { a: { ...SLEEP, matrix: { os: ["x"] }, forEach: "x" } } },
    /^steps\.a\.forEach: matrix and forEach exclude each other/,
  ],
  [
    { steps: { a: { ...SLEEP, maxParallel: 2 } } },
    /^steps\.a\.maxParallel: `maxParallel` belongs to a step with `matrix` or `forEach`/,
  ],
  [{ steps: { a: { ...SLEEP, failFast: true } } }, /^steps\.a\.failFast: `failFast` belongs to/],
  [{ steps: { a: { ...SLEEP, matrix: { os: ["x"] }, maxParallel: 0 } } }, /^steps\.a\.maxParallel: must be at least 1/],
  [{ steps: { a: { ...SLEEP, timeout: 5 } } }, /^steps\.a\.timeout: must be a string/],
  [{ steps: { a: { ...SLEEP, timeout: "5" } } }, /^steps\.a\.timeout: not a duration: "5"; write it with a unit/],
  [{ steps: { a: { ...SLEEP, retry: { limit: -1 } } } }, /^steps\.a\.retry\.limit: must be at least 0/],
  [{ steps: { a: { ...SLEEP, retry: { limit: 1.5 } } } }, /^steps\.a\.retry\.limit: must be an int/],
  [{ steps: { a: { ...SLEEP, retry: { factor: 0.5 } } } }, /^steps\.a\.retry\.factor: must be at least 1/],
  [{ steps: { a: { ...SLEEP, retry: { jitter: 2 } } } }, /^steps\.a\.retry\.jitter: must be at most 1/],
  [
    { steps: { a: { ...SLEEP, retry: { limits: 1 } } } },
    /^steps\.a\.retry\.limits: unknown key `limits`; did you mean `limit`\?/,
  ],
  [{ steps: { a: { ...SLEEP, outputs: { "a-b": "x" } } } }, /^steps\.a\.outputs\.a-b: not a name/],
  [{ steps: { a: { ...SLEEP, onNodeLost: "fail" } } }, /^steps\.a\.onNodeLost: must be one of wait, retry/],
  [{ steps: { a: { ...SLEEP, onCrash: "wait" } } }, /^steps\.a\.onCrash: must be one of adopt, retry, fail/],
  [{ steps: { a: {} } }, /^steps\.a: a step needs one of task, run, http, approval, sleep, workflow, rollout/],
  [
    { steps: { a: { ...SLEEP, http: { url: "http://h" } } } },
    /^steps\.a\.sleep: a step does one thing: http and sleep exclude/,
  ],
  [{ steps: { a: { ...SLEEP, shell: ["sh"] } } }, /^steps\.a\.shell: `shell` belongs to a step with `run`/],
  [{ steps: { a: { task: { image: "i" }, shell: ["sh"] } } }, /^steps\.a\.shell: `shell` belongs to a step with `run`/],
  [
    { steps: { a: { ...SLEEP, files: { "/f": "x" } } } },
    /^steps\.a\.files: `files` belongs to a step with `task` or `run`/,
  ],
  [
    { steps: { a: { http: { url: "http://x/" }, secrets: ["TOKEN"] } } },
    /^steps\.a\.secrets: `secrets` belongs to a step with `task` or `run`: nothing else can be handed any/,
  ],
  [{ steps: { a: { ...SLEEP, with: { a: 1 } } } }, /^steps\.a\.with: `with` belongs to a step with `workflow`/],
  [{ steps: { a: { run: "x", files: { f: "x" } } } }, /^steps\.a\.files\.f: a file's path must be absolute/],
  [{ steps: { a: { run: "x", files: { "/../f": "x" } } } }, /^steps\.a\.files\./],
  [{ steps: { a: { run: long(49_153) } } }, /^steps\.a\.run: must be at most 49152 characters/],
  [{ steps: { a: { http: {} } } }, /^steps\.a\.http\.url: is missing/],
  [{ steps: { a: { http: { url: "u", method: "TRACE" } } } }, /^steps\.a\.http\.method: must be one of GET, HEAD/],
  [
    { steps: { a: { http: { url: "u", headers: { "a b": "x" } } } } },
    /^steps\.a\.http\.headers\.a b: not a header's name/,
  ],
  [{ steps: { a: { approval: {} } } }, /^steps\.a\.approval\.prompt: is missing/],
  [{ params: { p: { type: "list" } } }, /^params\.p\.type: must be one of string, number, boolean/],
  [{ params: { "a-b": {} } }, /^params\.a-b: not a name/],
  [{ schedule: {} }, /^schedule\.cron: is missing/],
  [{ schedule: { cron: "x", catchup: "some" } }, /^schedule\.catchup: must be one of none, latest, all/],
  [{ schedule: { cron: "x", overlap: "kill" } }, /^schedule\.overlap: must be one of skip, queue, replace/],
  [{ concurrency: { group: "g", limit: 0 } }, /^concurrency\.limit: must be at least 1/],
  [{ concurrency: { group: "g", onConflict: "wait" } }, /^concurrency\.onConflict: must be one of queue, cancel, fail/],
  [{ defaults: { env: {} } }, /^defaults\.env: unknown key `env`/],
  [{ finally: [{ ...SLEEP, needs: ["a"] }] }, /^finally\.0\.needs: unknown key `needs`/],
  [{ onFailure: SLEEP }, /^onFailure: must be an array/],
  [{ onFailure: [{}] }, /^onFailure\.0: a step needs one of/],
];
for (const [document, says] of REFUSED) {
  Deno.test(`workflowDocument refuses ${JSON.stringify(document).slice(0, 90)}`, () => {
    const [first, ...rest] = refusals(document);
    assert.match(first ?? "nothing", says);
    assert.deepEqual(rest, []);
  });
}

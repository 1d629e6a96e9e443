/** The JSON Schema for editors: it takes what the document takes, and refuses what an editor can know to be wrong. */
import assert from "node:assert/strict";
import { z } from "zod";
import { parse } from "yaml";
import { serviceDocument } from "../../../lib/core/documents/service.ts";
import { taskDocument } from "../../../lib/core/documents/task.ts";
import { workflowDocument } from "../../../lib/core/documents/workflow.ts";
import { workflowJsonSchema } from "../../../lib/core/documents/workflow_schema.ts";

const schema = JSON.parse(JSON.stringify(workflowJsonSchema()));
// Zod reads `anyOf` beside `properties` as an intersection, which lets unknown keys pass: it is looked at by itself below.
const withoutActions = structuredClone(schema);
for (const step of ["step", "closingStep"]) delete withoutActions.definitions[step].anyOf;
const judge = z.fromJSONSchema(withoutActions);

function accepts(text: string): boolean {
  return judge.safeParse(parse(text)).success;
}

const STEP = (keys: string) => `name: w\nsteps:\n  a: { ${keys} }`;

const TAKEN: readonly string[] = [
  STEP("sleep: 1s"),
  STEP("task: { image: i }, needs: [b, { step: b, condition: healthy }]"),
  STEP(
    'task: { image: "test:${{ matrix.os }}", cpu: "${{ params.cpu }}", memory: 64MiB }, matrix: { os: [a, 1, true], include: [{ os: b }] }',
  ),
  STEP(
    'task: { image: i, ports: ["${{ params.port }}"], health: { http: /up, retries: "${{ params.n }}" }, pull: "${{ params.pull }}" }',
  ),
  STEP("task: { image: i, health: { http: /up, interval: 1s } }"),
  STEP('task: { image: i, grace: "${{ params.g }}", health: { tcp: 1, interval: "${{ params.g }}" } }'),
  STEP(
    'rollout: { service: web, replicas: 3, task: { image: "i:${{ params.v }}" }, ports: ["80", 81], update: { strategy: canary, canary: 10%, maxParallel: 2, monitor: 5s } }',
  ),
  STEP(
    'rollout: { service: "web-${{ params.e }}", replicas: "${{ params.n }}", task: { image: i }, update: { maxParallel: "${{ params.n }}%", monitor: "${{ params.m }}", autoRevert: "${{ params.r }}" } }',
  ),
  STEP(
    'rollout: { service: web, task: { image: i }, update: { analysis: { interval: 5s, http: { url: "http://${{ address }}", expect: status == 200 } } } }',
  ),
  STEP("run: x, files: { /f: { from: f } }, timeout: 1m30s, retry: { limit: 1, delay: 1s }"),
  "name: w\nsteps: { a: { sleep: 1s } }\nfinally: [{ id: z, run: x }]\nonFailure: [{ run: x }]",
  'name: w\nschedule: { cron: "0 3 * * *", catchupWindow: 6h }\nsecrets: { S: { file: /s } }\nsteps: { a: { sleep: 1s } }',
];
for (const text of TAKEN) {
  Deno.test(`workflowJsonSchema() takes ${text.replaceAll("\n", " ").slice(0, 100)}`, () => {
    assert.ok(accepts(text), JSON.stringify(judge.safeParse(parse(text)).error?.issues));
  });
}

const REFUSED: readonly string[] = [
  "steps: { a: { sleep: 1s } }",
  "name: w\nsteps: {}",
  "name: w\nstep: { a: { sleep: 1s } }",
  "name: w\nsteps: { 1a: { sleep: 1s } }",
  STEP("need: [b], sleep: 1s"),
  STEP("sleep: 1s, timeout: 5"),
  STEP("sleep: 1s, timeout: soon"),
  STEP("sleep: 1s, matrix: { os: x }"),
  STEP("sleep: 1s, onCrash: wait"),
  STEP("task: { image: i, memry: 1MiB }"),
  STEP("task: { image: i, cpu: much }"),
  STEP("task: { image: i, pull: sometimes }"),
  STEP("task: { image: i, health: { http: /up, interval: 5 } }"),
  "name: w\nsteps: { a: { sleep: 1s } }\nfinally: [{ needs: [a], run: x }]",
  STEP("rollout: { name: web, task: { image: i } }"),
  STEP("rollout: { service: web }"),
  STEP("rollout: { service: web, task: { image: i }, update: { maxparallel: 1 } }"),
  STEP("rollout: { service: web, task: { image: i }, update: { strategy: slow } }"),
  STEP("rollout: { service: web, task: { image: i }, update: { monitor: 5 } }"),
  STEP("rollout: { service: web, task: { imge: i } }"),
];
for (const text of REFUSED) {
  Deno.test(`workflowJsonSchema() refuses ${text.replaceAll("\n", " ").slice(0, 100)}`, () =>
    assert.ok(!accepts(text)));
}

Deno.test("workflowJsonSchema() has every key of the documents, each with a description at the upper levels", () => {
  const keysOf = (document: z.ZodType) =>
    Object.keys((document as unknown as { in: { shape: object } }).in.shape).sort();
  assert.deepEqual(Object.keys(schema.properties).sort(), keysOf(workflowDocument));
  assert.deepEqual(Object.keys(schema.definitions.task.properties).sort(), keysOf(taskDocument));
  const serviceKeys = keysOf(serviceDocument).map((key) => key === "name" ? "service" : key).sort();
  assert.deepEqual(Object.keys(schema.definitions.service.properties).sort(), serviceKeys);
  for (const level of [schema, schema.definitions.step, schema.definitions.closingStep]) {
    const bare = Object.entries(level.properties as Record<string, { description?: string }>)
      .filter(([key, each]) => !each.description && key !== "id").map(([key]) => key);
    assert.deepEqual(bare, []);
  }
});

Deno.test("workflowJsonSchema() is of draft 7, and every reference leads somewhere", () => {
  assert.match(schema.$schema, /draft-07/);
  const references = [...JSON.stringify(schema).matchAll(/"\$ref":"#\/definitions\/(\w+)"/g)].map(([, name]) => name);
  assert.ok(references.length >= 4);
  for (const name of references) assert.ok(schema.definitions[name], name);
});

Deno.test("workflowJsonSchema() asks for one of the actions that a step may have", () => {
  const actions = ["task", "run", "http", "approval", "sleep", "workflow", "rollout"].map((action) => ({
    required: [action],
  }));
  assert.deepEqual(schema.definitions.step.anyOf, actions);
  assert.deepEqual(schema.definitions.closingStep.anyOf, actions);
  for (const { required: [action] } of actions) assert.ok(schema.definitions.step.properties[action], action);
});

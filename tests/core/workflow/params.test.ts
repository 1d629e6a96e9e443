/** resolveParams(): texts of a command line and values of a document become what a run is given. */
import assert from "node:assert/strict";
import type { ParamSpec, Scalar } from "../../../lib/core/documents/workflow.ts";
import { workflowDocument } from "../../../lib/core/documents/workflow.ts";
import { resolveParams } from "../../../lib/core/workflow/params.ts";

function specsOf(params: Record<string, unknown>): Readonly<Record<string, ParamSpec>> {
  return workflowDocument.parse({ name: "w", params, steps: { a: { sleep: "1s" } } }).params;
}

const SPECS = specsOf({
  version: { required: true, pattern: "^v\\d" },
  env: { enum: ["staging", "prod"], default: "staging" },
  shards: { type: "number", default: 4 },
  force: { type: "boolean", default: false },
  note: {},
  level: { type: "number", enum: [1, 2] },
});
const REST = { env: "staging", shards: 4, force: false, note: null, level: null };

const GIVEN: readonly (readonly [string, Record<string, Scalar>, Record<string, unknown>])[] = [
  ["defaults, and null without one", { version: "v1" }, { ...REST, version: "v1" }],
  ["texts of numbers and booleans", { version: "v1", shards: "8", force: "true" }, {
    ...REST,
    version: "v1",
    shards: 8,
    force: true,
  }],
  ["numbers and booleans as texts", { version: "v1", note: 42, env: "prod" }, {
    ...REST,
    version: "v1",
    note: "42",
    env: "prod",
  }],
  ["a pattern that a part matches", { version: "v1.2.3" }, { ...REST, version: "v1.2.3" }],
  ["a number of an enum", { version: "v1", level: "2" }, { ...REST, version: "v1", level: 2 }],
  ["an empty text", { version: "v1", note: "" }, { ...REST, version: "v1", note: "" }],
];
for (const [name, given, params] of GIVEN) {
  Deno.test(`resolveParams() takes ${name}`, () => {
    assert.deepEqual(resolveParams(SPECS, given), { kind: "params", params });
  });
}

const REFUSED: readonly (readonly [string, Record<string, Scalar>, readonly string[]])[] = [
  ["what is missing", {}, ["version is required"]],
  ["what there is not", { version: "v1", shrads: 8 }, ["shrads unknown parameter; did you mean `shards`?"]],
  ["what does not match", { version: "1" }, ["version must match ^v\\d"]],
  ["what is none of the enum", { version: "v1", env: "dev" }, ["env must be one of staging, prod"]],
  ["what is no number", { version: "v1", shards: "many" }, ["shards must be a number"]],
  ["an empty number", { version: "v1", shards: "" }, ["shards must be a number"]],
  ["a number that is none", { version: "v1", shards: "Infinity" }, ["shards must be a number"]],
  ["a boolean for a number", { version: "v1", shards: true }, ["shards must be a number"]],
  ["what is no boolean", { version: "v1", force: "yes" }, ["force must be a boolean"]],
  ["a number for a boolean", { version: "v1", force: 1 }, ["force must be a boolean"]],
  ["everything at once", { env: "x", shards: "y" }, [
    "version is required",
    "env must be one of staging, prod",
    "shards must be a number",
  ]],
];
for (const [name, given, problems] of REFUSED) {
  Deno.test(`resolveParams() refuses ${name}`, () => {
    const result = resolveParams(SPECS, given);
    assert.equal(result.kind, "problems");
    if (result.kind !== "problems") return;
    assert.deepEqual(result.problems.map(({ name, detail }) => `${name} ${detail}`), problems);
  });
}

Deno.test("resolveParams() refuses a value where the pattern is none, and does not throw", () => {
  const result = resolveParams(specsOf({ p: { pattern: "(" } }), { p: "x" });
  assert.equal(result.kind, "problems");
  assert.match(
    result.kind === "problems" ? result.problems[0].detail : "",
    /^cannot be judged: its `pattern` is not a regular/,
  );
});

Deno.test("resolveParams() takes names of Object's own for what they are", () => {
  assert.equal(resolveParams({}, { toString: "x" }).kind, "problems");
  assert.deepEqual(resolveParams(specsOf({ valueOf: {} }), {}), { kind: "params", params: { valueOf: null } });
});

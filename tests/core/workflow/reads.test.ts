/** readsIn() and referencesIn(): what an expression reads, and what it has made sure of first. */
import assert from "node:assert/strict";
import { compileExpression } from "../../../lib/core/workflow/expression.ts";
import { readsIn } from "../../../lib/core/workflow/reads.ts";
import { referencesIn } from "../../../lib/core/workflow/syntax.ts";

function astOf(source: string) {
  const compiled = compileExpression(source, "step");
  if (compiled.kind === "problem") assert.fail(`${source}: ${compiled.detail}`);
  return compiled.expression.ast;
}

/** Each as `path`, with ? where it may be missing, + where its step succeeded, ~ where it was not skipped. */
const READS: readonly (readonly [string, string])[] = [
  ["params.x", "params.x"],
  ["params['x'].y", "params.x.y"],
  ["steps.a.outputs.b", "steps.a.outputs.b"],
  ["steps.a.outputs.?b", "steps.a.outputs.b?"],
  ["steps.?a.outputs.b", "steps.a.outputs.b?"],
  ["steps[?'a'].outputs", "steps.a.outputs?"],
  ["has(steps.a.outputs.b)", "steps.a.outputs.b?"],
  [
    "has(steps.a.outputs.b) ? steps.a.outputs.b : steps.a.outputs.c",
    "steps.a.outputs.b? steps.a.outputs.b? steps.a.outputs.c",
  ],
  ["has(steps.a.outputs.b) ? 1 : steps.a.outputs.b", "steps.a.outputs.b? steps.a.outputs.b"],
  ["!has(steps.a.outputs.b) ? 1 : steps.a.outputs.b", "steps.a.outputs.b? steps.a.outputs.b?"],
  ["has(steps.a.outputs.b.c) && steps.a.outputs.b == 1", "steps.a.outputs.b.c? steps.a.outputs.b?"],
  ["has(steps.a.outputs.b) && steps.a.outputs.b.c == 1", "steps.a.outputs.b? steps.a.outputs.b.c"],
  ["steps.a.outputs.b == 1 && has(steps.a.outputs.b)", "steps.a.outputs.b? steps.a.outputs.b?"],
  ["has(steps.a.outputs.b) || steps.a.outputs.b == 1", "steps.a.outputs.b? steps.a.outputs.b"],
  ["!has(steps.a.outputs.b) || steps.a.outputs.b == 1", "steps.a.outputs.b? steps.a.outputs.b?"],
  ["succeeded('a') && steps.a.outputs.b == 1", "steps.a.outputs.b+"],
  ["succeeded('a') ? steps.a.outputs.b : 1", "steps.a.outputs.b+"],
  ["succeeded('a') ? 1 : steps.a.outputs.b", "steps.a.outputs.b"],
  ["failed('a') ? 1 : steps.a.outputs.b", "steps.a.outputs.b"],
  ["skipped('a') ? 1 : steps.a.outputs.b", "steps.a.outputs.b~"],
  ["!skipped('a') && steps.a.outputs.b == 1", "steps.a.outputs.b~"],
  ["steps.a.state == 'succeeded' && steps.a.outputs.b == 1", "steps.a.state steps.a.outputs.b+"],
  ["'succeeded' != steps.a.outcome ? 1 : steps.a.outputs.b", "steps.a.outcome steps.a.outputs.b+"],
  ["steps.a.state != 'skipped' && steps.a.outputs.b == 1", "steps.a.state steps.a.outputs.b~"],
  ["steps.a.state == 'failed' && steps.a.outputs.b == 1", "steps.a.state steps.a.outputs.b"],
  ["(succeeded('a') && succeeded('c')) && steps.a.outputs.b == 1", "steps.a.outputs.b+"],
  ["(succeeded('a') || succeeded('c')) && steps.a.outputs.b == 1", "steps.a.outputs.b"],
  ["succeeded('c') && steps.a.outputs.b == 1", "steps.a.outputs.b"],
  ["steps[params.x].state", "steps params.x"],
  ["steps.a.outputs[params.x]", "steps.a.outputs params.x"],
  ["item.map(params, params.x)", "item"],
  ["params.l.map(x, x + params.y)", "params.l params.y"],
  ["params.x.map(params, params).size() + params.y", "params.x params.y"],
  ["item.exists(x, has(x.y))", "item"],
  ["{'steps': env.A}['steps']", "env.A"],
];
for (const [source, reads] of READS) {
  Deno.test(`readsIn() ${source}`, () => {
    const told = readsIn(astOf(source)).map(({ root, keys, guarded, succeeded, notSkipped, offset }) => {
      assert.ok(source.startsWith(root, offset), `${root} at ${offset}`);
      const mark = guarded ? "?" : succeeded.has(keys[0]) ? "+" : notSkipped.has(keys[0]) ? "~" : "";
      return [root, ...keys].join(".") + mark;
    });
    assert.equal(told.join(" "), reads);
  });
}

Deno.test("referencesIn() tells names, params, matrix and steps, status functions among them", () => {
  const references = referencesIn(
    astOf("params.p == matrix.m && failed('a') && success() && steps.b.outputs.?c.hasValue()"),
  );
  assert.deepEqual([...references.names].sort(), ["matrix", "params", "status", "steps"]);
  assert.deepEqual([[...references.params], [...references.matrix]], [["p"], ["m"]]);
  assert.deepEqual(references.steps.map(({ offset: _, ...rest }) => rest), [
    { step: "b", field: "outputs", output: "c", guarded: true },
    { step: "a", field: "state", output: null, guarded: true },
  ]);
});

Deno.test("referencesIn() tells that steps are named only when it is evaluated", () => {
  assert.deepEqual(referencesIn(astOf("steps.exists(s, steps[s].state == 'failed')")).steps.map(({ step }) => step), [
    null,
    null,
  ]);
});

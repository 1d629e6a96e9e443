/** Expressions: what they may say, what they give back, and that nothing in them runs for ever or reaches out. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { compileExpression, LIST_ITEMS_MAX, textOf } from "../../../lib/core/workflow/expression.ts";
import type { ScopeKind, Value } from "../../../lib/core/workflow/expression.ts";
import { WORK_MAX } from "../../../lib/core/workflow/work.ts";

type Values = Readonly<Record<string, Value>>;

const EVERYTHING: Values = {
  params: { env: "prod", count: 3, half: 1.5, flag: true, nothing: null },
  env: { APP: "web" },
  matrix: { os: "alpine" },
  item: { name: "x", tags: ["a", "b"] },
  run: { id: "deploy-1", workflow: "deploy" },
  attempt: 2,
  steps: {
    build: { state: "succeeded", outcome: "succeeded", outputs: { digest: "abc", list: [1, 2, 3] } },
    test: { state: "failed", outcome: "timedOut", outputs: {} },
    lint: { state: "upstreamFailed", outcome: "upstreamFailed", outputs: {} },
    docs: { state: "skipped", outcome: "skipped", outputs: {} },
  },
  status: { success: false, failure: true, always: true },
  stdout: '{"digest":"abc"}',
  stderr: "",
  exitCode: 0,
};

function evaluate(source: string, kind: ScopeKind = "step", values: Values = {}): Value {
  const compiled = compileExpression(source, kind);
  if (compiled.kind === "problem") assert.fail(`${source}: ${compiled.detail}`);
  const result = compiled.expression.evaluate({ ...EVERYTHING, ...values });
  if (result.kind === "failed") throw new Error(result.detail);
  return result.value;
}

const VALUES: readonly (readonly [string, Value, ScopeKind?])[] = [
  ["params.env == 'prod'", true],
  ["params.count + 1", 4],
  ["params.count / 2", 1],
  ["params.count > 2.5", true],
  ["params.half + 1.0", 2.5],
  ["params.nothing == null", true],
  ["'v' + string(params.count)", "v3"],
  ["matrix.?slow.orValue(false)", false],
  ["has(matrix.slow) ? matrix.slow : 'no'", "no"],
  ["item.tags.map(t, t + '!')", ["a!", "b!"]],
  ["item.tags.filter(t, t != 'a')", ["b"]],
  ["'a' in item.tags", true],
  ["steps.build.outputs.list.exists(n, n > 2)", true],
  ['steps["build"].outputs.digest', "abc"],
  ["{'a': [1, 2.5, null], 'b': true}", { a: [1, 2.5, null], b: true }],
  ["env.APP + '-' + run.id", "web-deploy-1"],
  ["attempt", 2],
  ["fromJSON(stdout).digest", "abc", "outputs"],
  ["toJSON({'n': 1, 'l': ['x']})", '{"n":1,"l":["x"]}'],
  ["fromJSON('[1, 2.5, \"x\", null]')", [1, 2.5, "x", null]],
  ["'a,b'.split(',').join('-')", "a-b"],
  ["size(stdout)", 16, "outputs"],
  ["exitCode == 0 && stdout.startsWith('{')", true, "outputs"],
  ['fromJSON(\'{"constructor": {"name": 1}}\').constructor.name', 1],
  ["fromJSON('{\"a\": 1, \"b\": 2}') == {'b': 2, 'a': 1}", true],
  ['fromJSON(\'{"b": 1, "a": 2}\').map(key, key)', ["b", "a"]],
  ["'v1.2'.matches('^v\\\\d')", true],
  ["'x'.matches('^v\\\\d')", false],
];
for (const [source, value, kind] of VALUES) {
  Deno.test(`evaluate() ${source}`, () => assert.deepEqual(evaluate(source, kind), value));
}

const STATUS: readonly (readonly [string, boolean])[] = [
  ["success()", false],
  ["failure()", true],
  ["always()", true],
  ["!success() && failure()", true],
  ["succeeded('build')", true],
  ["succeeded('test')", false],
  ["succeeded('docs')", false],
  ["failed('build')", false],
  ["failed('test')", true],
  ["failed('lint')", true],
  ["failed('docs')", false],
  ["skipped('docs')", true],
  ["skipped('build')", false],
  ["succeeded('nobody')", false],
  ["skipped('docs') ? failed('test') : false", true],
];
for (const [source, value] of STATUS) {
  Deno.test(`evaluate() ${source} is ${value}`, () => assert.equal(evaluate(source), value));
}

const REFUSED: readonly (readonly [string, RegExp, number, ScopeKind?])[] = [
  ["1 +", /Unexpected token/, 3],
  ["stdout", /Unknown variable: stdout/, 0],
  ["steps.a.outputs.b == 1", /Unknown variable: steps/, 0, "retry"],
  ["params.env == 'x' && nme", /Unknown variable: nme/, 21],
  ["failed('a') && nme", /Unknown variable: nme/, 15],
  ["success() && success() && nme", /Unknown variable: nme/, 26],
  ["'a' + 1", /no such overload: string \+ int/, 0],
  ["foo(1)", /no matching overload for 'foo\(int\)'/, 0],
  ["failed(params.env)", /no matching overload for 'failed/, 0],
  ["'x'.matches('(')", /not a regular expression/, 12],
  ["'x'.matches('(?=x)')", /not a regular expression/, 12],
  ["'x'.matches(1)", /'string.matches\(int\)'/, 0],
  ["cel.bind(x, 1, x)", /cel\.bind is not available/, 0],
  ["[1].map(a, [1].map(b, [1].map(c, [1].map(d, [1].map(e, 1)))))", /more than 4 loops/, 44],
  [`${"[".repeat(60)}${"]".repeat(60)}`, /maxDepth/, 0],
  [Array(600).fill("1").join("+"), /maxAstNodes/, 0],
];
for (const [source, says, offset, kind] of REFUSED) {
  Deno.test(`compileExpression() refuses ${source.slice(0, 60)}`, () => {
    const compiled = compileExpression(source, kind ?? "step");
    assert.equal(compiled.kind, "problem");
    if (compiled.kind !== "problem") return;
    assert.match(compiled.detail, says);
    if (offset > 0) assert.equal(compiled.offset, offset);
  });
}

Deno.test("compileExpression() knows the types of params where they are given", () => {
  const types = { name: "string", count: "number", flag: "boolean" } as const;
  const problem = (source: string) => {
    const compiled = compileExpression(source, "step", types);
    return compiled.kind === "problem" ? compiled.detail : undefined;
  };
  assert.match(problem("params.name == 1") ?? "", /string == int/);
  assert.match(problem("params.flag && params.name") ?? "", /requires bool/);
  assert.match(problem("params.nme") ?? "", /No such key: nme/);
  for (const fine of ["params.name + 'x'", "params.count > 1.5", "params.count > 1", "!params.flag"]) {
    assert.equal(problem(fine), undefined, fine);
  }
});

const LONG = Array.from({ length: LIST_ITEMS_MAX }, (_, index) => index);
const sum = (count: number) => Array(count).fill("x").join("+");

/** Each would take minutes, years, or all memory. */
const ENDLESS: readonly (readonly [string, Values?])[] = [
  ["item.map(a, item.map(b, item.map(c, item.map(d, a)))).size()"],
  ["item.exists(a, item.exists(b, item.exists(c, item.exists(d, a + b + c + d == -1))))"],
  ["item.all(a, item.exists(b, item.exists_one(c, c == a)))"],
  [`[item].map(x, ${sum(90)}).map(x, ${sum(90)}).map(x, ${sum(90)}).size()`],
  [`[stdout].map(x, ${sum(90)}).map(x, ${sum(90)}).map(x, ${sum(90)}).map(x, ${sum(90)})`, {
    stdout: "a".repeat(65_536),
  }],
  [`${Array(150).fill("stdout.split('')").join("+")} == []`, { stdout: "a".repeat(65_536) }],
  ["item.map(a, item.map(b, toJSON(item))).size()"],
  ["item.map(a, item == item).size()"],
  ["item.map(a, stdout.matches('^(a?){400}$')).size()", { stdout: "a".repeat(65_536) }],
];
for (const [source, values] of ENDLESS) {
  Deno.test(`evaluate() gives up on ${source.slice(0, 70)}`, () => {
    assert.throws(() => evaluate(source, "outputs", { item: LONG, ...values }), /does too much|too large/);
  });
}

Deno.test("evaluate() gives up when a loop has swallowed that it was too much", () => {
  const source = "item.exists(a, a == 1999 || item.all(b, item.all(c, b + c >= 0)))";
  assert.throws(() => evaluate(source, "step", { item: LONG }), /does too much/);
});

Deno.test("evaluate() has work enough for what people write", () => {
  assert.equal(
    evaluate("item.filter(a, a % 2 == 0 && a > 100).map(a, string(a) + '-x').size()", "step", { item: LONG }),
    949,
  );
  assert.equal(evaluate("size(item.filter(a, a in item))", "step", { item: LONG }), LIST_ITEMS_MAX);
  assert.equal(evaluate("stdout.split('\\n').size()", "outputs", { stdout: "line\n".repeat(13_000) }), 13_001);
  assert.ok(WORK_MAX > 0);
});

const CATASTROPHIC = "a".repeat(40) + "b";
for (
  const source of [
    "stdout.matches('(a+)+$')",
    "stdout // matches \n .matches('(a+)+$')",
    "(stdout).matches('(a+)+$')",
    "[stdout].exists(x, x.matches('(a+)+$'))",
    "has(matrix.os) && stdout.matches('(a+)+$')",
    "fromJSON(toJSON([stdout]))[0].matches('(a+)+$')",
  ]
) {
  // JavaScript's own would take 2^40 steps.
  Deno.test(`evaluate() is not caught by a pattern that backtracks: ${source.replace("\n", " ")}`, () => {
    assert.equal(evaluate(source, "outputs", { stdout: CATASTROPHIC }), false);
  });
}

for (
  const source of [
    "steps.constructor",
    "steps.__proto__",
    "steps.toString",
    "steps['constructor']",
    "run.constructor.constructor",
    "steps.build.hasOwnProperty",
    'fromJSON(\'{"__proto__": {"x": 1}}\').x',
    "fromJSON('{\"constructor\": 1}').__proto__",
  ]
) {
  Deno.test(`evaluate() finds nothing behind ${source}`, () => {
    assert.throws(() => evaluate(source), /No such key/);
  });
}

Deno.test("evaluate() keeps a key named __proto__ as a key", () => {
  const value = evaluate('fromJSON(\'{"__proto__": {"x": 1}}\')');
  assert.deepEqual(Object.keys(value as object), ["__proto__"]);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
});

const FAILS: readonly (readonly [string, RegExp, Values?])[] = [
  ["1 / 0", /division by zero/],
  ["1.0 / 0.0", /Infinity, which is no number/],
  ["9223372036854775807 + 1", /integer overflow/],
  ["int('9007199254740993')", /too large for a number; make it a text/],
  ["steps.test.outputs.x", /No such key: x/],
  ["fromJSON('{')", /fromJSON: not JSON: "\{"/],
  ["timestamp('2026-01-01T00:00:00Z')", /must be a text, number/],
  ["optional.none()", /must be a text, number/],
  ["item.size()", /a list of 2001 items; at most 2000/, { item: [...LONG, 1] }],
  ["fromJSON(item)", /Maximum call stack/, { item: "[".repeat(30_000) + "]".repeat(30_000) }],
];
for (const [source, says, values] of FAILS) {
  Deno.test(`evaluate() fails in words: ${source}`, () => assert.throws(() => evaluate(source, "step", values), says));
}

const json: fc.Arbitrary<Value> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.string(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 5 }),
  ),
})).value as fc.Arbitrary<Value>;

Deno.test("evaluate() gives back every value of JSON as it came", () => {
  fc.assert(fc.property(json, (value) => assert.deepEqual(evaluate("item", "step", { item: value }), plain(value))));
});

Deno.test("fromJSON(toJSON(x)) is x", () => {
  fc.assert(
    fc.property(
      json,
      (value) => assert.deepEqual(evaluate("fromJSON(toJSON(item))", "step", { item: value }), plain(value)),
    ),
  );
});

/** With ordinary prototypes: fast-check makes some objects without one. */
function plain(value: Value): Value {
  return JSON.parse(JSON.stringify(value));
}

Deno.test("compile and evaluate end without throwing, whatever is written", () => {
  const words =
    "params steps item stdout . .? [ ] ( ) { } , : ? ! - + * / % == != < in && || 'a' 1 2.5 true null has( size( map( x"
      .split(" ");
  const texts = fc.oneof(
    fc.array(fc.constantFrom(...words), { maxLength: 25 }).map((parts) => parts.join(" ")),
    fc.string({ maxLength: 40 }),
  );
  fc.assert(
    fc.property(texts, json, (source, item) => {
      const compiled = compileExpression(source, "outputs");
      if (compiled.kind === "problem") {
        assert.ok(compiled.offset >= 0 && compiled.offset <= source.length, `${compiled.offset} in ${source}`);
        return;
      }
      const before = JSON.stringify(item);
      const values = { ...EVERYTHING, item };
      const [once, again] = [compiled.expression.evaluate(values), compiled.expression.evaluate(values)];
      assert.deepEqual(once, again);
      assert.equal(JSON.stringify(item), before);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("textOf() writes values as they stand in the middle of a text", () => {
  assert.deepEqual([null, "x", 1.5, true, [1, "a"], { a: null }].map(textOf), [
    "",
    "x",
    "1.5",
    "true",
    '[1,"a"]',
    '{"a":null}',
  ]);
});

/**
 * Expressions are CEL with what workflows add: status functions, fromJSON and toJSON, and regular expressions in RE2's
 * syntax, which cannot run away. Owns compiling, checking and evaluating; which names stand for what is told by a scope.
 *
 * 1. Total: every evaluation ends, and soon. An expression is bounded in size and depth, lists in length, and all of it in
 *    the work that it does (work.ts).
 * 2. Free of side effects; the same values give the same answer.
 * 3. Whole numbers of documents are CEL's int, others double; both come back as numbers.
 */
import { Environment } from "@marcbachmann/cel-js";
import type { ASTNode } from "@marcbachmann/cel-js";
import { createRewriter } from "./syntax.ts";
import { matchesRe2, patternProblem } from "./pattern.ts";
import { nodesOf } from "./syntax_tree.ts";
import { meter, withinWork } from "./work.ts";

/** What expressions take and give: JSON's values. */
export type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value };

/**
 * step     what a step may know before it starts: params, env, matrix, item, steps, run, attempt, status functions
 * outputs  a step and what it has printed: besides stdout, stderr, exitCode; of an answer status, headers, body
 * retry    a failed attempt: params, matrix, item, exitCode, outcome, attempt, stdout, stderr, status, headers, body
 * expect   an answer: status, headers, body, and params, env, matrix, item, steps
 * measure  of a rollout's analysis: address, slot, revision, service in the request, status, headers, body of the answer
 * run      before anything has run: params, run
 */
export type ScopeKind = "step" | "outputs" | "retry" | "expect" | "run" | "measure";

export interface Expression {
  readonly source: string;
  readonly ast: ASTNode;
  /** `values` has an entry for each name of the scope that the expression uses. */
  evaluate(values: Readonly<Record<string, Value>>): Evaluation;
}

export type Evaluation =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "failed"; readonly detail: string };

export type Compiled =
  | { readonly kind: "expression"; readonly expression: Expression; readonly type: string }
  /** `offset` counts from the beginning of the source. `ast` undefined: it is no expression at all. */
  | { readonly kind: "problem"; readonly detail: string; readonly offset: number; readonly ast?: ASTNode };

/** Items of a list that comes into an expression or out of fromJSON. */
export const LIST_ITEMS_MAX = 2_000;
const LOOPS_MAX = 4;
const LIMITS = { maxAstNodes: 1_000, maxDepth: 50, maxListElements: 1_000, maxMapEntries: 1_000, maxCallArguments: 16 };

/** Compiles in the scope of `kind`; `paramTypes` gives params their types, otherwise they may be anything. */
export function compileExpression(
  source: string,
  kind: ScopeKind,
  paramTypes?: Readonly<Record<string, "string" | "number" | "boolean">>,
): Compiled {
  const environment = paramTypes ? typedEnvironment(kind, paramTypes) : environmentOf(kind);
  let originalOffset = (offset: number) => offset;
  let ast: ASTNode | undefined;
  try {
    const parsed = environment.parse(source);
    ast = parsed.ast;
    const forbidden = forbiddenIn(parsed.ast);
    if (forbidden) return { kind: "problem", ...forbidden };
    const rewriter = createRewriter(source, parsed.ast);
    originalOffset = rewriter.originalOffset;
    const program = environment.parse(rewriter.text);
    useRe2(program.ast);
    const check = program.check();
    if (!check.valid) throw check.error;
    meter(program.ast);
    return {
      kind: "expression",
      type: String(check.type),
      expression: { source, ast: parsed.ast, evaluate: (values) => evaluate(program, values) },
    };
  } catch (error) {
    const { summary, message, range } = error as { summary?: string; message: string; range?: { start: number } };
    const offset = originalOffset(range?.start ?? 0);
    const detail = (summary ?? message).replaceAll(MATCHES_RE2, "matches");
    return { kind: "problem", detail, offset, ...(ast && { ast }) };
  }
}

const MATCHES_RE2 = "matchesRe2";

/** `matches` is JavaScript's, which can be made to run for ever. Changed in the tree: a text may hide the word in a comment. */
function useRe2(ast: ASTNode): void {
  for (const node of nodesOf(ast)) {
    if (node.op === "rcall" && node.args[0] === "matches") (node.args as [string, ...unknown[]])[0] = MATCHES_RE2;
  }
}

function evaluate(
  program: (context: Record<string, unknown>) => unknown,
  values: Readonly<Record<string, Value>>,
): Evaluation {
  const context: Record<string, unknown> = {};
  try {
    for (const [name, value] of Object.entries(values)) context[name] = toCel(value);
    return { kind: "value", value: fromCel(withinWork(() => program(context))) };
  } catch (error) {
    return { kind: "failed", detail: (error as { summary?: string }).summary ?? (error as Error).message };
  }
}

const LOOPS: ReadonlySet<string> = new Set(["map", "filter", "all", "exists", "exists_one"]);

function forbiddenIn(ast: ASTNode): { readonly detail: string; readonly offset: number } | undefined {
  let loops = 0;
  for (const node of nodesOf(ast)) {
    if (node.op !== "rcall") continue;
    const [name, receiver, args] = node.args;
    if (receiver.op === "id" && receiver.args === "cel") {
      return { detail: `cel.${name} is not available`, offset: node.range.start };
    }
    if (LOOPS.has(name) && ++loops > LOOPS_MAX) {
      return { detail: `more than ${LOOPS_MAX} loops in one expression`, offset: node.range.start };
    }
    const pattern = name === "matches" && args.length === 1 && args[0].op === "value" ? args[0].args : undefined;
    const problem = typeof pattern === "string" ? patternProblem(pattern) : undefined;
    if (problem) return { detail: problem, offset: args[0].range.start };
  }
}

/** Text as it stands in the middle of others: texts as they are, nothing for null, JSON for lists and maps. */
export function textOf(value: Value): string {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const NAMES: Readonly<Record<ScopeKind, Readonly<Record<string, string>>>> = {
  run: { run: "map" },
  step: { env: "map", matrix: "map", item: "dyn", steps: "map", run: "map", attempt: "int", status: "map" },
  outputs: {
    env: "map",
    matrix: "map",
    item: "dyn",
    steps: "map",
    run: "map",
    attempt: "int",
    stdout: "string",
    stderr: "string",
    exitCode: "int",
    status: "int",
    headers: "map",
    body: "string",
  },
  retry: {
    matrix: "map",
    item: "dyn",
    run: "map",
    attempt: "int",
    exitCode: "int",
    outcome: "string",
    stdout: "string",
    stderr: "string",
    status: "int",
    headers: "map",
    body: "string",
  },
  expect: {
    env: "map",
    matrix: "map",
    item: "dyn",
    steps: "map",
    run: "map",
    attempt: "int",
    status: "int",
    headers: "map",
    body: "string",
  },
  measure: {
    address: "string",
    slot: "int",
    revision: "int",
    service: "string",
    status: "int",
    headers: "map",
    body: "string",
  },
};

/** Names that an expression of this kind may use, besides what functions add. */
export function namesOf(kind: ScopeKind): readonly string[] {
  return ["params", ...Object.keys(NAMES[kind])];
}

const environments = new Map<ScopeKind, Environment>();

function environmentOf(kind: ScopeKind): Environment {
  let environment = environments.get(kind);
  if (!environment) {
    environment = baseEnvironment(kind).registerVariable("params", "map");
    environments.set(kind, environment);
  }
  return environment;
}

const CEL_TYPES = { string: "string", boolean: "bool", number: "dyn" } as const;

/** By the object that names the types: a workflow has one for all its expressions. */
const typedEnvironments = new WeakMap<object, Map<ScopeKind, Environment>>();

function typedEnvironment(
  kind: ScopeKind,
  paramTypes: Readonly<Record<string, "string" | "number" | "boolean">>,
): Environment {
  let ofTypes = typedEnvironments.get(paramTypes);
  if (!ofTypes) typedEnvironments.set(paramTypes, ofTypes = new Map());
  let environment = ofTypes.get(kind);
  if (!environment) {
    const schema = Object.fromEntries(Object.entries(paramTypes).map(([name, type]) => [name, CEL_TYPES[type]]));
    ofTypes.set(kind, environment = baseEnvironment(kind).registerVariable({ name: "params", schema }));
  }
  return environment;
}

function baseEnvironment(kind: ScopeKind): Environment {
  const environment = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    limits: LIMITS,
  });
  for (const [name, type] of Object.entries(NAMES[kind])) environment.registerVariable(name, type);
  environment.registerFunction("fromJSON(string): dyn", (text: string) => toCel(parseJson(text)));
  environment.registerFunction("toJSON(dyn): string", (value: unknown) => JSON.stringify(fromCel(value)));
  environment.registerFunction(`string.${MATCHES_RE2}(string): bool`, matchesRe2);
  environment.registerFunction("stepIs(dyn, string, string): bool", stepIs);
  return environment;
}

function parseJson(text: string): Value {
  try {
    return JSON.parse(text);
  } catch {
    const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text;
    throw new Error(`fromJSON: not JSON: ${JSON.stringify(shown)}`);
  }
}

/** What `succeeded('x')`, `failed('x')` and `skipped('x')` ask. */
function stepIs(steps: unknown, id: string, what: string): boolean {
  const step = (steps as CelMap).get(id) as CelMap | undefined;
  const [state, outcome] = [step?.get("state"), step?.get("outcome")];
  if (what === "skipped") return state === "skipped";
  if (what === "succeeded") return outcome === "succeeded";
  return outcome === "failed" || outcome === "timedOut" || state === "upstreamFailed";
}

type CelMap = ReadonlyMap<string, unknown>;

/** Maps instead of objects: of an object with a key `constructor` the library takes the value for its type. */
function toCel(value: Value): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    if (value.length > LIST_ITEMS_MAX) throw new Error(`a list of ${value.length} items; at most ${LIST_ITEMS_MAX}`);
    return value.map(toCel);
  }
  return new Map(Object.entries(value).map(([key, each]) => [key, toCel(each)]));
}

function fromCel(value: unknown): Value {
  if (typeof value === "bigint") {
    if (Number.isSafeInteger(Number(value))) return Number(value);
    throw new Error(`the result is ${value}, which is too large for a number; make it a text with string()`);
  }
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new Error(`the result is ${value}, which is no number that can be kept`);
    return value;
  }
  if (Array.isArray(value)) return value.map(fromCel);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, each]) => [String(key), fromCel(each)]));
  if (typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value!).map(([key, each]) => [key, fromCel(each)]));
  }
  throw new Error("the result must be a text, number, boolean, list or map");
}

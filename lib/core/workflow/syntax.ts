/**
 * The syntax trees of expressions: walking them, what they refer to, and the small rewriting that turns what workflows
 * add to CEL into plain CEL.
 */
import type { ASTNode } from "@marcbachmann/cel-js";

/** The node and all below it, outermost first. */
export function* nodesOf(node: ASTNode): Generator<ASTNode> {
  yield node;
  yield* within(node.args);
}

function* within(args: unknown): Generator<ASTNode> {
  if (Array.isArray(args)) { for (const each of args) yield* within(each); }
  else if (typeof args === "object" && args !== null && "op" in args) yield* nodesOf(args as ASTNode);
}

const STATUS_OF_RUN: ReadonlySet<string> = new Set(["success", "failure", "always"]);
const STATUS_OF_STEP: ReadonlySet<string> = new Set(["succeeded", "failed", "skipped"]);

export interface StatusCall {
  readonly name: string;
  /** Null: a call without a step. Undefined: an argument that is no literal text. */
  readonly step: string | null | undefined;
  readonly offset: number;
}

/** Calls of `success()`, `failure()`, `always()`, `succeeded('x')`, `failed('x')` and `skipped('x')`. */
export function statusCallsIn(ast: ASTNode): StatusCall[] {
  return [...nodesOf(ast)].flatMap((node) => {
    const call = statusCallOf(node);
    return call ? [call] : [];
  });
}

function statusCallOf(node: ASTNode): StatusCall | undefined {
  if (node.op !== "call") return undefined;
  const [name, args] = node.args;
  const offset = node.range.start;
  if (STATUS_OF_RUN.has(name) && args.length === 0) return { name, step: null, offset };
  if (!STATUS_OF_STEP.has(name) || args.length !== 1) return undefined;
  return { name, step: literalText(args[0]), offset };
}

export interface References {
  readonly params: ReadonlySet<string>;
  readonly matrix: ReadonlySet<string>;
  /** All free names: `params`, `steps`, `stdout`... */
  readonly names: ReadonlySet<string>;
  readonly steps: readonly StepReference[];
}

/** One mention of a step. `output` null: not an output, or all of them. `guarded`: it may be missing. */
export interface StepReference {
  /** Null: `steps` is used other than by a literal name. */
  readonly step: string | null;
  readonly field: string | null;
  readonly output: string | null;
  readonly guarded: boolean;
  readonly offset: number;
}

export function referencesIn(ast: ASTNode): References {
  const params = new Set<string>();
  const matrix = new Set<string>();
  const names = new Set<string>();
  const steps: StepReference[] = [];
  const asked = new Set<string>();
  const visit = (node: ASTNode, guarded: boolean, bound: ReadonlySet<string>) => {
    const path = pathOf(node);
    if (path && !bound.has(path.root)) {
      names.add(path.root);
      if (path.root === "params" && path.keys.length > 0) params.add(path.keys[0]);
      if (path.root === "matrix" && path.keys.length > 0) matrix.add(path.keys[0]);
      if (path.root === "steps") {
        const [step = null, field = null, output = null] = path.keys;
        const isOutput = field === "outputs";
        if (guarded && isOutput && output !== null) asked.add(`${step}/${output}`);
        steps.push({
          step,
          field,
          output: isOutput ? output : null,
          guarded: guarded || path.optional,
          offset: node.range.start,
        });
      }
      return;
    }
    for (const status of node.op === "call" ? [statusCallOf(node)] : []) {
      if (status?.step != null) {
        names.add("steps");
        steps.push({ step: status.step, field: "state", output: null, guarded: true, offset: status.offset });
      } else if (status) names.add("status");
    }
    const isHas = node.op === "call" && node.args[0] === "has";
    const variable = loopVariableOf(node);
    for (const child of childrenOf(node)) {
      if (variable !== undefined && child.op === "id" && child.args === variable && child !== receiverOf(node)) {
        continue;
      }
      visit(child, isHas, variable !== undefined && child !== receiverOf(node) ? new Set([...bound, variable]) : bound);
    }
  };
  visit(ast, false, new Set());
  // `has(steps.a.outputs.b) ? steps.a.outputs.b : "x"` has asked before it reads.
  const settled = steps.map((s) => asked.has(`${s.step}/${s.output}`) ? { ...s, guarded: true } : s);
  return { params, matrix, names, steps: settled };
}

interface Path {
  readonly root: string;
  /** Literal keys after the root, as far as they go. */
  readonly keys: readonly string[];
  readonly optional: boolean;
}

/** `steps.a.outputs.b`, `steps["a"].?outputs`: a name and the keys that follow; undefined: something else. */
function pathOf(node: ASTNode): Path | undefined {
  if (node.op === "id") return { root: node.args, keys: [], optional: false };
  if (node.op === "." || node.op === ".?") {
    const below = pathOf(node.args[0]);
    return below && { ...below, keys: [...below.keys, node.args[1]], optional: below.optional || node.op === ".?" };
  }
  if (node.op === "[]" || node.op === "[?]") {
    const key = literalText(node.args[1]);
    const below = key === undefined ? undefined : pathOf(node.args[0]);
    return below && { ...below, keys: [...below.keys, key!], optional: below.optional || node.op === "[?]" };
  }
  return undefined;
}

function childrenOf(node: ASTNode): ASTNode[] {
  const children: ASTNode[] = [];
  const gather = (args: unknown): void => {
    if (Array.isArray(args)) args.forEach(gather);
    else if (typeof args === "object" && args !== null && "op" in args) children.push(args as ASTNode);
  };
  gather(node.args);
  return children;
}

const LOOPS: ReadonlySet<string> = new Set(["map", "filter", "all", "exists", "exists_one"]);

function loopVariableOf(node: ASTNode): string | undefined {
  if (node.op !== "rcall" || !LOOPS.has(node.args[0])) return undefined;
  const first = node.args[2][0];
  return first?.op === "id" ? first.args : undefined;
}

function receiverOf(node: ASTNode): ASTNode | undefined {
  return node.op === "rcall" ? node.args[1] : undefined;
}

function literalText(node: ASTNode): string | undefined {
  return node.op === "value" && typeof node.args === "string" ? node.args : undefined;
}

interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * `success()` becomes `status.success`, `failed('x')` becomes `stepIs(steps, 'x', 'failed')`, and `.matches(` becomes
 * `.matchesRe2(`. `originalOffset` leads from a place in the new text to the one it came from.
 */
export function createRewriter(
  source: string,
  ast: ASTNode,
): { readonly text: string; readonly originalOffset: (offset: number) => number } {
  const replacements = replacementsIn(source, ast);
  let text = "";
  let at = 0;
  const shifts: { readonly from: number; readonly original: number; readonly inside: boolean }[] = [];
  for (const { start, end, text: replacement } of replacements) {
    text += source.slice(at, start);
    shifts.push({ from: text.length, original: start, inside: true });
    text += replacement;
    shifts.push({ from: text.length, original: end, inside: false });
    at = end;
  }
  text += source.slice(at);
  return {
    text,
    originalOffset(offset) {
      const shift = shifts.findLast(({ from }) => from <= offset);
      if (!shift) return offset;
      return shift.inside ? shift.original : shift.original + offset - shift.from;
    },
  };
}

function replacementsIn(source: string, ast: ASTNode): Replacement[] {
  const found: Replacement[] = [];
  for (const node of nodesOf(ast)) {
    const status = statusCallOf(node);
    if (status && status.step !== undefined) {
      const text = status.step === null
        ? `status.${status.name}`
        : `stepIs(steps, ${JSON.stringify(status.step)}, "${status.name}")`;
      found.push({ start: node.range.start, end: node.range.end, text });
    } else if (node.op === "rcall" && node.args[0] === "matches") {
      const start = source.indexOf("matches", node.args[1].range.end);
      found.push({ start, end: start + "matches".length, text: "matchesRe2" });
    }
  }
  return found.sort((a, b) => a.start - b.start);
}

/** The syntax trees of expressions: walking them, and recognising the few forms of which workflows know more. */
import type { ASTNode } from "@marcbachmann/cel-js";

/** The node and all below it, outermost first. */
export function* nodesOf(node: ASTNode): Generator<ASTNode> {
  yield node;
  for (const child of childrenOf(node)) yield* nodesOf(child);
}

export function childrenOf(node: ASTNode): ASTNode[] {
  const children: ASTNode[] = [];
  const gather = (args: unknown): void => {
    if (Array.isArray(args)) args.forEach(gather);
    else if (typeof args === "object" && args !== null && "op" in args) children.push(args as ASTNode);
  };
  gather(node.args);
  return children;
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

export function statusCallOf(node: ASTNode): StatusCall | undefined {
  if (node.op !== "call") return undefined;
  const [name, args] = node.args;
  const offset = node.range.start;
  if (STATUS_OF_RUN.has(name) && args.length === 0) return { name, step: null, offset };
  if (!STATUS_OF_STEP.has(name) || args.length !== 1) return undefined;
  return { name, step: literalText(args[0]), offset };
}

const LOOPS: ReadonlySet<string> = new Set(["map", "filter", "all", "exists", "exists_one"]);

/** The variable that a loop such as `list.map(x, ...)` binds. */
export function loopVariableOf(node: ASTNode): string | undefined {
  if (node.op !== "rcall" || !LOOPS.has(node.args[0])) return undefined;
  const first = node.args[2][0];
  return first?.op === "id" ? first.args : undefined;
}

export function receiverOf(node: ASTNode): ASTNode | undefined {
  return node.op === "rcall" ? node.args[1] : undefined;
}

export function literalText(node: ASTNode): string | undefined {
  return node.op === "value" && typeof node.args === "string" ? node.args : undefined;
}

/** `a && b && c` in its parts. */
export function conjunctsOf(node: ASTNode): ASTNode[] {
  return node.op === "&&" ? node.args.flatMap(conjunctsOf) : [node];
}

/**
 * How much an evaluation may do. CEL ends always, but a few nested loops over long lists, or a text that is doubled in
 * each of them, would keep a deck busy for hours. So every part of an expression pays for what it does, and for the size
 * of what it takes in; who has nothing left to pay with has failed.
 */
import type { ASTNode } from "@marcbachmann/cel-js";

/** Some tenths of a second at the worst. Looking up each of 2,000 items in a list of as many takes two thirds of it. */
export const WORK_MAX = 6_000_000;

// Evaluations are synchronous and never nest: one account is enough, opened anew for each.
let left = 0;

/** Throws when more is done than may be. Some loops swallow that as they do other errors, but nothing after it succeeds. */
export function withinWork<T>(evaluate: () => T): T {
  left = WORK_MAX;
  return evaluate();
}

export function spend(units: number): void {
  left -= units;
  if (left < 0) throw new Error("it does too much: shorten its lists, texts or loops");
}

/** What the library keeps of a node besides its public shape; version 8.0.0 is pinned, and the tests of totality rely on it. */
interface Inner {
  readonly op: string;
  readonly args: unknown;
  readonly meta: { readonly alternate?: Inner; readonly macro?: unknown; readonly evaluate: Evaluate };
  evaluate: Evaluate;
}
type Evaluate = (evaluator: unknown, node: unknown, context: unknown) => unknown;

/** Operations whose cost grows with what they take in. */
const CONSUMERS: ReadonlySet<string> = new Set(
  ["==", "!=", "in", "+", "<", "<=", ">", ">=", "call", "rcall", "list", "map"],
);

/** Makes every part of a checked expression pay for itself. */
export function meter(ast: ASTNode): void {
  meterNode(ast as unknown as Inner, false);
}

function meterNode(node: Inner, isConsumed: boolean): void {
  const { alternate, macro, evaluate } = node.meta;
  // A loop or a constant stands for the node; `has()` is all that a macro is, and reads a path at most.
  if (alternate) return meterNode(alternate, isConsumed);
  if (macro) return;
  for (const child of innerOf(node.args)) meterNode(child, CONSUMERS.has(node.op) || child === iteratedBy(node));
  node.evaluate = function (evaluator, self, context) {
    spend(1);
    const value = evaluate.call(this, evaluator, self, context);
    if (isConsumed) spendFor(value);
    return value;
  };
}

/** What a loop goes over; what it has gathered so far it only adds to. */
function iteratedBy({ op, args }: Inner): Inner | undefined {
  return op === "comprehension" ? (args as { readonly iterable: Inner }).iterable : undefined;
}

function innerOf(args: unknown): Inner[] {
  if (isNode(args)) return [args];
  if (Array.isArray(args)) return args.flatMap(innerOf);
  // A loop: what it goes over, what it begins with and its body, beside what is not part of the expression.
  return typeof args === "object" && args !== null ? Object.values(args).filter(isNode) : [];
}

function isNode(value: unknown): value is Inner {
  return typeof value === "object" && value !== null && "op" in value;
}

/** One for each value however deep, one for every 64 characters. */
function spendFor(value: unknown): void {
  if (typeof value === "string") spend(value.length >> 6);
  if (typeof value !== "object" || value === null) return;
  const inner = value instanceof Map ? [...value.values()] : Array.isArray(value) ? value : Object.values(value);
  spend(inner.length);
  for (const each of inner) spendFor(each);
}

/**
 * What an expression reads, and what it has made sure of before it does: `has(steps.a.outputs.b) ? steps.a.outputs.b : 1`
 * and `succeeded('a') && steps.a.outputs.b > 1` read safely what may be missing.
 */
import type { ASTNode } from "@marcbachmann/cel-js";
import { childrenOf, literalText, loopVariableOf, receiverOf, statusCallOf } from "./syntax_tree.ts";

/** One mention of a name and the literal keys behind it: `steps.a.outputs["b"]`. */
export interface Read {
  readonly root: string;
  readonly keys: readonly string[];
  /** It may be missing without harm: read with `.?`, within `has()`, or after `has()` has found it. */
  readonly guarded: boolean;
  /** Steps of which it is known here that they succeeded, and that they were not skipped. */
  readonly succeeded: ReadonlySet<string>;
  readonly notSkipped: ReadonlySet<string>;
  readonly offset: number;
}

/** What is known to hold where a part of an expression is evaluated. */
export interface Facts {
  readonly has: readonly (readonly string[])[];
  readonly succeeded: ReadonlySet<string>;
  readonly notSkipped: ReadonlySet<string>;
}

export const NOTHING_KNOWN: Facts = { has: [], succeeded: new Set(), notSkipped: new Set() };

export function readsIn(ast: ASTNode, known: Facts = NOTHING_KNOWN): Read[] {
  const reads: Read[] = [];
  visit(ast, known, new Set(), false, reads);
  return reads;
}

function visit(node: ASTNode, facts: Facts, bound: ReadonlySet<string>, inHas: boolean, reads: Read[]): void {
  const path = pathOf(node);
  if (path) {
    if (bound.has(path.root)) return;
    const { root, keys } = path;
    const guarded = inHas || path.optional || facts.has.some((asked) => beginsWith(asked, [root, ...keys]));
    const { succeeded, notSkipped } = facts;
    reads.push({ root, keys, guarded, succeeded, notSkipped, offset: node.range.start });
    return;
  }
  const into = (child: ASTNode, more: Facts = NOTHING_KNOWN, names = bound) =>
    visit(child, both(facts, more), names, inHas, reads);
  switch (node.op) {
    case "?:": {
      const [condition, yes, no] = node.args;
      into(condition);
      into(yes, factsOf(condition, true));
      into(no, factsOf(condition, false));
      return;
    }
    // CEL's && and || take either side's word, so that each side may rely on the other (specification, "Logical Operators").
    case "&&":
    case "||": {
      const [left, right] = node.args;
      into(left, factsOf(right, node.op === "&&"));
      into(right, factsOf(left, node.op === "&&"));
      return;
    }
    default: {
      const variable = loopVariableOf(node);
      const receiver = receiverOf(node);
      const isHas = node.op === "call" && node.args[0] === "has";
      for (const child of childrenOf(node)) {
        const inLoop = variable !== undefined && child !== receiver;
        if (inLoop && child.op === "id" && child.args === variable) continue;
        visit(child, facts, inLoop ? new Set([...bound, variable]) : bound, isHas, reads);
      }
    }
  }
}

/** What follows from `node` being `truth`. */
export function factsOf(node: ASTNode, truth: boolean): Facts {
  if (node.op === "!_") return factsOf(node.args, !truth);
  if ((node.op === "&&" && truth) || (node.op === "||" && !truth)) {
    return both(factsOf(node.args[0], truth), factsOf(node.args[1], truth));
  }
  if (node.op === "call" && node.args[0] === "has" && truth) {
    const path = node.args[1].length === 1 ? pathOf(node.args[1][0]) : undefined;
    return path ? { ...NOTHING_KNOWN, has: [[path.root, ...path.keys]] } : NOTHING_KNOWN;
  }
  const status = statusCallOf(node);
  if (status?.step != null) {
    if (status.name === "succeeded" && truth) return hasSucceeded(status.step);
    if (status.name === "skipped" && !truth) return { ...NOTHING_KNOWN, notSkipped: new Set([status.step]) };
  }
  if (node.op === "==" || node.op === "!=") return factsOfComparison(node.args, truth === (node.op === "=="));
  return NOTHING_KNOWN;
}

function factsOfComparison([a, b]: readonly [ASTNode, ASTNode], equal: boolean): Facts {
  const path = pathOf(a) ?? pathOf(b);
  const text = literalText(a) ?? literalText(b);
  if (path?.root !== "steps" || path.keys.length !== 2 || text === undefined) return NOTHING_KNOWN;
  const [step, field] = path.keys;
  if (field !== "state" && field !== "outcome") return NOTHING_KNOWN;
  if (equal && text === "succeeded") return hasSucceeded(step);
  if (!equal && text === "skipped") return { ...NOTHING_KNOWN, notSkipped: new Set([step]) };
  return NOTHING_KNOWN;
}

function hasSucceeded(step: string): Facts {
  return { has: [], succeeded: new Set([step]), notSkipped: new Set([step]) };
}

function both(a: Facts, b: Facts): Facts {
  if (a === NOTHING_KNOWN) return b;
  if (b === NOTHING_KNOWN) return a;
  return {
    has: [...a.has, ...b.has],
    succeeded: new Set([...a.succeeded, ...b.succeeded]),
    notSkipped: new Set([...a.notSkipped, ...b.notSkipped]),
  };
}

function beginsWith(path: readonly string[], beginning: readonly string[]): boolean {
  return beginning.every((key, index) => path[index] === key);
}

export interface Path {
  readonly root: string;
  /** Literal keys after the root, as far as they go. */
  readonly keys: readonly string[];
  readonly optional: boolean;
}

/** `steps.a.outputs.b`, `steps["a"].?outputs`: a name and the keys that follow; undefined: something else. */
export function pathOf(node: ASTNode): Path | undefined {
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

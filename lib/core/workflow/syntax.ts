/**
 * What an expression refers to, and the small rewriting that turns what workflows add to CEL into plain CEL.
 */
import type { ASTNode } from "@marcbachmann/cel-js";
import { readsIn } from "./reads.ts";
import { nodesOf, statusCallOf, statusCallsIn } from "./syntax_tree.ts";
export { statusCallsIn } from "./syntax_tree.ts";

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
  const reads = readsIn(ast);
  const calls = statusCallsIn(ast);
  const keysOf = (root: string) => new Set(reads.flatMap((read) => read.root === root ? read.keys.slice(0, 1) : []));
  const names = new Set(reads.map(({ root }) => root));
  const steps = reads.flatMap(({ root, keys, guarded, offset }): StepReference[] => {
    if (root !== "steps") return [];
    const [step = null, field = null, output = null] = keys;
    return [{ step, field, output: field === "outputs" ? output : null, guarded, offset }];
  });
  for (const { step, offset } of calls) {
    if (step === null) names.add("status");
    else names.add("steps");
    if (step != null) steps.push({ step, field: "state", output: null, guarded: true, offset });
  }
  return { params: keysOf("params"), matrix: keysOf("matrix"), names, steps };
}

interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * `success()` becomes `status.success`, and `failed('x')` becomes `stepIs(steps, 'x', 'failed')`. `originalOffset` leads from a place in the new text to the one it came from.
 */
export function createRewriter(
  source: string,
  ast: ASTNode,
): { readonly text: string; readonly originalOffset: (offset: number) => number } {
  const replacements = replacementsIn(ast);
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

function replacementsIn(ast: ASTNode): Replacement[] {
  const found: Replacement[] = [];
  for (const node of nodesOf(ast)) {
    const status = statusCallOf(node);
    if (status?.step === undefined) continue;
    const text = status.step === null
      ? `status.${status.name}`
      : `stepIs(steps, ${JSON.stringify(status.step)}, "${status.name}")`;
    found.push({ start: node.range.start, end: node.range.end, text });
  }
  return found.sort((a, b) => a.start - b.start);
}

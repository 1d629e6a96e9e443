/** What a step's `when` says, read once for each step: what holds once it runs, and whether it stands for `success()`. */
import type { StepSpec } from "../documents/workflow.ts";
import { compileExpression } from "./expression.ts";
import { factsOf, NOTHING_KNOWN } from "./reads.ts";
import type { Facts } from "./reads.ts";
import { conjunctsOf, statusCallsIn } from "./syntax_tree.ts";

export interface Condition {
  /** What is known to hold when the step runs. */
  readonly facts: Facts;
  /** The texts of its parts, all of which hold. */
  readonly parts: readonly string[];
  /** Status functions stand in the place of the default, and none of them asks for success itself. */
  readonly replacesSuccess: boolean;
}

const NONE: Condition = { facts: NOTHING_KNOWN, parts: [], replacesSuccess: false };
const known = new WeakMap<StepSpec, Condition>();

/** Of a `when` that is no expression nothing is known. */
export function conditionOf(step: StepSpec): Condition {
  if (step.when === null) return NONE;
  let condition = known.get(step);
  if (!condition) known.set(step, condition = read(step.when));
  return condition;
}

function read(when: string): Condition {
  const compiled = compileExpression(when, "step");
  if (compiled.kind === "problem") return NONE;
  const { ast } = compiled.expression;
  const parts = conjunctsOf(ast);
  const asksSuccess = parts.some((part) => part.op === "call" && part.args[0] === "success");
  return {
    facts: factsOf(ast, true),
    parts: parts.map(({ range }) => when.slice(range.start, range.end).replace(/\s+/g, " ")),
    replacesSuccess: statusCallsIn(ast).length > 0 && !asksSuccess,
  };
}

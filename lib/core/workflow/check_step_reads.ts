/** Whether a step that an expression reads lies before it, has what is read, and surely has it by then. */
import type { StepSpec } from "../documents/workflow.ts";
import type { Place, Surroundings } from "./check_names.ts";
import { conditionOf } from "./condition.ts";
import { suggestion } from "./problems.ts";
import type { Read } from "./reads.ts";

const FIELDS = ["outputs", "state", "outcome", "conclusion"];

/** `read` is of a step by its name, at least. */
export function checkStepRead(read: Read, { source, step, around, say }: Place): void {
  const [id, field, output] = read.keys;
  const { mended, phase, upstream } = around;
  if (mended.steps.has(id)) return;
  const wrong = (rule: string, detail: string) => say(rule, detail, read.offset);
  const other = around.steps.get(id);
  if (!other) return wrong("badReference", noSuchStep(source, id, around));
  if (step?.id === id) return wrong("notUpstream", `step ${id} reads itself`);
  if (field !== undefined && !FIELDS.includes(field)) {
    const isOutput = Object.hasOwn(other.outputs, field);
    const better = isOutput ? `; did you mean \`outputs.${field}\`?` : suggestion(field, FIELDS);
    return wrong("badReference", `a step has no \`${field}\`${better}`);
  }
  const isBetweenSteps = step !== null && phase === "steps";
  if (isBetweenSteps && upstream && !upstream.waitsFor(step.id, id)) {
    return wrong("notUpstream", `step ${step.id} does not wait for step ${id}; add it to \`needs\``);
  }
  if (field !== "outputs" || output === undefined) return;
  const known = declaredOutputs(other, around);
  if (known && !known.includes(output) && !read.guarded) {
    return wrong("badReference", `step ${id} has no output \`${output}\`${suggestion(output, known)}`);
  }
  const missing = read.guarded ? undefined : whyMissing(read, other, step, around);
  if (missing !== undefined) {
    const before = id.includes("-") ? `steps["${id}"]` : `steps.${id}`;
    wrong("mayBeMissing", `${missing}: write \`${before}.outputs.?${output}.orValue(...)\``);
  }
}

function noSuchStep(source: string, id: string, { steps, allSteps }: Surroundings): string {
  if (allSteps.has(id)) return `step ${id} runs later`;
  const dashed = [...steps.keys()].find((known) => known.startsWith(`${id}-`) && source.includes(`steps.${known}`));
  if (dashed !== undefined) return subtraction(dashed);
  return `unknown step \`${id}\`${suggestion(id, steps.keys())}`;
}

/** What to write for a step whose name CEL would take apart. */
export function subtraction(step: string): string {
  return `\`steps.${step}\` reads as a subtraction; write \`steps["${step}"]\``;
}

/** Undefined: it may have others, which only its run tells. */
function declaredOutputs(step: StepSpec, { outputsOf }: Surroundings): readonly string[] | undefined {
  const declared = Object.keys(step.outputs);
  switch (step.action.kind) {
    // A container may append any to $ORMEN_OUTPUT.
    case "task":
      return undefined;
    case "rollout":
      return [...declared, "revision", "addresses", "address"];
    case "approval":
      return [...declared, ...Object.keys(step.action.inputs)];
    case "workflow": {
      const outputs = outputsOf(step);
      return outputs && [...declared, ...outputs];
    }
    case "http":
    case "sleep":
      return declared;
    default:
      return step.action satisfies never;
  }
}

/** Why `other` may have no outputs when they are read; undefined: it surely has. */
function whyMissing(read: Read, other: StepSpec, step: StepSpec | null, around: Surroundings): string | undefined {
  const { id } = other;
  if (read.succeeded.has(id)) return undefined;
  if (around.phase !== "steps") return `step ${id} may not have run`;
  if (other.when !== null && !read.notSkipped.has(id) && !sharesCondition(step, other)) {
    return `step ${id} may be skipped`;
  }
  if (other.continueOnError) return `step ${id} may have failed`;
  if (step === null) return undefined;
  if (conditionOf(step).replacesSuccess) return `step ${id} may have failed`;
  const { upstream } = around;
  if (!upstream) return undefined;
  if (!upstream.endsBefore(step.id, id)) {
    return `step ${id} may still run, and gives its outputs at its end`;
  }
  return upstream.dependsOn(step.id, id) ? undefined : `step ${id} may have failed`;
}

/** Whether the step's `when` asks all that the other's asked, so that both run or neither. */
function sharesCondition(step: StepSpec | null, other: StepSpec): boolean {
  if (step === null || step.matrix || other.matrix) return false;
  const mine = new Set(conditionOf(step).parts);
  const theirs = conditionOf(other).parts;
  return theirs.length > 0 && theirs.every((part) => mine.has(part));
}

/** What a workflow would do, in the order in which it would: texts are filled in as far as they can be known before. */
import type { ParamSpec, Scalar, StepSpec, WorkflowSpec } from "../../core/documents/workflow.ts";
import { compileExpression, textOf } from "../../core/workflow/expression.ts";
import type { Value } from "../../core/workflow/expression.ts";
import { expandMatrix } from "../../core/workflow/matrix.ts";
import { resolveParams } from "../../core/workflow/params.ts";
import { graphSteps } from "../../core/workflow/render_graph.ts";
import type { GraphStep } from "../../core/workflow/render_graph.ts";
import { referencesIn } from "../../core/workflow/syntax.ts";
import { parseTemplate } from "../../core/workflow/template.ts";
import { checkSource } from "../../core/workflow/validate.ts";
import type { WorkflowSource } from "../../messages/run_api.ts";
import { type Context, printJson } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { clean, paint } from "../render.ts";
import { wrongValues } from "./params_options.ts";
import { unknownStep } from "./references.ts";
import { valueText } from "./run_rows.ts";

export interface PlannedStep {
  readonly name: string;
  readonly phase: GraphStep["phase"];
  readonly stage: number;
  readonly kind: StepSpec["action"]["kind"];
  readonly needs: readonly string[];
  /** False: its condition does not hold, or another one was asked for alone; null: seen when its turn comes. */
  readonly runs: boolean | null;
  readonly when: string | null;
  /** What it does, `${{ }}` filled in as far as that can be known. */
  readonly does: string;
  readonly script: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Combinations of a matrix; null: none, or known only when its turn comes. */
  readonly instances: readonly string[] | null;
}

export async function dryRun(
  { io }: Context,
  source: WorkflowSource,
  given: { readonly params: Readonly<Record<string, Scalar>>; readonly only: string | null; readonly json: boolean },
): Promise<void> {
  const checked = checkSource(source);
  if (checked.kind === "invalid") {
    throw new CommandFailure(`the deck's document is not valid here: ${checked.problems[0].detail}`);
  }
  const { spec } = checked;
  const { only } = given;
  if (only !== null && !spec.steps.some(({ id }) => id === only)) {
    throw await unknownStep(`workflow ${spec.name}`, only, spec.steps.map(({ id }) => id));
  }
  const params = paramsFor(spec.params, given.params);
  const steps = planSteps(spec, params, only);
  if (given.json) return printJson(io, { workflow: spec.name, params, steps });
  io.out(`${paint(io, "bold", spec.name)}   dry run: nothing is sent\n`);
  const shown = Object.entries(params).map(([name, value]) => `${name}=${value === null ? "" : value}`);
  if (shown.length > 0) io.out(`params  ${clean(shown.join("  "))}\n`);
  let phase: GraphStep["phase"] = "steps";
  const width = Math.max(...steps.map(({ name }) => name.length));
  for (const step of steps) {
    if (step.phase !== phase) io.out(`${phase = step.phase}\n`);
    for (const line of linesOf(step, width)) {
      io.out(`${step.runs === false ? paint(io, "grey", line) : line}\n`);
    }
  }
}

function paramsFor(
  specs: Readonly<Record<string, ParamSpec>>,
  given: Readonly<Record<string, Scalar>>,
): Readonly<Record<string, Scalar | null>> {
  const resolved = resolveParams(specs, given);
  if (resolved.kind === "params") return resolved.params;
  throw wrongValues("parameter", resolved.problems, "-p");
}

/** Pure. */
export function planSteps(
  spec: WorkflowSpec,
  params: Readonly<Record<string, Scalar | null>>,
  only: string | null,
): PlannedStep[] {
  return graphSteps(spec).map(({ step, phase, needs, stage }): PlannedStep => {
    const known: Known = { params };
    const env = { ...filledAll(spec.env, known), ...filledAll(step.env, known) };
    const condition = step.when === null ? true : valueOf(step.when, known);
    const holds = condition === undefined ? null : condition === true;
    // A phase of its own decides whether it is run at all.
    const runs = phase === "steps" ? (only === null ? holds : only === step.id) : holds === false ? false : null;
    return {
      name: step.id,
      phase,
      stage,
      kind: step.action.kind,
      needs: phase === "steps" ? needs.map((need) => need.step) : [],
      runs,
      when: step.when,
      does: actionText(step, known),
      script: step.action.kind === "task" ? step.action.script?.text ?? null : null,
      env,
      instances: step.matrix ? expandMatrix(step.matrix).map(valueText) : null,
    };
  });
}

function actionText({ action, forEach }: StepSpec, known: Known): string {
  const each = forEach === null ? "" : `   for each of ${filled(forEach, known)}`;
  const fill = (text: string) => clean(filled(text, known));
  switch (action.kind) {
    case "task": {
      const { image, cmd } = action.task;
      const command = Array.isArray(cmd) ? ` ${cmd.map((word) => fill(String(word))).join(" ")}` : "";
      const what = typeof image === "string" ? `task ${fill(image)}` : "task on a sailor's host";
      return `${what}${command}${each}`;
    }
    case "http":
      return `http ${action.method} ${fill(action.url)}${each}`;
    case "approval":
      return `approval "${fill(action.prompt)}"${each}`;
    case "sleep":
      return `sleep ${fill(action.duration)}${each}`;
    case "workflow": {
      const given = Object.entries(action.with).map(([key, value]) => ` ${key}=${fill(String(value))}`);
      return `workflow ${action.workflow}${given.join("")}${each}`;
    }
    case "rollout":
      return `rollout${each}`;
    default:
      return action satisfies never;
  }
}

interface Known {
  readonly params: Readonly<Record<string, Scalar | null>>;
}

function filledAll(texts: Readonly<Record<string, string>>, known: Known): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, filled(text, known)]));
}

/** Expressions whose values are not known yet stay as they were written. */
function filled(text: string, known: Known): string {
  const template = parseTemplate(text);
  if (template.kind === "problem") return text;
  return template.parts.map((part) => {
    if (part.kind === "text") return part.text;
    const value = valueOf(part.source, known);
    return value === undefined ? `\${{ ${part.source} }}` : textOf(value);
  }).join("");
}

/** Undefined: it depends on what only a run knows. */
function valueOf(source: string, known: Known): Value | undefined {
  const compiled = compileExpression(source, "step");
  if (compiled.kind === "problem") return undefined;
  const { names } = referencesIn(compiled.expression.ast);
  if ([...names].some((name) => !Object.hasOwn(known, name))) return undefined;
  const result = compiled.expression.evaluate({ ...known });
  return result.kind === "value" ? result.value : undefined;
}

const INSTANCES_SHOWN = 6;

function linesOf(step: PlannedStep, width: number): string[] {
  const indent = " ".repeat(width + 9);
  const conditions = [
    step.needs.length === 0 ? "" : `after ${step.needs.join(", ")}`,
    step.runs === false && step.when === null
      ? "not asked for"
      : step.runs === false
      ? `skipped: ${clean(step.when ?? "")}`
      : step.when !== null && step.runs === null
      ? `when ${clean(step.when)}`
      : "",
  ].filter((text) => text !== "").join("   ");
  const first = `  ${String(step.stage).padStart(3)}  ${step.name.padEnd(width)}  ${step.does}${
    conditions === "" ? "" : `   ${conditions}`
  }`;
  if (step.runs === false) return [first];
  const lines = [first];
  if (step.instances) {
    const more = step.instances.length - INSTANCES_SHOWN;
    const shown = step.instances.slice(0, INSTANCES_SHOWN).map((instance) => `[${instance}]`).join(" ");
    lines.push(`${indent}${step.instances.length} instances  ${shown}${more > 0 ? ` and ${more} more` : ""}`);
  }
  const env = Object.entries(step.env).map(([key, value]) => `${key}=${value}`);
  if (env.length > 0) lines.push(`${indent}env  ${clean(env.join("  "))}`);
  if (step.script !== null) {
    const [head, ...rest] = step.script.trimEnd().split("\n");
    lines.push(`${indent}run  ${clean(head)}`, ...rest.map((line) => `${indent}     ${clean(line)}`));
  }
  return lines;
}

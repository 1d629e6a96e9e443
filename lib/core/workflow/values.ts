/**
 * What expressions of a run see, and filling in the texts of its steps. Only what an expression mentions is looked up,
 * so that the cost of a step does not grow with its run.
 */
import type { State } from "../state.ts";
import type { Evaluation, ScopeKind, Value } from "./expression.ts";
import { textOf } from "./expression.ts";
import { outputsOf } from "./outputs.ts";
import type { Plan } from "./plan.ts";
import type { RunRecord, StepRecord } from "./records.ts";
import { stepRecordId } from "./records.ts";
import type { References } from "./syntax.ts";
import { referencesIn } from "./syntax.ts";
import { hasExpression } from "./template.ts";

/** Where an expression stands. */
export interface Scene {
  readonly state: State;
  readonly run: RunRecord;
  readonly plan: Plan;
  /** Null: the run itself, before or after its steps. */
  readonly step: StepRecord | null;
  /** Names that only some scopes have: stdout, exitCode, outcome, status, headers, body, success... */
  readonly extra: Readonly<Record<string, Value>>;
}

/** Thrown by what fills in a step: `message` tells its author what is wrong. */
export class FillError extends Error {}

export function evaluate(scene: Scene, source: string, kind: ScopeKind): Evaluation {
  const compiled = scene.plan.compile(source, kind);
  if (compiled.kind === "problem") return { kind: "failed", detail: compiled.detail };
  const references = referencesOf(compiled.expression);
  const values: Record<string, Value> = {};
  try {
    for (const name of references.names) {
      const value = valueOf(scene, name, references);
      if (value !== undefined) values[name] = value;
    }
  } catch (error) {
    if (error instanceof FillError) return { kind: "failed", detail: error.message };
    throw error;
  }
  return compiled.expression.evaluate(values);
}

const references = new WeakMap<object, References>();

function referencesOf(expression: { readonly ast: Parameters<typeof referencesIn>[0] }): References {
  let known = references.get(expression);
  if (!known) references.set(expression, known = referencesIn(expression.ast));
  return known;
}

function valueOf(scene: Scene, name: string, { steps }: References): Value | undefined {
  const { run, step, extra } = scene;
  if (Object.hasOwn(extra, name)) return extra[name];
  switch (name) {
    case "params":
      return run.params;
    case "run":
      return { id: run.id, workflow: run.workflow, failedStep: run.failedStep ?? "" };
    case "attempt":
      return step?.attempts ?? 1;
    case "matrix":
      return step && isCombination(scene) ? step.value : {};
    case "item":
      return step?.value ?? null;
    case "env":
      return environmentOf(scene);
    case "steps":
      return stepsMentioned(scene, steps);
    default:
      return undefined;
  }
}

function isCombination({ plan, step }: Scene): boolean {
  return step !== null && plan.byId.get(step.step)?.spec.matrix !== null;
}

function stepsMentioned({ state, run, plan }: Scene, mentioned: References["steps"]): Value {
  const dynamic = mentioned.some(({ step }) => step === null);
  const ids = dynamic ? plan.byId.keys() : new Set(mentioned.map(({ step }) => step!));
  const values: Record<string, Value> = {};
  for (const id of ids) {
    const record = state.steps.get(stepRecordId(run.id, id));
    values[id] = {
      state: record?.state ?? "pending",
      outcome: record?.outcome ?? "",
      conclusion: record?.conclusion ?? "",
      outputs: record ? { ...ofNoInstances(record, plan), ...outputsOf(state, record) } : {},
    };
  }
  return values;
}

/** A step that went over an empty list gives an empty list for each of its outputs, as it gives longer ones for longer lists. */
function ofNoInstances({ state, step, fan }: StepRecord, plan: Plan): Record<string, Value> {
  const spec = plan.byId.get(step)?.spec;
  if (fan || state !== "succeeded" || spec?.forEach == null) return {};
  return Object.fromEntries(Object.keys(spec.outputs).map((name) => [name, []]));
}

/** The workflow's variables and the step's over them; the step's texts see the workflow's. */
export function environmentOf(scene: Scene): Record<string, string> {
  const { plan, step, extra } = scene;
  const own = fillTexts({ ...scene, extra: { ...extra, env: {} } }, plan.spec.env, "env");
  const spec = step === null ? undefined : plan.byId.get(step.step)?.spec;
  if (!spec || Object.keys(spec.env).length === 0) return own;
  return { ...own, ...fillTexts({ ...scene, extra: { ...extra, env: own } }, spec.env, "env") };
}

function fillTexts(scene: Scene, texts: Readonly<Record<string, string>>, where: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([key, text]) => [key, textOf(fillText(scene, text, `${where}.${key}`))]),
  );
}

/**
 * A text with its expressions in place. One that is a single expression and nothing else gives that expression's value
 * as it is: a number stays a number. Throws FillError.
 */
export function fillText(scene: Scene, text: string, where: string, kind: ScopeKind = "step"): Value {
  if (!hasExpression(text)) return text;
  const template = scene.plan.template(text);
  if (template.kind === "problem") throw new FillError(`${where}: ${template.detail}`);
  const values = template.parts.map((part): Value => {
    if (part.kind === "text") return part.text;
    const result = evaluate(scene, part.source, kind);
    if (result.kind === "failed") throw new FillError(`${where}: \${{ ${part.source} }}: ${result.detail}`);
    return result.value;
  });
  return values.length === 1 ? values[0] : values.map(textOf).join("");
}

/** The same for every text in a document, keys left as they are. */
export function fill(scene: Scene, value: unknown, where: string): unknown {
  if (typeof value === "string") return fillText(scene, value, where);
  if (Array.isArray(value)) return value.map((each, index) => fill(scene, each, `${where}[${index}]`));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(scene, each, `${where}.${key}`)]));
}

/** True or false; anything else is a mistake of the author's. Throws FillError. */
export function evaluateCondition(scene: Scene, source: string, where: string, kind: ScopeKind = "step"): boolean {
  const result = evaluate(scene, source, kind);
  if (result.kind === "failed") throw new FillError(`${where}: ${result.detail}`);
  if (typeof result.value !== "boolean") {
    throw new FillError(`${where}: gives ${JSON.stringify(result.value)}; it must give true or false`);
  }
  return result.value;
}

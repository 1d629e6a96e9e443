/**
 * Every text of a workflow that holds expressions, or might seem to: where it stands, what its expressions may know and
 * what they must give. The one list of them, so that judging and running cannot differ.
 */
import { namesReplica } from "../documents/analysis.ts";
import type { ParamSpec, StepSpec, WorkflowSpec } from "../documents/workflow.ts";
import type { ScopeKind } from "./expression.ts";
import { kindOfRolloutText } from "./rollout_texts.ts";
import { parseTemplate } from "./template.ts";

export type Path = readonly (string | number)[];

/**
 * template    text with `${{ }}` in it
 * expression  an expression, written without `${{ }}`
 * fixed       nothing is filled in; `instead` tells what to write where `${{ }}` stands
 * script      as fixed; data reaches it through variables
 */
export interface WorkflowText {
  /** From the step; of a workflow's own text, from the document. */
  readonly path: Path;
  readonly text: string;
  readonly form: "template" | "expression" | "fixed" | "script";
  readonly scope: ScopeKind;
  readonly gives: "text" | "bool" | "list";
  readonly instead?: string;
  /** Expressions that are not filled in with the others; the document around them judges them. */
  readonly without?: (source: string) => boolean;
}

export interface PlacedExpression {
  readonly source: string;
  readonly scope: ScopeKind;
  /** Of its text, from the step; and where in the text it stands. */
  readonly path: Path;
  readonly offset: number;
}

/** Every expression of a step, in the scope in which it is evaluated; of a valid workflow all of them compile. */
export function expressionsOfStep(step: StepSpec): PlacedExpression[] {
  return [...textsOfStep(step)].flatMap((text) => expressionsOf(text));
}

function expressionsOf({ text, form, scope, path, without }: WorkflowText): PlacedExpression[] {
  if (form === "expression") return [{ source: text, scope, path, offset: 0 }];
  const template = form === "template" ? parseTemplate(text) : undefined;
  if (template?.kind !== "template") return [];
  return template.parts.flatMap((part) =>
    part.kind === "expression" && !without?.(part.source)
      ? [{ source: part.source, scope, path, offset: part.offset }]
      : []
  );
}

const NOT_FILLED = "only a fixed text can stand here";

export function* textsOfStep(step: StepSpec): Generator<WorkflowText> {
  if (step.when !== null) yield expression(["when"], step.when, "step");
  for (const [name, text] of Object.entries(step.env)) yield template(["env", name], text);
  if (step.forEach !== null) yield { ...template(["forEach"], step.forEach), gives: "list" };
  if (step.retry.when !== null) yield expression(["retry", "when"], step.retry.when, "retry");
  for (const [name, text] of Object.entries(step.outputs)) yield template(["outputs", name], text, "outputs");
  if (step.matrix) {
    const { axes, include, exclude } = step.matrix;
    yield* fixedIn(["matrix"], { ...axes, include, exclude }, "a matrix has fixed values; use `forEach` for others");
  }
  yield* textsOfAction(step);
}

function* textsOfAction({ action }: StepSpec): Generator<WorkflowText> {
  switch (action.kind) {
    case "task":
      yield* templatesIn(["task"], action.task);
      if (action.script !== null) {
        yield { ...fixed(["run"], action.script.text, ""), form: "script" };
        yield* fixedIn(["shell"], action.script.shell, NOT_FILLED);
      }
      return;
    case "http":
      yield template(["http", "url"], action.url);
      yield* templatesIn(["http", "headers"], action.headers);
      if (action.body !== null) yield template(["http", "body"], action.body);
      yield expression(["http", "expect"], action.expect, "expect");
      return;
    case "approval":
      yield template(["approval", "prompt"], action.prompt);
      yield* paramTexts(["approval", "inputs"], action.inputs);
      return;
    case "sleep":
      yield template(["sleep"], action.duration);
      return;
    case "workflow":
      yield fixed(["workflow"], action.workflow, "the name of a workflow is fixed; use `when` to choose between two");
      yield* templatesIn(["with"], action.with);
      return;
    case "rollout":
      for (const [path, text] of textsIn([], action.rollout)) {
        const kind = kindOfRolloutText(path);
        if (kind === "expected") continue;
        yield { ...template(["rollout", ...path], text), ...(kind === "measured" && { without: namesReplica }) };
      }
      return;
    default:
      return action satisfies never;
  }
}

/** Texts that belong to no step. `outputs` are filled in when the run ends. */
export function* textsOfWorkflow(spec: WorkflowSpec): Generator<WorkflowText> {
  yield* paramTexts(["params"], spec.params);
  for (const [name, text] of Object.entries(spec.env)) yield template(["env", name], text, "run");
  if (spec.schedule) yield* fixedIn(["schedule"], spec.schedule, NOT_FILLED);
  if (spec.concurrency) yield template(["concurrency", "group"], spec.concurrency.group, "run");
  for (const [name, text] of Object.entries(spec.outputs)) yield template(["outputs", name], text);
}

function* paramTexts(path: Path, params: Readonly<Record<string, ParamSpec>>): Generator<WorkflowText> {
  for (const [name, spec] of Object.entries(params)) {
    yield* fixedIn([...path, name], { default: spec.default, enum: spec.enum }, NOT_FILLED);
  }
}

function template(path: Path, text: string, scope: ScopeKind = "step"): WorkflowText {
  return { path, text, form: "template", scope, gives: "text" };
}

function expression(path: Path, text: string, scope: ScopeKind): WorkflowText {
  return { path, text, form: "expression", scope, gives: "bool" };
}

function fixed(path: Path, text: string, instead: string): WorkflowText {
  return { path, text, form: "fixed", scope: "run", gives: "text", instead };
}

/** Every text in a document, however deep; keys are not filled in. */
function* templatesIn(path: Path, value: unknown): Generator<WorkflowText> {
  for (const [at, text] of textsIn(path, value)) yield template(at, text);
}

function* fixedIn(path: Path, value: unknown, instead: string): Generator<WorkflowText> {
  for (const [at, text] of textsIn(path, value)) yield fixed(at, text, instead);
}

function* textsIn(path: Path, value: unknown): Generator<[Path, string]> {
  if (typeof value === "string") yield [path, value];
  else if (Array.isArray(value)) {
    for (const [index, each] of value.entries()) {
      yield* textsIn([...path, index], each);
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [key, each] of Object.entries(value)) yield* textsIn([...path, key], each);
  }
}

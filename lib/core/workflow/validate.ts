/**
 * Judges a workflow before anything of it runs: its document and those that it includes. Finds as much as it can at once.
 * The rules are in check_*.ts; this one says which document is judged with what, and follows includes.
 */
import { WORKFLOW_NAME } from "../documents/workflow.ts";
import type { StepSpec, WorkflowSpec } from "../documents/workflow.ts";
import { conditionOf } from "./condition.ts";
import type { Surroundings } from "./check_names.ts";
import { checkGiven, checkParams, checkRequired, checkScheduleParams } from "./check_params.ts";
import { checkRollout } from "./check_rollout.ts";
import { checkShape } from "./check_shape.ts";
import type { Shape } from "./check_shape.ts";
import { checkAction, checkIds, checkMatrix, checkNeeds, checkSecrets, placedSteps } from "./check_steps.ts";
import type { PlacedStep } from "./check_steps.ts";
import { checkTask } from "./check_task.ts";
import { checkReachable, checkText } from "./check_texts.ts";
import { buildGraph } from "./graph.ts";
import { createProblems, EnoughProblems, suggestion } from "./problems.ts";
import type { Report } from "./problems.ts";
import { DEPTH_MAX } from "./records.ts";
import { isFileName } from "./source.ts";
import type { CheckedSource, Source } from "./source.ts";
import { hasExpression } from "./template.ts";
import { textsOfStep, textsOfWorkflow } from "./texts.ts";
import { upstreamOf } from "./upstream.ts";

export interface CheckOptions {
  /** Why a cron expression, or its timezone, is none; undefined: it is one. Without it schedules are not judged. */
  readonly cronProblem?: (cron: string, timezone: string) => string | undefined;
}

/** A document under judgement; `name` null: the main one. */
interface Document {
  readonly name: string | null;
  readonly raw: unknown;
  readonly shape: Shape;
  readonly report: Report;
}

/** Documents that one may include, with those that they include. */
const INCLUDED_MAX = 100;

/** At most PROBLEMS_MAX problems, of the main document first. */
export function checkSource(source: Source, options: CheckOptions = {}): CheckedSource {
  const { problems, reportOf } = createProblems();
  const documents = new Map<string | null, Document>();
  try {
    checkDocuments(source, documents, reportOf, options);
  } catch (error) {
    if (!(error instanceof EnoughProblems)) throw error;
  }
  if (problems.length > 0) return { kind: "invalid", problems };
  const specs = new Map([...documents].map(([name, { shape }]) => [name, shape.spec!]));
  const spec = specs.get(null)!;
  specs.delete(null);
  return { kind: "valid", spec, included: specs as ReadonlyMap<string, WorkflowSpec> };
}

/** `documents` takes those that are reached from the main one, each once however often it is included. */
function checkDocuments(
  { workflow, included = {} }: Source,
  documents: Map<string | null, Document>,
  reportOf: (name: string | null) => Report,
  options: CheckOptions,
): void {
  const open = (name: string | null, raw: unknown) => {
    const report = reportOf(name);
    const shape = isDeeper(raw, LEVELS_MAX) ? TOO_DEEP : checkShape(raw, report);
    if (shape === TOO_DEEP) report({ path: [], rule: "tooLarge", detail: `is nested more than ${LEVELS_MAX} deep` });
    documents.set(name, { name, raw, shape, report });
  };
  if (Object.keys(included).length > INCLUDED_MAX) {
    reportOf(null)({ path: [], rule: "tooLarge", detail: `includes more than ${INCLUDED_MAX} documents` });
    return;
  }
  open(null, workflow);
  // A map hands out what is added to it on the way.
  for (const document of documents.values()) {
    for (const { target } of includesOf(document)) {
      if (Object.hasOwn(included, target) && !documents.has(target)) open(target, included[target]);
    }
  }
  for (const document of documents.values()) checkDocument(document, documents, options);
  checkIncludes(documents);
}

/** As over HTTP: what is read here below goes down into it. */
const LEVELS_MAX = 64;
const TOO_DEEP: Shape = { spec: null, mended: { keys: new Set(), steps: new Set() } };

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1));
}

function checkDocument(document: Document, documents: ReadonlyMap<string | null, Document>, options: CheckOptions) {
  const { raw, shape: { spec, mended }, report } = document;
  if (!spec) return;
  const isJudged = (step: string) => !mended.steps.has(step);
  const placed = placedSteps(spec);
  const closing = placed.filter(({ phase }) => phase !== "steps").map(({ step }) => step.id);
  checkIds(placed, raw, report);
  const isOrdered = checkNeeds(spec, new Set(closing), isJudged, report);
  checkParams(spec.params, ["params"], report);
  if (!mended.keys.has("params")) checkScheduleParams(spec, report);
  checkSchedule(spec, options, report);
  checkSecrets(spec.secrets, spec.env, [], [], report);
  // What was mended lacks needs and outputs: what lies before what cannot be said any more.
  const upstream = isOrdered && mended.steps.size === 0
    ? upstreamOf(spec.steps, buildGraph(spec.steps).order, (step) => conditionOf(step).replacesSuccess)
    : undefined;
  const surroundings = surroundingsIn(document, placed, documents, upstream);
  for (const text of textsOfWorkflow(spec)) checkText(text, null, [], surroundings(null), report);
  for (const each of placed) {
    if (isJudged(each.step.id)) checkStep(each, spec, documents, surroundings(each), report);
  }
}

function checkStep(
  { step, path }: PlacedStep,
  spec: WorkflowSpec,
  documents: ReadonlyMap<string | null, Document>,
  surroundings: Surroundings,
  report: Report,
): void {
  const { action } = step;
  if (step.matrix) checkMatrix(step.matrix, path, report);
  checkSecrets(step.secrets, { ...spec.env, ...step.env }, path, spec.secrets, report);
  checkAction(step, path, report);
  if (action.kind === "task") checkTask(action, path, report);
  if (action.kind === "rollout") checkRollout(action, path, report);
  if (action.kind === "approval") checkParams(action.inputs, [...path, "approval", "inputs"], report);
  if (action.kind === "workflow") {
    const shape = documents.get(action.workflow)?.shape;
    if (shape?.spec && !shape.mended.keys.has("params")) {
      checkGiven(shape.spec.params, action.with, [...path, "with"], report);
      checkRequired(shape.spec.params, action.with, path, report);
    }
  }
  for (const text of textsOfStep(step)) checkText(text, step, path, surroundings, report);
  checkReachable(step, path, surroundings, report);
}

/** What the texts of a step see; of null: those of the workflow. */
function surroundingsIn(
  { shape }: Document,
  placed: readonly PlacedStep[],
  documents: ReadonlyMap<string | null, Document>,
  upstream: Surroundings["upstream"],
): (of: PlacedStep | null) => Surroundings {
  const spec = shape.spec!;
  const { mended } = shape;
  const allSteps = new Map(placed.map(({ step }) => [step.id, step]));
  const main = new Map(spec.steps.map((step) => [step.id, step]));
  // A parameter that may be null has no type that could be relied on.
  const typed = Object.entries(spec.params).filter(([, param]) => param.required || param.default !== null);
  const paramTypes = mended.keys.has("params") || typed.length < Object.keys(spec.params).length
    ? undefined
    : Object.fromEntries(typed.map(([name, { type }]) => [name, type]));
  const outputsOf = ({ action }: StepSpec) => {
    const inner = action.kind === "workflow" ? documents.get(action.workflow)?.shape : undefined;
    return inner?.spec && !inner.mended.keys.has("outputs") ? Object.keys(inner.spec.outputs) : undefined;
  };
  const shared = { spec, allSteps, upstream, outputsOf, paramTypes, mended };
  return (of) => {
    if (of === null || of.phase === "steps") return { ...shared, phase: "steps", steps: main };
    const before = placed.slice(0, placed.indexOf(of)).map(({ step }): [string, StepSpec] => [step.id, step]);
    return { ...shared, phase: of.phase, steps: new Map(before) };
  };
}

function checkSchedule({ schedule }: WorkflowSpec, { cronProblem }: CheckOptions, report: Report): void {
  if (!schedule || !cronProblem) return;
  const problem = cronProblem(schedule.cron, schedule.timezone);
  if (problem !== undefined) report({ path: ["schedule", "cron"], rule: "schedule", detail: problem });
}

/** Steps that call another document or a registered workflow. */
function includesOf({ shape }: Document): { readonly target: string; readonly path: PlacedStep["path"] }[] {
  return shape.spec
    ? placedSteps(shape.spec).flatMap(({ step: { action, id }, path }) =>
      action.kind === "workflow" && !shape.mended.steps.has(id)
        ? [{ target: action.workflow, path: [...path, "workflow"] }]
        : []
    )
    : [];
}

function checkIncludes(documents: ReadonlyMap<string | null, Document>): void {
  for (const document of documents.values()) {
    for (const { target, path } of includesOf(document)) {
      if (documents.has(target) || hasExpression(target)) continue;
      const say = (rule: string, detail: string) => document.report({ path, rule, detail });
      if (isFileName(target)) {
        const others = [...documents.keys()].filter((name) => name !== null);
        say("missingWorkflow", `no document \`${target}\` came with this one${suggestion(target, others)}`);
      } else if (!WORKFLOW_NAME.test(target)) say("missingWorkflow", `\`${target}\` is neither a file nor a name`);
      else if (document.shape.spec?.name === target) say("cycle", `cycle: ${target} -> ${target}`);
    }
  }
  checkDepth(documents);
}

/** Documents that include each other in a circle, or in too long a chain. */
function checkDepth(documents: ReadonlyMap<string | null, Document>): void {
  const chain: (string | null)[] = [];
  const finished: (string | null)[] = [];
  const seen = new Set<string | null>();
  let isCircular = false;
  const visit = (name: string | null): void => {
    seen.add(name);
    chain.push(name);
    const document = documents.get(name)!;
    for (const { target, path } of includesOf(document)) {
      const at = chain.indexOf(target);
      if (at >= 0) {
        isCircular = true;
        document.report({ path, rule: "cycle", detail: `cycle: ${[...chain.slice(at), target].join(" -> ")}` });
      } else if (documents.has(target) && !seen.has(target)) visit(target);
    }
    finished.push(name);
    chain.pop();
  };
  visit(null);
  if (isCircular) return;
  const depths = new Map<string | null, number>([[null, 0]]);
  // Whoever includes stands before what it includes, so that a depth is final when it is looked at.
  for (const name of finished.reverse()) {
    const depth = depths.get(name)!;
    for (const { target, path } of includesOf(documents.get(name)!)) {
      if (!documents.has(target)) continue;
      depths.set(target, Math.max(depths.get(target) ?? 0, depth + 1));
      if (depth !== DEPTH_MAX) continue;
      const detail = `workflows call each other more than ${DEPTH_MAX} deep here`;
      documents.get(name)!.report({ path, rule: "tooDeep", detail });
    }
  }
}

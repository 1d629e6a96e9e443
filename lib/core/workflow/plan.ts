/**
 * A definition made ready to run: its documents parsed once, who waits for whom, and every expression compiled once.
 * Kept beside the stored definition, from which it follows; nothing of it is stored.
 */
import { workflowDocument } from "../documents/workflow.ts";
import type { Need, StepSpec, WorkflowSpec } from "../documents/workflow.ts";
import type { Compiled, ScopeKind } from "./expression.ts";
import { compileExpression } from "./expression.ts";
import type { DefinitionRecord, RunPhase } from "./records.ts";
import type { ParsedTemplate } from "./template.ts";
import { parseTemplate } from "./template.ts";
import { referencesIn, statusCallsIn } from "./syntax.ts";

export interface PlannedStep {
  readonly id: string;
  readonly spec: StepSpec;
  readonly phase: RunPhase;
  /** Of closing steps: the one before, whatever its end. */
  readonly needs: readonly Need[];
  /** Who needs it, and what of it. */
  readonly dependents: readonly { readonly step: string; readonly needs: readonly Need["condition"][] }[];
  /** Somebody needs it healthy: it lives until those are done. */
  readonly isService: boolean;
  /** Its status functions replace the default `success()`. */
  readonly ownCondition: boolean;
  /** What it prints is wanted. */
  readonly captures: boolean;
}

export interface Plan {
  readonly spec: WorkflowSpec;
  readonly steps: readonly PlannedStep[];
  readonly byId: ReadonlyMap<string, PlannedStep>;
  readonly phases: Readonly<Record<RunPhase, readonly PlannedStep[]>>;
  compile(source: string, kind: ScopeKind): Compiled;
  template(text: string): ParsedTemplate;
}

/** All documents of one definition. */
export interface Definition {
  /** `document` null: the main one. Undefined: there is none of that name. */
  plan(document: string | null): Plan | undefined;
}

/** Text of a definition: what its hash is taken of. */
export interface DefinitionText {
  readonly workflow: unknown;
  readonly included: Readonly<Record<string, unknown>>;
}

const definitions = new WeakMap<DefinitionRecord, Definition>();

/** `pieces` gives all of them in their order, or undefined while one is missing. Parsed at the first call only. */
export function definitionOf(
  first: DefinitionRecord,
  pieces: () => readonly DefinitionRecord[] | undefined,
): Definition | undefined {
  const known = definitions.get(first);
  if (known) return known;
  const all = pieces();
  if (!all) return undefined;
  const definition = openDefinition(all.map(({ text }) => text).join(""));
  definitions.set(first, definition);
  return definition;
}

function openDefinition(text: string): Definition {
  const { workflow, included } = JSON.parse(text) as DefinitionText;
  const plans = new Map<string | null, Plan>();
  return {
    plan(document) {
      let plan = plans.get(document);
      const source = document === null ? workflow : Object.hasOwn(included, document) ? included[document] : undefined;
      if (!plan && source !== undefined) plans.set(document, plan = planOf(workflowDocument.parse(source)));
      return plan;
    },
  };
}

export function planOf(spec: WorkflowSpec): Plan {
  const compiled = new Map<string, Compiled>();
  const templates = new Map<string, ParsedTemplate>();
  const compile = (source: string, kind: ScopeKind) => {
    const key = `${kind} ${source}`;
    let known = compiled.get(key);
    if (!known) compiled.set(key, known = compileExpression(source, kind));
    return known;
  };
  const template = (text: string) => {
    let known = templates.get(text);
    if (!known) templates.set(text, known = parseTemplate(text));
    return known;
  };
  const phases: Record<RunPhase, PlannedStep[]> = { steps: [], onFailure: [], finally: [] };
  const dependents = dependentsOf(spec.steps);
  const read = outputsRead(spec, compile);
  const planned = (step: StepSpec, phase: RunPhase, needs: readonly Need[]): PlannedStep => {
    const users = phase === "steps" ? dependents.get(step.id) ?? [] : [];
    const when = step.when === null ? undefined : compile(step.when, "step");
    return {
      id: step.id,
      spec: step,
      phase,
      needs,
      dependents: users,
      isService: step.action.kind === "task" && users.some((user) => user.needs.includes("healthy")),
      ownCondition: when?.kind === "expression" && statusCallsIn(when.expression.ast).length > 0,
      captures: capturesOf(step) || read.has(step.id),
    };
  };
  phases.steps = spec.steps.map((step) => planned(step, "steps", step.needs));
  for (const phase of ["onFailure", "finally"] as const) phases[phase] = inSequence(spec[phase], phase, planned);
  const steps = [...phases.steps, ...phases.onFailure, ...phases.finally];
  return { spec, steps, byId: new Map(steps.map((step) => [step.id, step])), phases, compile, template };
}

function inSequence(
  steps: readonly StepSpec[],
  phase: RunPhase,
  planned: (step: StepSpec, phase: RunPhase, needs: readonly Need[]) => PlannedStep,
): PlannedStep[] {
  return steps.map((step, at) => {
    const needs = at === 0 ? [] : [{ step: steps[at - 1].id, condition: "finished" as const }];
    const next = steps[at + 1];
    const made = planned(step, phase, needs);
    return next ? { ...made, dependents: [{ step: next.id, needs: ["finished" as const] }] } : made;
  });
}

function dependentsOf(steps: readonly StepSpec[]): Map<string, { step: string; needs: Need["condition"][] }[]> {
  const dependents = new Map<string, { step: string; needs: Need["condition"][] }[]>();
  for (const { id, needs } of steps) {
    for (const { step, condition } of needs) {
      let list = dependents.get(step);
      if (!list) dependents.set(step, list = []);
      // A step lists its needs one after the other, so that its own entry is the last one.
      const last = list.at(-1);
      if (last?.step === id) last.needs.push(condition);
      else list.push({ step: id, needs: [condition] });
    }
  }
  return dependents;
}

function capturesOf({ action, outputs, retry }: StepSpec): boolean {
  if (action.kind === "http") return true;
  return action.kind === "task" && (action.script !== null || Object.keys(outputs).length > 0 || retry.when !== null);
}

/** Steps whose outputs are read somewhere. */
function outputsRead(spec: WorkflowSpec, compile: (source: string, kind: ScopeKind) => Compiled): ReadonlySet<string> {
  const read = new Set<string>();
  const look = (value: unknown): void => {
    if (typeof value === "string") {
      if (!value.includes("steps")) return;
      const template = parseTemplate(value);
      const sources = template.kind === "template"
        ? template.parts.flatMap((part) => part.kind === "expression" ? [part.source] : [])
        : [];
      for (const source of [...sources, value]) {
        const compiled = compile(source, "outputs");
        const usable = compiled.kind === "expression" ? compiled : compile(source, "step");
        if (usable.kind !== "expression") continue;
        for (const { step } of referencesIn(usable.expression.ast).steps) if (step !== null) read.add(step);
      }
    } else if (typeof value === "object" && value !== null) Object.values(value).forEach(look);
  };
  look(spec.steps);
  look(spec.onFailure);
  look(spec.finally);
  look(spec.outputs);
  return read;
}

/** Whether what an expression names is there, and is there at that moment. */
import type { ASTNode } from "@marcbachmann/cel-js";
import type { MatrixSpec, ParamSpec, StepSpec, WorkflowSpec } from "../documents/workflow.ts";
import { conditionOf } from "./condition.ts";
import { compileExpression, namesOf } from "./expression.ts";
import type { ScopeKind } from "./expression.ts";
import { suggestion } from "./problems.ts";
import { NOTHING_KNOWN, readsIn } from "./reads.ts";
import type { Read } from "./reads.ts";
import type { RunPhase } from "./records.ts";
import { checkStepRead, subtraction } from "./check_step_reads.ts";
import { literalText, nodesOf, statusCallsIn } from "./syntax_tree.ts";
import type { StatusCall } from "./syntax_tree.ts";
import type { Path } from "./texts.ts";
import type { Upstream } from "./upstream.ts";

/** What there is around an expression. */
export interface Surroundings {
  readonly spec: WorkflowSpec;
  /** Where the step stands; a workflow's own texts stand in `steps`. */
  readonly phase: RunPhase;
  /** Those that stand before it. */
  readonly steps: ReadonlyMap<string, StepSpec>;
  /** All there are, wherever they stand. */
  readonly allSteps: ReadonlyMap<string, StepSpec>;
  /** Undefined: needs are in disorder, which is told elsewhere. */
  readonly upstream: Upstream | undefined;
  /** Outputs of a sub-workflow's document; undefined: it is not known. */
  readonly outputsOf: (step: StepSpec) => readonly string[] | undefined;
  /** Undefined: params were mended, nothing is known of them. */
  readonly paramTypes: Readonly<Record<string, ParamSpec["type"]>> | undefined;
  /** Keys at the top, and steps, that were mended: what names them is not judged. */
  readonly mended: { readonly keys: ReadonlySet<string>; readonly steps: ReadonlySet<string> };
}

/** An expression and where it stands. */
export interface Place {
  readonly source: string;
  readonly scope: ScopeKind;
  /** Null: it belongs to the workflow itself. */
  readonly step: StepSpec | null;
  /** Of its text, from the step. */
  readonly path: Path;
  readonly around: Surroundings;
  readonly say: (rule: string, detail: string, offset: number) => void;
}

export function checkNames(ast: ASTNode, place: Place): void {
  const { step, path, around } = place;
  const known = step !== null && path[0] !== "when" ? conditionOf(step).facts : undefined;
  for (const read of readsIn(ast, known)) {
    if (isKnown(read.root, place.scope)) checkRead(read, place);
    else sayUnknown(read, place);
  }
  for (const call of statusCallsIn(ast)) checkStatusCall(call, place);
  if (!around.mended.keys.has("params")) checkComparisons(ast, around.spec.params, place);
}

function isKnown(name: string, scope: ScopeKind): boolean {
  if (namesOf(scope).includes(name)) return true;
  // CEL's own: names of types and such.
  return compileExpression(name, "run").kind === "expression";
}

function checkRead(read: Read, place: Place): void {
  const { step, path, around: { spec, mended } } = place;
  const { root, keys: [key] } = read;
  const kind = step?.action.kind;
  const unknown = (detail: string) => place.say("unknownName", detail, read.offset);
  switch (root) {
    case "params":
      if (!mended.keys.has("params")) checkKey(read, "parameter", Object.keys(spec.params), place);
      return;
    case "env": {
      const own = step !== null && path[0] !== "env" ? Object.keys(step.env) : [];
      if (!mended.keys.has("env")) checkKey(read, "variable", [...Object.keys(spec.env), ...own], place);
      return;
    }
    case "run":
      return checkKey(read, "key of `run`", ["id", "workflow", "failedStep"], place);
    case "matrix":
    case "item":
      if (path[0] === "when" || path[0] === "forEach") {
        return unknown(`\`${root}\` is not known here, which is asked once for all instances`);
      }
      if (root === "matrix" && step?.matrix) return checkMatrixKey(read, step.matrix, place);
      if (root === "item" && step !== null && step.forEach !== null) return;
      return unknown(`\`${root}\` is known in a step with \`${root === "item" ? "forEach" : root}\` only`);
    case "status":
    case "headers":
    case "body":
      // Before a step starts, `status` is what status functions are turned into; nobody should know it by name.
      if (place.scope === "step") return unknown("unknown name `status`; write `success()` or `failure()`");
      return kind === "http" ? undefined : unknown(`\`${root}\` is known in a step with \`http\` only`);
    case "stdout":
    case "stderr":
      if (kind !== "http" && kind !== "task") unknown(`\`${root}\` is known in a step that prints something`);
      return;
    case "attempt":
      if (step === null) unknown("`attempt` is known in a step only");
      return;
    case "steps":
      if (key !== undefined) checkStepRead(read, place);
  }
}

function checkStatusCall({ name, step, offset }: StatusCall, place: Place): void {
  if (step === undefined) place.say("badReference", `${name}() needs the name of a step in quotes`, offset);
  else if (step === null) {
    if (place.path[0] !== "when") place.say("unknownName", `${name}() is known in \`when\` only`, offset);
  } else if (!isKnown("steps", place.scope)) place.say("unknownName", `${name}() is not known here`, offset);
  else {
    const { succeeded, notSkipped } = NOTHING_KNOWN;
    checkStepRead({ root: "steps", keys: [step, "state"], guarded: true, succeeded, notSkipped, offset }, place);
  }
}

function sayUnknown(read: Read, { source, scope, around, say }: Place): void {
  const dashed = dashedStep(source, read, around);
  if (dashed === undefined) say("unknownName", unknownName(read, scope), read.offset);
  // Where the part before the dash is no step either, that is told already.
  else if (around.allSteps.has(dashed.split("-")[0])) say("badReference", subtraction(dashed), read.offset);
}

/** The step that `steps.my-step` means, which reads as `steps.my - step`. */
function dashedStep(source: string, { offset }: Read, { allSteps }: Surroundings): string | undefined {
  for (const id of allSteps.keys()) {
    if (id.includes("-") && source.lastIndexOf(`steps.${id}`, offset) >= 0) return id;
  }
}

function unknownName({ root }: Read, scope: ScopeKind): string {
  if (root === "secrets") return "secrets are not filled in: name it in `secrets`, and it is a variable of the step";
  if (root === "inputs") return "unknown name `inputs`; parameters are `params`";
  if (root === "needs") return "unknown name `needs`; outputs of steps are `steps.NAME.outputs`";
  const elsewhere = (["step", "outputs", "retry", "expect"] as const).filter((other) => namesOf(other).includes(root));
  if (elsewhere.length > 0) return `\`${root}\` is not known here, but ${elsewhere.map((s) => WHERE[s]).join(", ")}`;
  return `unknown name \`${root}\`${suggestion(root, namesOf(scope).filter((name) => name !== "status"))}`;
}

const WHERE: Readonly<Record<Exclude<ScopeKind, "run" | "measure">, string>> = {
  step: "before a step starts",
  outputs: "in `outputs`",
  retry: "in `retry.when`",
  expect: "in `http.expect`",
};

/** Without a key all of it is read. */
function checkKey(
  { keys: [key], guarded, offset }: Read,
  what: string,
  known: readonly string[],
  { say }: Place,
): void {
  if (key === undefined || guarded || known.includes(key)) return;
  say("badReference", `unknown ${what} \`${key}\`${suggestion(key, known)}`, offset);
}

function checkMatrixKey(read: Read, { axes, include }: MatrixSpec, place: Place): void {
  const [key] = read.keys;
  if (key === undefined || Object.hasOwn(axes, key)) return;
  const included = new Set(include.flatMap((entry) => Object.keys(entry)));
  if (!included.has(key)) return checkKey(read, "key of the matrix", [...Object.keys(axes), ...included], place);
  const inAll = Object.keys(axes).length === 0 && include.every((entry) => Object.hasOwn(entry, key));
  if (read.guarded || inAll) return;
  const detail = `not every combination has \`${key}\`: write \`matrix.?${key}.orValue(...)\``;
  place.say("mayBeMissing", detail, read.offset);
}

/** A parameter with an enum that is compared with what it can never be. */
function checkComparisons(ast: ASTNode, params: Readonly<Record<string, ParamSpec>>, { say }: Place): void {
  for (const node of nodesOf(ast)) {
    if (node.op !== "==" && node.op !== "!=" && node.op !== "in") continue;
    const [left, right] = node.args;
    const compare = (side: ASTNode, other: ASTNode) => {
      const allowed = enumOf(side, params);
      const texts = node.op === "in" && other.op === "list" ? other.args : [other];
      for (const each of allowed ? texts : []) {
        const text = literalText(each);
        if (text === undefined || allowed!.includes(text)) continue;
        const detail = `"${text}" is none of its values ${allowed!.join(", ")}${
          suggestion(text, allowed!.map(String))
        }`;
        say("outsideEnum", detail, each.range.start);
      }
    };
    compare(left, right);
    if (node.op !== "in") compare(right, left);
  }
}

function enumOf(node: ASTNode, params: Readonly<Record<string, ParamSpec>>) {
  if (node.op !== "." || node.args[0].op !== "id" || node.args[0].args !== "params") return undefined;
  return Object.hasOwn(params, node.args[1]) ? params[node.args[1]].enum ?? undefined : undefined;
}

/** Whether what an expression names is there, and is there at that moment. */
import type { ASTNode } from "@marcbachmann/cel-js";
import type { ParamSpec, StepSpec, WorkflowSpec } from "../documents/workflow.ts";
import { conditionOf } from "./condition.ts";
import { compileExpression, namesOf } from "./expression.ts";
import type { ScopeKind } from "./expression.ts";
import { suggestion } from "./problems.ts";
import { readsIn } from "./reads.ts";
import type { Read } from "./reads.ts";
import type { RunPhase } from "./records.ts";
import { checkStepRead, subtraction } from "./check_step_reads.ts";
import { literalText, nodesOf, statusCallsIn } from "./syntax_tree.ts";
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

export type Say = (rule: string, detail: string, offset: number) => void;

export function checkNames(
  source: string,
  ast: ASTNode,
  scope: ScopeKind,
  step: StepSpec | null,
  path: Path,
  surroundings: Surroundings,
  say: Say,
): void {
  const { spec, mended } = surroundings;
  const known = step !== null && path[0] !== "when" ? conditionOf(step).facts : undefined;
  for (const read of readsIn(ast, known)) {
    if (!isKnown(read.root, scope)) {
      const dashed = dashedStep(source, read, surroundings);
      // Where the part before the dash is no step either, that is told already.
      if (dashed === undefined) say("unknownName", unknownName(read, scope), read.offset);
      else if (surroundings.allSteps.has(dashed.split("-")[0])) say("badReference", subtraction(dashed), read.offset);
      continue;
    }
    const [key] = read.keys;
    switch (read.root) {
      case "params":
        if (key !== undefined && !mended.keys.has("params")) {
          checkKey(read, "parameter", Object.keys(spec.params), say);
        }
        break;
      case "env":
        if (key !== undefined && !mended.keys.has("env")) {
          const own = step !== null && path[0] !== "env" ? Object.keys(step.env) : [];
          checkKey(read, "variable", [...Object.keys(spec.env), ...own], say);
        }
        break;
      case "run":
        if (key !== undefined) checkKey(read, "key of `run`", ["id", "workflow", "failedStep"], say);
        break;
      case "matrix":
        if (isOfAll(path)) say("unknownName", `\`matrix\` ${NOT_OF_ALL}`, read.offset);
        else checkMatrixKey(read, step, say);
        break;
      case "item":
        if (isOfAll(path)) say("unknownName", `\`item\` ${NOT_OF_ALL}`, read.offset);
        else if (step?.forEach == null) {
          say("unknownName", "`item` is known in a step with `forEach` only", read.offset);
        }
        break;
      case "status":
      case "headers":
      case "body":
        // Before a step starts, `status` is what status functions are turned into; nobody should know it by name.
        if (scope === "step") {
          say("unknownName", "unknown name `status`; write `success()` or `failure()`", read.offset);
        } else if (step?.action.kind !== "http") {
          say("unknownName", `\`${read.root}\` is known in a step with \`http\` only`, read.offset);
        }
        break;
      case "stdout":
      case "stderr":
        if (step?.action.kind !== "http" && step?.action.kind !== "task") {
          say("unknownName", `\`${read.root}\` is known in a step that prints something`, read.offset);
        }
        break;
      case "attempt":
        if (step === null) say("unknownName", "`attempt` is known in a step only", read.offset);
        break;
      case "steps":
        checkStepRead(source, read, step, surroundings, say);
        break;
    }
  }
  for (const call of statusCallsIn(ast)) {
    if (call.step === undefined) {
      say("badReference", `${call.name}() needs the name of a step in quotes`, call.offset);
    } else if (call.step === null && scope !== "step") {
      say(
        "unknownName",
        `${call.name}() is known before a step starts: in \`when\`, \`env\` and what it does`,
        call.offset,
      );
    } else if (call.step !== null) {
      const read = { root: "steps", keys: [call.step, "state"], guarded: true, offset: call.offset };
      if (!isKnown("steps", scope)) say("unknownName", `${call.name}() is not known here`, call.offset);
      else checkStepRead(source, { ...read, succeeded: new Set(), notSkipped: new Set() }, step, surroundings, say);
    }
  }
  if (!mended.keys.has("params")) checkComparisons(ast, spec.params, say);
}

const NOT_OF_ALL = "is not known here, which is asked once for all instances";

function isOfAll([key]: Path): boolean {
  return key === "when" || key === "forEach";
}

function isKnown(name: string, scope: ScopeKind): boolean {
  if (namesOf(scope).includes(name)) return true;
  // CEL's own: names of types and such.
  return compileExpression(name, "run").kind === "expression";
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

const WHERE: Readonly<Record<Exclude<ScopeKind, "run">, string>> = {
  step: "before a step starts",
  outputs: "in `outputs`",
  retry: "in `retry.when`",
  expect: "in `http.expect`",
};

function checkKey({ keys: [key], guarded, offset }: Read, what: string, known: readonly string[], say: Say): void {
  if (guarded || known.includes(key)) return;
  say("badReference", `unknown ${what} \`${key}\`${suggestion(key, known)}`, offset);
}

function checkMatrixKey(read: Read, step: StepSpec | null, say: Say): void {
  if (step?.matrix == null) return say("unknownName", "`matrix` is known in a step with `matrix` only", read.offset);
  const [key] = read.keys;
  const { axes, include } = step.matrix;
  if (key === undefined || Object.hasOwn(axes, key)) return;
  const included = new Set(include.flatMap((entry) => Object.keys(entry)));
  if (!included.has(key)) return checkKey(read, "key of the matrix", [...Object.keys(axes), ...included], say);
  const inAll = Object.keys(axes).length === 0 && include.every((entry) => Object.hasOwn(entry, key));
  if (read.guarded || inAll) return;
  const detail = `not every combination has \`${key}\`: write \`matrix.?${key}.orValue(...)\``;
  say("mayBeMissing", detail, read.offset);
}

/** A parameter with an enum that is compared with what it can never be. */
function checkComparisons(ast: ASTNode, params: Readonly<Record<string, ParamSpec>>, say: Say): void {
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

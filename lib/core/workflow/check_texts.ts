/**
 * Whether the texts of a workflow can be filled in: their expressions compile in their scope, name what there is, and
 * read nothing that may be missing.
 */
import type { StepSpec } from "../documents/workflow.ts";
import { compileExpression } from "./expression.ts";
import type { ScopeKind } from "./expression.ts";
import { checkNames } from "./check_names.ts";
import type { Surroundings } from "./check_names.ts";
import { factsOf } from "./reads.ts";
import { conjunctsOf, statusCallsIn } from "./syntax_tree.ts";
import type { Report } from "./problems.ts";
import { hasExpression, parseTemplate } from "./template.ts";
import type { Path, WorkflowText } from "./texts.ts";

/** `at` leads to the owner of the text; `step` null: the workflow itself. */
export function checkText(
  text: WorkflowText,
  step: StepSpec | null,
  at: Path,
  surroundings: Surroundings,
  report: Report,
): void {
  const path = [...at, ...text.path];
  const problem = (rule: string, detail: string, offset?: number) => report({ path, rule, detail, offset });
  const expression = (source: string, from: number, gives: WorkflowText["gives"]) =>
    checkExpression(source, text.scope, gives, step, text.path, surroundings, (rule, detail, offset) => {
      problem(rule, detail, from + offset);
    });
  switch (text.form) {
    case "fixed":
      if (!hasExpression(text.text)) return;
      return problem("fixedText", `\`\${{ }}\` is not filled in here: ${text.instead}`, text.text.indexOf("${{"));
    case "script":
      if (!hasExpression(text.text)) return;
      return problem("expressionInScript", outsideScript(text.text), text.text.indexOf("${{"));
    case "expression": {
      if (!hasExpression(text.text)) return expression(text.text, 0, text.gives);
      const inner = onlyExpression(text.text);
      const better = inner === undefined ? "" : `: \`${inner}\``;
      return problem("bareExpression", `write the expression without \`\${{ }}\`${better}`, text.text.indexOf("${{"));
    }
    case "template": {
      const template = parseTemplate(text.text);
      if (template.kind === "problem") return problem("syntax", template.detail, template.offset);
      if (text.gives === "list" && onlyExpression(text.text) === undefined) {
        return problem("type", "must be one `${{ }}` that gives a list, with nothing around it");
      }
      for (const part of template.parts) {
        if (part.kind === "text" || text.without?.(part.source)) continue;
        expression(part.source, part.offset, text.gives);
      }
      return;
    }
    default:
      return text.form satisfies never;
  }
}

/** What to write instead of an expression in a script, where it would be run as a part of it. */
function outsideScript(script: string): string {
  const template = parseTemplate(script.slice(script.indexOf("${{")));
  const first = template.kind === "template" ? template.parts[0] : undefined;
  const source = first?.kind === "expression" ? first.source : "...";
  const name = (/([A-Za-z_][A-Za-z0-9_]*)[^A-Za-z0-9_]*$/.exec(source)?.[1] ?? "NAME").toUpperCase();
  return `\`\${{ }}\` is never put into a script: write \`env: { ${name}: "\${{ ${source} }}" }\` and use "$${name}"`;
}

/** The expression of a text that is one `${{ }}` and nothing else. */
function onlyExpression(text: string): string | undefined {
  const template = parseTemplate(text.trim());
  if (template.kind === "problem" || template.parts.length !== 1) return undefined;
  return template.parts[0].kind === "expression" ? template.parts[0].source : undefined;
}

function checkExpression(
  source: string,
  scope: ScopeKind,
  gives: WorkflowText["gives"],
  step: StepSpec | null,
  path: Path,
  surroundings: Surroundings,
  problem: (rule: string, detail: string, offset: number) => void,
): void {
  const compiled = compileExpression(source, scope, surroundings.paramTypes);
  const ast = compiled.kind === "expression" ? compiled.expression.ast : compiled.ast;
  if (!ast) {
    if (compiled.kind === "problem") problem("syntax", compiled.detail, compiled.offset);
    return;
  }
  let isNamed = true;
  const say = (rule: string, detail: string, offset: number) => {
    isNamed = false;
    problem(rule, detail, offset);
  };
  checkNames(ast, { source, scope, step, path, around: surroundings, say });
  if (compiled.kind === "problem") {
    // A name that is not there is told above, in words that help more.
    if (isNamed) problem("type", compiled.detail, compiled.offset);
    return;
  }
  const { type } = compiled;
  if (gives === "bool" && type !== "bool" && type !== "dyn") {
    problem("type", `gives a ${type}; it must give true or false`, 0);
  }
  if (gives === "list" && type !== "dyn" && !type.startsWith("list")) {
    problem("type", `gives a ${type}; \`forEach\` needs a list`, 0);
  }
}

/** Parts of a `when` that can never hold, so that the step never runs. */
export function checkReachable(step: StepSpec, at: Path, surroundings: Surroundings, report: Report): void {
  if (step.when === null) return;
  const compiled = compileExpression(step.when, "step", surroundings.paramTypes);
  if (compiled.kind === "problem") return;
  const never = (detail: string, offset: number) =>
    report({ path: [...at, "when"], offset, rule: "unreachable", detail: `${detail}, so the step never runs` });
  const { succeeded } = factsOf(compiled.expression.ast, true);
  for (const part of conjunctsOf(compiled.expression.ast)) {
    const { start, end } = part.range;
    const source = step.when.slice(start, end);
    if (isConstantFalse(source)) {
      never(`\`${source}\` is always false`, start);
      continue;
    }
    const call = statusCallsIn(part).find(({ offset }) => offset === start);
    if (!call || part.op !== "call") continue;
    const isMainStep = surroundings.phase === "steps";
    if (call.name === "failure" && isMainStep && step.needs.length === 0) {
      never("`failure()` asks of the steps that are needed, and none are", start);
    }
    if (typeof call.step !== "string") continue;
    const other = surroundings.steps.get(call.step);
    if (call.name === "skipped" && other && other.when === null && other.forEach === null) {
      never(`step ${call.step} is never skipped: it has no \`when\``, start);
    }
    if (call.name !== "succeeded" && succeeded.has(call.step)) {
      never(`step ${call.step} cannot have ended both ways`, start);
    }
  }
}

const NO_PARAMS = {};

function isConstantFalse(source: string): boolean {
  // In a scope that knows no names only what is made of literals compiles.
  const compiled = compileExpression(source, "run", NO_PARAMS);
  if (compiled.kind === "problem") return false;
  const result = compiled.expression.evaluate({});
  return result.kind === "value" && result.value === false;
}

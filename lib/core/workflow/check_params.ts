/** Whether declared parameters agree with themselves, and what a schedule or a step gives them agrees with them. */
import type { ParamSpec, Scalar, WorkflowSpec } from "../documents/workflow.ts";
import { paramProblem, resolveParams } from "./params.ts";
import type { Report } from "./problems.ts";
import { patternProblem } from "./pattern.ts";
import { suggestion } from "./problems.ts";
import type { Path } from "./texts.ts";
import { hasExpression } from "./template.ts";

export function checkParams(specs: Readonly<Record<string, ParamSpec>>, at: Path, report: Report): void {
  for (const [name, spec] of Object.entries(specs)) checkParam(spec, [...at, name], report);
}

function checkParam(spec: ParamSpec, at: Path, report: Report): void {
  const say = (key: string, detail: string) => report({ path: [...at, key], rule: "param", detail });
  for (const [index, value] of (spec.enum ?? []).entries()) {
    if (isOfType(value, spec)) continue;
    report({ path: [...at, "enum", index], rule: "param", detail: `must be a ${spec.type}, as \`type\` says` });
  }
  const badPattern = spec.pattern === null ? undefined : patternProblem(spec.pattern);
  if (badPattern !== undefined) say("pattern", badPattern);
  else if (spec.pattern !== null && spec.type !== "string") say("pattern", "`pattern` belongs to a string");
  if (spec.default === null) return;
  if (spec.required) say("default", "what is required needs no default: leave one of the two out");
  if (!isOfType(spec.default, spec)) return say("default", `must be a ${spec.type}, as \`type\` says`);
  const problem = badPattern === undefined ? paramProblem(spec.default, spec) : undefined;
  if (problem !== undefined) say("default", problem);
}

function isOfType(value: Scalar, { type }: ParamSpec): boolean {
  const actual: string = typeof value;
  return actual === type;
}

/** A schedule starts runs without anybody to ask: it must give what is required. */
export function checkScheduleParams({ schedule, params }: WorkflowSpec, report: Report): void {
  if (schedule) checkGiven(params, schedule.params, ["schedule", "params"], ["schedule"], "the schedule", report);
}

/**
 * Values that are given to `specs`. Texts with `${{ }}` are judged when they are filled in. What is missing is told at
 * `around`.
 */
export function checkGiven(
  specs: Readonly<Record<string, ParamSpec>>,
  given: Readonly<Record<string, Scalar>>,
  at: Path,
  around: Path,
  who: string,
  report: Report,
): void {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(specs, name)) continue;
    const detail = `unknown parameter \`${name}\`${suggestion(name, Object.keys(specs))}`;
    report({ path: [...at, name], rule: "unknownParam", detail });
  }
  for (const [name, spec] of Object.entries(specs)) {
    if (!Object.hasOwn(given, name)) {
      if (!spec.required || spec.default !== null) continue;
      report({ path: around, rule: "missingParam", detail: `${who} must give the required parameter \`${name}\`` });
      continue;
    }
    const value = given[name];
    const isLater = typeof value === "string" && hasExpression(value);
    // A pattern that is none is told where it stands.
    if (isLater || (spec.pattern !== null && patternProblem(spec.pattern) !== undefined)) continue;
    const result = resolveParams({ [name]: spec }, { [name]: value });
    if (result.kind === "params") continue;
    for (const { detail } of result.problems) report({ path: [...at, name], rule: "param", detail });
  }
}

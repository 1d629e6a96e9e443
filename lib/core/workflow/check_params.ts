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

/** What a schedule leaves out may be required: its slots then tell so, and runs by hand go on. */
export function checkScheduleParams({ schedule, params }: WorkflowSpec, report: Report): void {
  if (schedule) checkGiven(params, schedule.params, ["schedule", "params"], report);
}

/** What a step that calls a workflow leaves out, though that workflow cannot start without it. */
export function checkRequired(
  specs: Readonly<Record<string, ParamSpec>>,
  given: Readonly<Record<string, Scalar>>,
  at: Path,
  report: Report,
): void {
  for (const [name, spec] of Object.entries(specs)) {
    if (Object.hasOwn(given, name) || !spec.required || spec.default !== null) continue;
    report({ path: at, rule: "missingParam", detail: `\`with\` must give the required parameter \`${name}\`` });
  }
}

/** Values that are given to `specs`. Texts with `${{ }}` are judged when they are filled in. */
export function checkGiven(
  specs: Readonly<Record<string, ParamSpec>>,
  given: Readonly<Record<string, Scalar>>,
  at: Path,
  report: Report,
): void {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(specs, name)) {
      const detail = `unknown parameter \`${name}\`${suggestion(name, Object.keys(specs))}`;
      report({ path: [...at, name], rule: "unknownParam", detail });
      continue;
    }
    const spec = specs[name];
    const isLater = typeof value === "string" && hasExpression(value);
    // A pattern that is none is told where it stands.
    if (isLater || (spec.pattern !== null && patternProblem(spec.pattern) !== undefined)) continue;
    const result = resolveParams({ [name]: spec }, { [name]: value });
    if (result.kind === "params") continue;
    for (const { detail } of result.problems) report({ path: [...at, name], rule: "param", detail });
  }
}

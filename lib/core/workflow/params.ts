/** Parameters of a run and inputs of an approval: texts from a command line or values from a document, checked. */
import type { ParamSpec, Scalar } from "../documents/workflow.ts";
import { didYouMean } from "../documents/issues.ts";
import { matchesPattern, patternProblem } from "./pattern.ts";

export type ParamsResult =
  | { readonly kind: "params"; readonly params: Readonly<Record<string, Scalar | null>> }
  | { readonly kind: "problems"; readonly problems: readonly { readonly name: string; readonly detail: string }[] };

/** Every declared parameter gets its value or its default, null without either. */
export function resolveParams(
  specs: Readonly<Record<string, ParamSpec>>,
  given: Readonly<Record<string, Scalar>>,
): ParamsResult {
  const problems: { name: string; detail: string }[] = [];
  const params: Record<string, Scalar | null> = {};
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(specs, name)) continue;
    const meant = didYouMean(name, Object.keys(specs));
    problems.push({ name, detail: `unknown parameter${meant === undefined ? "" : `; did you mean \`${meant}\`?`}` });
  }
  for (const [name, spec] of Object.entries(specs)) {
    if (!Object.hasOwn(given, name)) {
      if (spec.required && spec.default === null) problems.push({ name, detail: "is required" });
      params[name] = spec.default;
      continue;
    }
    const value = coerce(given[name], spec.type);
    const problem = value === undefined ? `must be a ${spec.type}` : paramProblem(value, spec);
    if (problem) problems.push({ name, detail: problem });
    else params[name] = value!;
  }
  return problems.length > 0 ? { kind: "problems", problems } : { kind: "params", params };
}

/** Why `value`, which is of the right type, is not allowed. */
export function paramProblem(value: Scalar, spec: ParamSpec): string | undefined {
  if (spec.enum && !spec.enum.includes(value)) return `must be one of ${spec.enum.join(", ")}`;
  if (spec.pattern === null) return undefined;
  const badPattern = patternProblem(spec.pattern);
  if (badPattern !== undefined) return `cannot be judged: its \`pattern\` is ${badPattern}`;
  return matchesPattern(String(value), spec.pattern) ? undefined : `must match ${spec.pattern}`;
}

function coerce(value: Scalar, type: ParamSpec["type"]): Scalar | undefined {
  if (type === "string") return String(value);
  if (type === "boolean") {
    if (typeof value === "boolean") return value;
    return value === "true" ? true : value === "false" ? false : undefined;
  }
  if (typeof value === "boolean" || value === "") return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

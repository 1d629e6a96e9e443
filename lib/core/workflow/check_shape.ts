/**
 * Whether a document has the shape of a workflow. A document that has not is mended as far as can be, so that what is
 * wrong with the rest of it is told at the same time.
 */
import { describeIssues } from "../documents/issues.ts";
import { STEP_ID, workflowDocument } from "../documents/workflow.ts";
import type { WorkflowSpec } from "../documents/workflow.ts";
import type { Report } from "./problems.ts";
import { valueAt } from "./problems.ts";
import { hasExpression } from "./template.ts";

export interface Shape {
  /** Null: too little is left to judge. */
  readonly spec: WorkflowSpec | null;
  /** What was taken away: keys at the top, and steps by their ids. Nothing that depends on them can be judged. */
  readonly mended: { readonly keys: ReadonlySet<string>; readonly steps: ReadonlySet<string> };
}

const ROUNDS_MAX = 8;

export function checkShape(document: unknown, report: Report): Shape {
  const keys = new Set<string>();
  const steps = new Set<string>();
  const mended = { keys, steps };
  let current = document;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = workflowDocument.safeParse(current);
    if (result.success) return { spec: result.data, mended };
    const issues = describeIssues(workflowDocument, result.error.issues);
    for (const { path, detail } of issues) {
      // What only a mending brought about is no mistake of the author's.
      if (round === 0 || !isMended(path, mended)) report({ path, ...inWords(document, path, detail) });
    }
    if (typeof current !== "object" || current === null || Array.isArray(current)) break;
    current = round === 0 ? structuredClone(current) : current;
    for (const { path } of issues) {
      if (!mend(current as Record<string, unknown>, path, mended)) return { spec: null, mended };
    }
  }
  return { spec: null, mended };
}

function isMended([key, step]: readonly PropertyKey[], { keys, steps }: { keys: Set<string>; steps: Set<string> }) {
  return key === "steps" && step !== undefined ? steps.has(String(step)) : keys.has(String(key));
}

/** Takes the value at `path` away; of a step what is left must still be one. False: the document has lost its point. */
function mend(
  document: Record<string, unknown>,
  path: readonly PropertyKey[],
  mended: { keys: Set<string>; steps: Set<string> },
): boolean {
  const [top, step] = path;
  if (top === undefined) return false;
  if (top !== "steps") {
    mended.keys.add(String(top));
    if (top === "name") document.name = "unnamed";
    else delete document[String(top)];
    return true;
  }
  const steps = document.steps as Record<string, unknown>;
  if (step === undefined) return false;
  const id = String(step);
  const isFirst = !mended.steps.has(id);
  mended.steps.add(id);
  const holder = valueAt(document, path.slice(0, -1)) as Record<PropertyKey, unknown>;
  const key = path.at(-1)!;
  if (isFirst && path.length > 2 && Object.hasOwn(Object(holder), key)) {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  } else if (!STEP_ID.test(id)) delete steps[id];
  else {
    // Others need it: it stays as a step that does nothing, once with its own needs, then without.
    const needs = valueAt(steps[id], ["needs"]);
    steps[id] = needs === undefined || valueAt(steps[id], ["sleep"]) === "0" ? { sleep: "0" } : { sleep: "0", needs };
  }
  return Object.keys(steps).length > 0;
}

function inWords(document: unknown, path: readonly PropertyKey[], detail: string): { rule: string; detail: string } {
  const value = valueAt(document, path);
  if (typeof value === "string" && hasExpression(value)) {
    return { rule: "fixedText", detail: `${detail} (\`\${{ }}\` is not filled in here)` };
  }
  if (detail.startsWith("unknown key")) return { rule: "unknownKey", detail };
  if (detail.startsWith("is missing")) return { rule: "missing", detail };
  if (/^must be an? (string|number|boolean|array|object|record|int)|^must be \w+ or /.test(detail)) {
    return { rule: "wrongType", detail };
  }
  return { rule: "wrongValue", detail };
}

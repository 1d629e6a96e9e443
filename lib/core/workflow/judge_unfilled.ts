/**
 * Judging a document inside a step before its texts are filled in: with a sample in the place of each `${{ }}`. What the
 * sample makes wrong is judged when it is filled in.
 */
import type { z } from "zod";
import { describeIssues } from "../documents/issues.ts";
import { valueAt } from "./problems.ts";
import { hasExpression, parseTemplate } from "./template.ts";

const ROUNDS_MAX = 4;

/**
 * The parsed document, if all of it could be judged. `sample` has the samples in it; `written` is as its author wrote it:
 * what holds a `${{ }}` there is passed over, and looked past.
 */
export function judgeUnfilled<T>(
  schema: z.ZodType<T>,
  sample: Record<string, unknown>,
  written: unknown,
  problem: (path: readonly PropertyKey[], detail: string) => void,
): T | undefined {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = schema.safeParse(sample);
    if (result.success) return round === 0 && isFixed(written) ? result.data : undefined;
    let isFaulty = false;
    const open = new Set<readonly PropertyKey[]>();
    for (const { path, detail } of describeIssues(schema, result.error.issues)) {
      const isOpen = !isFixed(path.length === 0 ? written : valueAt(written, path) ?? null);
      if (isOpen) open.add(path);
      else {
        isFaulty = true;
        problem(path, detail);
      }
    }
    // The rest is looked at without the parts that cannot be judged yet, which may have kept it from being looked at.
    const paths = [...open].filter((path) => path.length > 0);
    if (isFaulty || paths.length === 0) return undefined;
    sample = structuredClone(sample);
    for (const path of paths) takeAway(sample, path);
  }
  return undefined;
}

/** Of a list all of it: what stands behind the item would move. */
function takeAway(document: Record<string, unknown>, path: readonly PropertyKey[]): void {
  const inList = path.findIndex((key) => typeof key === "number");
  const keys = inList < 0 ? path : path.slice(0, inList);
  const holder = valueAt(document, keys.slice(0, -1));
  if (typeof holder === "object" && holder !== null) delete (holder as Record<PropertyKey, unknown>)[keys.at(-1)!];
}

export function isFixed(value: unknown): boolean {
  if (typeof value === "string") return !hasExpression(value);
  return typeof value !== "object" || value === null || Object.values(value).every(isFixed);
}

/** Each `${{ }}` as `1`, which most texts, names, numbers and sizes may hold. */
export function sampleOf(text: string): string {
  const template = hasExpression(text) ? parseTemplate(text) : undefined;
  if (template?.kind !== "template") return text;
  return template.parts.map((part) => part.kind === "text" ? part.text : "1").join("");
}

/**
 * What a schema did not like, in words for the person who wrote the document: where, and a sentence; for unknown keys the
 * key that was probably meant. Owns no document of its own.
 */
import type { z } from "zod";

type Issue = z.core.$ZodIssue;
export type Path = readonly PropertyKey[];

/** `path` leads from the document's root to what is wrong. */
export interface DocumentIssue {
  readonly path: Path;
  readonly detail: string;
}

export function describeIssues(schema: z.ZodType, issues: readonly Issue[], prefix: Path = []): DocumentIssue[] {
  return issues.flatMap((raw): DocumentIssue[] => {
    const issue = innermost(raw);
    if (issue.code !== "unrecognized_keys") return [{ path: [...prefix, ...issue.path], detail: sentence(issue) }];
    const known = keysAt(schema, issue.path);
    return issue.keys.map((key) => ({ path: [...prefix, ...issue.path, key], detail: unknownKey(key, known) }));
  });
}

export function unknownKey(key: string, known: readonly string[]): string {
  const meant = didYouMean(key, known);
  return `unknown key \`${key}\`${meant === undefined ? "" : `; did you mean \`${meant}\`?`}`;
}

/** The known word nearest to `word`, if it is near enough to be a slip: a third of its letters, at least one. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  if (word.length > 64) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = word.toLowerCase() === candidate.toLowerCase() ? 0 : editDistance(word, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], beforeLast[j - 2] + 1);
      }
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length];
}

/** Of a union that no branch fits, the branch that came furthest says what is wrong: its deepest issue. */
function innermost(issue: Issue): Issue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const branches = issue.errors.filter((branch) => branch.length > 0);
  const inside = branches.find((branch) => branch.some((i) => i.path.length > 0 || i.code !== "invalid_type"));
  if (!inside) {
    const types = branches.map((branch) => branch[0].code === "invalid_type" ? branch[0].expected : "other");
    return { ...issue, message: `must be ${[...new Set(types)].join(" or ")}` };
  }
  const best = inside.find((i) => i.path.length > 0) ?? inside[0];
  return innermost({ ...best, path: [...issue.path, ...best.path] } as Issue);
}

function sentence(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.message.endsWith("received undefined")
        ? `is missing (${issue.expected})`
        : `must be ${/^[aeiou]/.test(issue.expected) ? "an" : "a"} ${issue.expected}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "invalid_key":
      return issue.issues[0]?.message ?? issue.message;
    case "too_big":
      return `must be at most ${issue.maximum}${lengthUnit(issue.origin)}`;
    case "too_small":
      return `must be at least ${issue.minimum}${lengthUnit(issue.origin)}`;
    default:
      return issue.message;
  }
}

function lengthUnit(origin: string): string {
  return origin === "string" ? " characters" : origin === "array" ? " items" : "";
}

/** The keys that the object at `path` may have. Looks through what wraps an object schema: defaults, unions, transforms. */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  const keys = new Set<string>();
  const visit = (current: unknown, rest: Path) => {
    const def = (current as { _zod?: { def: Record<string, unknown> } } | undefined)?._zod?.def;
    if (!def) return;
    if (def.type === "pipe") return visit(def.in, rest);
    if (def.innerType) return visit(def.innerType, rest);
    if (def.type === "union") return (def.options as unknown[]).forEach((option) => visit(option, rest));
    if (def.type === "array") return visit(def.element, rest.slice(1));
    if (def.type === "record") return visit(def.valueType, rest.slice(1));
    if (def.type !== "object") return;
    const shape = def.shape as Record<string, unknown>;
    if (rest.length > 0) return visit(shape[String(rest[0])], rest.slice(1));
    for (const key of Object.keys(shape)) keys.add(key);
  };
  visit(schema, path);
  return [...keys];
}

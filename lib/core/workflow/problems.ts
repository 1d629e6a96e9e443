/** Problems of a document as they are found: with the path, the rule and the words, at most so many. */
import { didYouMean } from "../documents/issues.ts";
import type { SourceProblem } from "./source.ts";

export const PROBLEMS_MAX = 100;
/** What a document holds may come back in what is said of it. */
const DETAIL_CHARS_MAX = 1_000;

export interface Problem {
  readonly path: readonly PropertyKey[];
  /** In the text at `path`; absent: the whole of it. */
  readonly offset?: number;
  readonly rule: string;
  readonly detail: string;
}

export type Report = (problem: Problem) => void;

/** Thrown to stop looking: looking for suggestions for thousands of problems that nobody reads takes minutes. */
export class EnoughProblems extends Error {}

/** Gathers until there are enough; the same problem at the same place is told once. */
export function createProblems() {
  const problems: SourceProblem[] = [];
  const seen = new Set<string>();
  return {
    problems,
    reportOf: (included: string | null): Report => ({ path, offset, rule, detail: words }) => {
      const detail = words.length > DETAIL_CHARS_MAX ? `${words.slice(0, DETAIL_CHARS_MAX)}...` : words;
      const key = JSON.stringify([included, path.map(String), offset ?? null, rule, detail]);
      if (seen.has(key)) return;
      seen.add(key);
      problems.push({ included, path, offset: offset ?? null, rule, detail });
      if (problems.length >= PROBLEMS_MAX) throw new EnoughProblems();
    },
  };
}

/** `; did you mean \`x\`?`, or nothing. */
export function suggestion(word: string, known: Iterable<string>): string {
  const meant = didYouMean(word, [...known]);
  return meant === undefined ? "" : `; did you mean \`${meant}\`?`;
}

/** What stands at `path` of a document; undefined: nothing. */
export function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** Regular expressions in RE2's syntax, which take time in proportion to text and pattern, and bounds on both. */
import { RE2JS } from "re2js";
import { spend } from "./work.ts";

/** Instructions that a pattern is compiled to; `x{1000}` has a thousand. */
const INSTRUCTIONS_MAX = 2_000;
const CHARACTERS_MAX = 1_024;

/** Why `pattern` is no regular expression; undefined: it is one. */
export function patternProblem(pattern: string): string | undefined {
  try {
    compile(pattern);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Whether `pattern` occurs in `text`. Throws what `patternProblem` tells. */
export function matchesPattern(text: string, pattern: string): boolean {
  return compile(pattern).matcher(text).find();
}

/** The same within an expression, which pays for it. */
export function matchesRe2(text: string, pattern: string): boolean {
  const compiled = compile(pattern);
  spend(Math.ceil(text.length * compiled.programSize() / 50));
  return compiled.matcher(text).find();
}

const KEPT_MAX = 200;
const kept = new Map<string, RE2JS>();

function compile(pattern: string): RE2JS {
  const known = kept.get(pattern);
  if (known) return known;
  if (pattern.length > CHARACTERS_MAX) throw new Error(`a regular expression has ${CHARACTERS_MAX} characters at most`);
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    throw new Error(`not a regular expression: ${(error as Error).message}`);
  }
  if (compiled.programSize() > INSTRUCTIONS_MAX) {
    throw new Error(`the regular expression is too large: its repetitions make ${compiled.programSize()} parts of it`);
  }
  if (kept.size >= KEPT_MAX) kept.clear();
  kept.set(pattern, compiled);
  return compiled;
}

/** What a body is once it was read, whatever it means: plain data that nests no deeper than DEPTH_MAX, without `__proto__` keys. */

export const DEPTH_MAX = 64;

/** `locate` says where a path of the data stands in the text, as `line:column`; only formats that people write have it. */
export interface Document {
  readonly value: unknown;
  readonly bytes: Uint8Array;
  readonly locate?: (path: readonly PropertyKey[]) => string | undefined;
}

/** What is wrong with data whatever it means: nested too deeply, or a key that would reach into prototypes. */
export function shapeProblem(value: unknown, depth = 0): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (depth >= DEPTH_MAX) return tooDeep();
  if (Array.isArray(value)) {
    for (const item of value) {
      const problem = shapeProblem(item, depth + 1);
      if (problem) return problem;
    }
    return undefined;
  }
  for (const key of Object.keys(value)) {
    if (key === "__proto__") return "the key `__proto__` is not allowed";
    const problem = shapeProblem((value as Record<string, unknown>)[key], depth + 1);
    if (problem) return problem;
  }
  return undefined;
}

export function tooDeep(): string {
  return `the document nests deeper than ${DEPTH_MAX} levels`;
}

/** How long to wait before the next try. */

/**
 * Milliseconds before try `n` (0 for the first wait): `baseMs` doubled each time, at most `maxMs`, and spread over
 * the upper half by `chance` in [0, 1), so that many who failed together do not come back together.
 */
export function backoffMs(n: number, baseMs: number, maxMs: number, chance: number): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(n, 30));
  return Math.round(full / 2 + (full / 2) * chance);
}

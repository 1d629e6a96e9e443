/** Which of a service's addresses a new connection goes to. Pure: counts and times come in. */

export interface Backend {
  readonly address: string;
  /** Connections to it that are open, or being opened. */
  readonly open: number;
  /** When it refused a connection last, monotonic milliseconds; null: it has not. */
  readonly refusedMs: number | null;
}

/** So long after it refused a connection, an address is only asked when no other is left. */
export const PASSED_OVER_MS = 2_000;

/**
 * The one with the fewest connections; among equals they take turns, by `turn`, which counts the choices made. Those in
 * `tried` are left out. Undefined: none is left.
 */
export function chooseBackend(
  backends: readonly Backend[],
  { turn, nowMs, tried }: { readonly turn: number; readonly nowMs: number; readonly tried: ReadonlySet<string> },
): Backend | undefined {
  const left = backends.filter(({ address }) => !tried.has(address));
  const isGood = ({ refusedMs }: Backend) => refusedMs === null || nowMs - refusedMs >= PASSED_OVER_MS;
  const among = left.some(isGood) ? left.filter(isGood) : left;
  const least = Math.min(...among.map(({ open }) => open));
  const equals = among.filter(({ open }) => open === least);
  return equals[turn % equals.length];
}

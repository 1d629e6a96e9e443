/**
 * How long the Engine may take for an answer. One that hangs keeps its connections open, so nothing else ends a call.
 *
 * A call that took too long is broken off with "unavailable", and its outcome is unknown: the Engine may have done it, or
 * do it later. Whoever called looks again; create, start, stop and remove may all be asked for twice.
 */
import type { Clock } from "../contracts/clock.ts";
import { RuntimeError } from "../contracts/runtime.ts";

export interface Deadlines {
  /** Questions about the Engine as a whole. Less than a deck waits for a hello. */
  readonly infoMs: number;
  /** Questions about containers, which wait for what is being done to them. */
  readonly lookMs: number;
  /** Making, starting and removing, on a slow and busy disk. */
  readonly changeMs: number;
  /** Over the grace of a stop: the Engine itself waits 10 s for a killed process. */
  readonly overGraceMs: number;
  /** While the event stream says nothing: how often the Engine is asked whether it is there, and how long it may take. */
  readonly pingEveryMs: number;
  readonly pingMs: number;
}

export const DEADLINES: Deadlines = {
  infoMs: 8_000,
  lookMs: 30_000,
  changeMs: 120_000,
  overGraceMs: 60_000,
  pingEveryMs: 3_000,
  pingMs: 5_000,
};

/** Throws RuntimeError "unavailable" after `ms`; the call is given a signal that breaks its connection off then. */
export async function within<T>(clock: Clock, ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(ms, () => {
    late.reject(new RuntimeError("unavailable", `the Docker Engine has not answered within ${ms / 1000} s`));
    abort.abort();
  });
  const answer = call(abort.signal);
  // It is broken off when nobody waits for it any more.
  answer.catch(() => {});
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    cancel();
  }
}

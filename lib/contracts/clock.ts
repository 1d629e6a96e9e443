/** Time, passed in: wall time for what is kept and shown, monotonic time for liveness, timers for both. */
export interface Clock {
  /** Milliseconds since 1970; may jump. */
  wallMs(): number;
  /** Milliseconds since some start; never goes back. */
  monoMs(): number;
  /** Runs `task` once after `delayMs`; calling the result before that cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

/** Resolves after `delayMs`, or at once when `signal` is aborted. Never rejects. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener("abort", done);
  });
}

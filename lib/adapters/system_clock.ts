/** The machine's clocks and timers. */
import type { Clock } from "../contracts/clock.ts";

/** What one timer of the platform can wait at most. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export function createSystemClock(): Clock {
  return {
    wallMs: () => Date.now(),
    monoMs: () => performance.now(),
    after(delayMs, task) {
      let id: ReturnType<typeof setTimeout>;
      const arm = (leftMs: number) => {
        const stepMs = Math.min(leftMs, TIMER_MAX_MS);
        id = setTimeout(() => leftMs > stepMs ? arm(leftMs - stepMs) : task(), Math.max(0, stepMs));
      };
      arm(delayMs);
      return () => clearTimeout(id);
    },
  };
}

/** Containers of this cluster that neither the journal nor the deck knows: left over when a journal was lost. */
import type { Clock } from "../contracts/clock.ts";
import { pause } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Runtime } from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_OWNER } from "../contracts/runtime.ts";

const GRACE_MS = 10_000;
const RETRY_MS = 2_000;

/** Stops and removes them; tried again until it succeeds or `signal` is aborted, which is when a newer list counts. */
export async function removeUnlisted(
  { runtime, clusterId, isKnown, clock, logger, signal }: {
    readonly runtime: Runtime;
    readonly clusterId: string;
    readonly isKnown: (attemptId: string) => boolean;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const { labels, name } of await runtime.list()) {
        const attemptId = labels[LABEL_ATTEMPT];
        if (labels[LABEL_OWNER] !== clusterId || attemptId === undefined || isKnown(attemptId)) continue;
        if (signal.aborted) return;
        logger.warn("removing a container that nobody knows", { name });
        await runtime.stop(name, GRACE_MS);
        await runtime.remove(name);
      }
      return;
    } catch (error) {
      logger.warn("containers that nobody knows could not be removed yet", { error: (error as Error).message });
      await pause(clock, RETRY_MS, signal);
    }
  }
}

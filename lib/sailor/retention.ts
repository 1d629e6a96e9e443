/** How long ended containers stay, so that their output can be read: an hour, or the newest 50 of a sailor. */
import type { Logger } from "../contracts/logger.ts";
import type { Supervisor } from "./supervisor.ts";

export const KEEP_ENDED_MS = 3600e3;
export const KEEP_ENDED_MAX = 50;

/** Forgets those whose time is over. One that was not acknowledged is never among them. */
export async function keepEnded(
  supervisors: readonly Supervisor[],
  nowMs: number,
  forget: (supervisor: Supervisor) => Promise<void>,
  logger: Logger,
): Promise<void> {
  const ended = supervisors.filter((s) => s.entry.outcome !== null && s.entry.acknowledged)
    .sort((a, b) => b.entry.outcome!.endedMs - a.entry.outcome!.endedMs);
  for (const [index, supervisor] of ended.entries()) {
    if (index < KEEP_ENDED_MAX && nowMs - supervisor.entry.outcome!.endedMs < KEEP_ENDED_MS) continue;
    try {
      await forget(supervisor);
    } catch (error) {
      logger.warn("an ended container could not be removed yet", {
        name: supervisor.name,
        error: (error as Error).message,
      });
    }
  }
}

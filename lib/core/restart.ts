/**
 * What follows when a container on a node exits or fails its health check: started again, or over.
 * The Engine restarts by itself what it can; this decides for what it leaves exited.
 */
import type { RestartPolicy } from "./documents/task.ts";
import type { AttemptCause } from "./outgoing.ts";

export const EXIT_DELAY_BASE_MS = 100;
export const HEALTH_DELAY_BASE_MS = 1_000;
export const RESTART_DELAY_MAX_MS = 60_000;

export type RestartDecision =
  | { readonly kind: "restart"; readonly delayMs: number }
  | { readonly kind: "over"; readonly cause: AttemptCause };

/** `restarts` counts those made so far after exits. The delay doubles with each, as the Engine's own does. */
export function afterExit(policy: RestartPolicy, exitCode: number, restarts: number): RestartDecision {
  const again: RestartDecision = { kind: "restart", delayMs: doubled(EXIT_DELAY_BASE_MS, restarts) };
  switch (policy.kind) {
    case "no":
      return { kind: "over", cause: "exited" };
    case "always":
    case "unlessStopped":
      return again;
    case "onFailure":
      if (exitCode === 0) return { kind: "over", cause: "exited" };
      return policy.attemptsMax !== null && restarts >= policy.attemptsMax
        ? { kind: "over", cause: "restartsUsedUp" }
        : again;
    default:
      return policy satisfies never;
  }
}

/** `healthRestarts` counts those made so far because of failed checks. `always` never gives up. */
export function afterUnhealthy(policy: RestartPolicy, maxRestarts: number, healthRestarts: number): RestartDecision {
  if (policy.kind !== "always" && healthRestarts >= maxRestarts) return { kind: "over", cause: "restartsUsedUp" };
  return { kind: "restart", delayMs: doubled(HEALTH_DELAY_BASE_MS, healthRestarts) };
}

function doubled(baseMs: number, times: number): number {
  return Math.min(RESTART_DELAY_MAX_MS, baseMs * 2 ** Math.min(times, 20));
}

/** When a need is decided, and how: rule 2 of the language, as tables of plain functions. */
import type { NeedCondition } from "../documents/workflow.ts";
import type { StepRecord } from "./records.ts";
import { isStepFinal } from "./records.ts";

export type NeedStatus = "open" | "satisfied" | "unsatisfied";

/** What of a step's record decides a need. */
export type Needed = Pick<StepRecord, "state" | "conclusion" | "started" | "healthy">;

/** `step` undefined: it is pending. A skipped step satisfies every need; one that did not begin for its own needs, none but `finished`. */
export function needStatus(condition: NeedCondition, step: Needed | undefined): NeedStatus {
  if (!step) return "open";
  const ended = isStepFinal(step.state);
  if (ended && step.state === "skipped") return "satisfied";
  switch (condition) {
    case "finished":
      return ended ? "satisfied" : "open";
    case "succeeded":
      return !ended ? "open" : step.conclusion === "succeeded" ? "satisfied" : "unsatisfied";
    case "started":
      // Of a list without items nothing ever ran, and all of it succeeded.
      return step.started || step.state === "succeeded" ? "satisfied" : ended ? "unsatisfied" : "open";
    case "healthy":
      return step.healthy ? "satisfied" : ended ? "unsatisfied" : "open";
    default:
      return condition satisfies never;
  }
}

export type Verdict = "run" | "skip" | "upstreamFailed";

/**
 * What becomes of a step all of whose needs are decided. `success`: every need is satisfied. `when` null: it has none;
 * otherwise what it gave. `ownCondition`: it names a status function, which then stands in the place of `success()`.
 */
export function judge(
  { success, when, ownCondition }: {
    readonly success: boolean;
    readonly when: boolean | null;
    readonly ownCondition: boolean;
  },
): Verdict {
  if (ownCondition) return when ? "run" : "skip";
  if (!success) return "upstreamFailed";
  return when === false ? "skip" : "run";
}

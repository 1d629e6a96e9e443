/**
 * What the language says of a step, worked out anew from the document as it was written and from the states of other steps:
 * shares nothing with the engine. Knows the conditions that `documents.ts` writes.
 */
import type { RunRecord, StepRecord } from "../../../lib/core/workflow/records.ts";
import type { Keys } from "./documents.ts";

export type Verdict = "run" | "skip" | "upstreamFailed";
export type Phase = "steps" | "onFailure" | "finally";

/** A step of this id in a run; undefined: nothing has happened to it yet. */
export type StepOf = (id: string) => StepRecord | undefined;

const FINAL = ["succeeded", "failed", "timedOut", "cancelled", "skipped", "upstreamFailed"];

export const isOver = (step: StepRecord | undefined) => step !== undefined && FINAL.includes(step.state);

export function keysOf(document: Keys, id: string): Keys | undefined {
  const steps = document.steps as Record<string, Keys>;
  if (Object.hasOwn(steps, id)) return steps[id];
  const [list, number] = id.split("-");
  return (document[list] as Keys[] | undefined)?.[Number(number) - 1];
}

export function phaseOf(document: Keys, id: string): Phase {
  if (Object.hasOwn(document.steps as Keys, id)) return "steps";
  return id.startsWith("onFailure") ? "onFailure" : "finally";
}

export function idsOf(document: Keys, phase: Phase): string[] {
  if (phase === "steps") return Object.keys(document.steps as Keys);
  return ((document[phase] ?? []) as Keys[]).map((_, at) => `${phase}-${at + 1}`);
}

export function retryLimitOf(document: Keys, id: string): number {
  const own = keysOf(document, id)?.retry as { limit?: number } | undefined;
  const usual = (document.defaults as { retry?: { limit?: number } } | undefined)?.retry;
  return own?.limit ?? usual?.limit ?? 0;
}

/** Why step `id` may not be decided yet; undefined: it may. */
export function whyTooEarly(document: Keys, id: string, stepOf: StepOf): string | undefined {
  const phase = phaseOf(document, id);
  if (phase === "steps") {
    const open = needsOf(document, id).find((need) => statusOf(need, stepOf(need.step)) === undefined);
    return open && `its need ${open.step} (${open.condition}) is not decided`;
  }
  const [, number] = id.split("-");
  const before = Number(number) > 1 ? [`${phase}-${Number(number) - 1}`] : [];
  const earlier = [...idsOf(document, "steps"), ...before].find((other) => !isOver(stepOf(other)));
  return earlier && `${earlier} has not ended`;
}

/** What becomes of a step whose needs are decided, in a run that is not being ended. */
export function verdictOf(document: Keys, run: RunRecord, id: string, stepOf: StepOf): Verdict {
  const when = keysOf(document, id)!.when as string | undefined;
  const isStep = phaseOf(document, id) === "steps";
  const success = isStep
    ? needsOf(document, id).every((need) => statusOf(need, stepOf(need.step)) === true)
    : run.ending === null && idsOf(document, "steps").every((other) => isGood(stepOf(other)));
  const holds = when === undefined || conditionHolds(when, success, run, stepOf);
  if (!isStep) return holds ? "run" : "skip";
  const own = when !== undefined && /(success|failure|always|succeeded|failed|skipped)\(/.test(when);
  if (!own && !success) return "upstreamFailed";
  return holds ? "run" : "skip";
}

interface Need {
  readonly step: string;
  readonly condition: string;
}

function needsOf(document: Keys, id: string): Need[] {
  return ((keysOf(document, id)!.needs ?? []) as (string | Need)[])
    .map((need) => typeof need === "string" ? { step: need, condition: "succeeded" } : need);
}

/** Undefined: not decided. */
function statusOf({ condition }: Need, step: StepRecord | undefined): boolean | undefined {
  if (!step) return undefined;
  if (step.state === "skipped") return true;
  if (condition === "started" && (step.started || step.outcome === "succeeded")) return true;
  if (condition === "healthy" && step.healthy) return true;
  if (!isOver(step)) return undefined;
  return condition === "finished" || (condition === "succeeded" && step.conclusion === "succeeded");
}

function isGood(step: StepRecord | undefined): boolean {
  return step?.conclusion === "succeeded" || step?.conclusion === "skipped";
}

function conditionHolds(when: string, success: boolean, run: RunRecord, stepOf: StepOf): boolean {
  return when.split(" && ").every((part) => {
    const negated = part.startsWith("!");
    const text = negated ? part.slice(1) : part;
    return atomHolds(text, success, run, stepOf) !== negated;
  });
}

function atomHolds(text: string, success: boolean, run: RunRecord, stepOf: StepOf): boolean {
  const compared = /^params\.n (==|>|<) (\d+)$/.exec(text);
  if (compared) {
    const [n, m] = [Number(run.params.n), Number(compared[2])];
    return compared[1] === "==" ? n === m : compared[1] === ">" ? n > m : n < m;
  }
  const [, name, id] = /^(\w+)\((?:'(\w+)')?\)$/.exec(text)!;
  const step = id === undefined ? undefined : stepOf(id);
  switch (name) {
    case "always":
      return true;
    case "success":
      return success;
    case "failure":
      return !success;
    case "succeeded":
      return step?.outcome === "succeeded";
    case "failed":
      return ["failed", "timedOut", "upstreamFailed"].includes(step?.outcome ?? "");
    case "skipped":
      return step?.outcome === "skipped";
    default:
      throw new Error(`the model does not know ${text}`);
  }
}

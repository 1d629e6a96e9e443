/** What changed between two looks at a run, one line or object a change: for output that is no terminal. Pure. */
import type { RunView, StepView } from "../../messages/run_api.ts";
import { clean, type Colour } from "../render.ts";
import { span } from "../times.ts";
import { leavesOf, stepWord } from "./run_rows.ts";

export interface StepChange {
  /** `test`, `test.1` */
  readonly step: string;
  readonly name: string;
  readonly state: StepView["state"];
  readonly attempt: number;
  readonly node: string | null;
  readonly error: string | null;
  readonly dueAt: string | null;
  readonly took: string | null;
  readonly note: string | null;
}

/** `before` null: nothing was seen yet. Steps that wait for others are no news. */
export function changesOf(before: RunView | null, now: RunView): StepChange[] {
  const known = new Map(before ? [...leavesOf(before)].map(({ label, fields }) => [label, fields]) : []);
  const changes: StepChange[] = [];
  for (const { label, name, fields } of leavesOf(now)) {
    const old = known.get(label);
    const isSame = old ? old.state === fields.state && old.attempts === fields.attempts : fields.state === "pending";
    if (isSame) continue;
    const step = now.steps[label] as StepView | undefined;
    changes.push({
      step: label,
      name,
      state: fields.state,
      attempt: fields.attempts,
      node: fields.node,
      error: fields.error,
      dueAt: fields.dueAt,
      took: fields.startedAt !== null && fields.finishedAt !== null
        ? span(Date.parse(fields.finishedAt) - Date.parse(fields.startedAt))
        : null,
      note: step?.prompt ?? (step?.keptFrom ? `kept from ${step.keptFrom}` : null) ??
        (fields.state === "queued" || fields.state === "waiting" ? fields.why : null),
    });
  }
  return changes;
}

/** `succeeded  8.2 s  host-a`; undefined: no news for a person, as it will run in a moment. */
export function changeText(
  change: StepChange,
  nowMs: number,
): { readonly word: string; readonly colour: Colour; readonly rest: string } | undefined {
  const { state, attempt, node, error, took, note, dueAt } = change;
  if (state === "queued" && note === null) return undefined;
  const dueMs = dueAt === null || state === "running" ? 0 : Date.parse(dueAt) - nowMs;
  const details = [
    took,
    node,
    attempt > 1 ? `attempt ${attempt}` : null,
    dueMs > 0 ? `${state === "retrying" ? "next attempt in" : "for"} ${span(dueMs)}` : null,
    note,
    error,
  ].filter((text) => text !== null).map((text) => clean(text));
  return { word: stepWord(state), colour: COLOURS[state], rest: details.join("  ") };
}

const COLOURS: Readonly<Record<StepView["state"], Colour>> = {
  pending: "grey",
  queued: "yellow",
  running: "green",
  waiting: "yellow",
  retrying: "yellow",
  succeeded: "green",
  failed: "red",
  timedOut: "red",
  cancelled: "grey",
  skipped: "grey",
  upstreamFailed: "grey",
};

/**
 * A run as rows for people: one for each step, one for each instance of a step that was fanned out. Pure; owns the words
 * and marks of states. How rows become lines of a terminal is run_lines.ts's.
 */
import type { RunView, StepInstanceView, StepView } from "../../messages/run_api.ts";
import { clean, type Colour } from "../render.ts";
import { span } from "../times.ts";

type Fields = StepView | StepInstanceView;

/** What a row means for folding: what ended well, what ended badly, what goes on, what has not begun. */
export type Rank = "done" | "bad" | "active" | "open";

export interface Row {
  readonly mark: "ok" | ".." | "--" | "!!";
  readonly colour: Colour;
  readonly name: string;
  /** `2/3`: attempts begun of those that it has; empty before the first. */
  readonly attempts: string;
  readonly took: string;
  readonly node: string;
  readonly note: string;
  readonly rank: Rank;
}

/** A step: `rows` has one for each instance, or one alone; `folded` stands for all of them. */
export interface RowGroup {
  readonly folded: Row;
  readonly rows: readonly Row[];
}

/** `lastLine` gives what the step with a label printed last. */
export function rowGroups(run: RunView, nowMs: number, lastLine: (label: string) => string | undefined): RowGroup[] {
  return Object.entries(run.steps).map(([name, step]) => {
    const whole = rowOf(clean(name), step, step, nowMs, lastLine(name));
    if (!step.instances || step.instances.length === 0) return { folded: whole, rows: [whole] };
    const rows = step.instances.map((instance, index) =>
      rowOf(`${clean(name)} [${valueText(instance.value)}]`, instance, step, nowMs, lastLine(labelOf(name, index)))
    );
    return { folded: { ...whole, attempts: "", node: "", note: countsText(countStates(step.instances)) }, rows };
  });
}

/** As events name it: `test`, `test.1`. */
export function labelOf(step: string, instance: number | null): string {
  return instance === null ? step : `${step}.${instance}`;
}

const VALUE_CHARS_MAX = 32;

/** `debian`, or `debian, 12` of a combination of several. */
export function valueText(value: unknown): string {
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
  const text = isMap
    ? Object.values(value).map((each) => typeof each === "object" ? JSON.stringify(each) : String(each)).join(", ")
    : typeof value === "string"
    ? value
    : JSON.stringify(value) ?? "";
  const line = clean(text);
  return line.length <= VALUE_CHARS_MAX ? line : `${line.slice(0, VALUE_CHARS_MAX - 3).toWellFormed()}...`;
}

function rowOf(name: string, fields: Fields, step: StepView, nowMs: number, lastLine: string | undefined): Row {
  const { mark, colour, rank } = lookOf(fields);
  return {
    mark,
    colour,
    rank,
    name,
    attempts: fields.attempts === 0 || step.kind === "approval" || step.kind === "sleep"
      ? ""
      : `${fields.attempts}/${Math.max(step.retryLimit + 1, fields.attempts)}`,
    took: tookText(fields, nowMs),
    node: clean(fields.node ?? ""),
    note: clean(noteOf(fields, step, nowMs, lastLine)),
  };
}

function lookOf(fields: Fields): Pick<Row, "mark" | "colour" | "rank"> {
  switch (fields.state) {
    case "pending":
      return { mark: "--", colour: "grey", rank: "open" };
    case "running":
      return { mark: "..", colour: "green", rank: "active" };
    case "queued":
    case "waiting":
    case "retrying":
      return { mark: "..", colour: "yellow", rank: "active" };
    case "succeeded":
      return { mark: "ok", colour: "green", rank: "done" };
    case "failed":
    case "timedOut":
      return { mark: "!!", colour: fields.conclusion === "succeeded" ? "yellow" : "red", rank: "bad" };
    case "cancelled":
    case "skipped":
    case "upstreamFailed":
      return { mark: "--", colour: "grey", rank: "done" };
    default:
      return fields.state satisfies never;
  }
}

/** The word of a state, as people read it. */
export function stepWord(state: StepView["state"]): string {
  if (state === "timedOut") return "timed out";
  return state === "upstreamFailed" ? "not run" : state;
}

function noteOf(fields: Fields, step: StepView, nowMs: number, lastLine: string | undefined): string {
  switch (fields.state) {
    case "pending":
      return fields.why ?? "";
    case "queued":
      return fields.why ?? "queued";
    case "running":
      return lastLine ?? (fields.runId === null ? "" : `run ${fields.runId}`);
    case "waiting":
      if (step.kind === "approval") return `waits for approval${step.prompt === null ? "" : `: ${step.prompt}`}`;
      return fields.dueAt === null ? fields.why ?? "waiting" : `for ${dueText(fields.dueAt, nowMs)} more`;
    case "retrying":
      return `${fields.dueAt === null ? "retries" : `retry in ${dueText(fields.dueAt, nowMs)}`}${
        fields.error === null ? "" : ` (${fields.error})`
      }`;
    case "succeeded":
      return "keptFrom" in fields && fields.keptFrom !== null ? `kept from ${fields.keptFrom}` : "";
    case "failed":
    case "timedOut": {
      const may = fields.conclusion === "succeeded" ? ", which it may" : "";
      return `${stepWord(fields.state)}${may}${fields.error === null ? "" : `: ${fields.error}`}`;
    }
    case "upstreamFailed":
      return fields.error ?? "not run: what it needs did not succeed";
    case "cancelled":
    case "skipped":
      return fields.error === null ? fields.state : `${fields.state}: ${fields.error}`;
    default:
      return fields.state satisfies never;
  }
}

function dueText(dueAt: string, nowMs: number): string {
  const seconds = Math.max(0, Math.ceil((Date.parse(dueAt) - nowMs) / 1000));
  return seconds < 60 ? `${seconds} s` : span(seconds * 1000);
}

function tookText(fields: Fields, nowMs: number): string {
  if (fields.startedAt === null) return "";
  const isOver = fields.finishedAt !== null;
  if (!isOver && lookOf(fields).rank !== "active") return "";
  return span((isOver ? Date.parse(fields.finishedAt!) : nowMs) - Date.parse(fields.startedAt));
}

/** How many are in each state; of a step that was fanned out its instances are counted. */
export type StateCounts = ReadonlyMap<StepView["state"], number>;

export function countStates(steps: Iterable<Fields>): StateCounts {
  const counts = new Map<StepView["state"], number>();
  for (const { state } of steps) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

/** All steps of a run, with the instances in place of those that were fanned out. */
export function* leavesOf(run: RunView): Generator<{ readonly label: string; readonly name: string; fields: Fields }> {
  for (const [step, view] of Object.entries(run.steps)) {
    if (!view.instances?.length) yield { label: step, name: clean(step), fields: view };
    else {
      for (const [index, fields] of view.instances.entries()) {
        yield { label: labelOf(step, index), name: `${clean(step)} [${valueText(fields.value)}]`, fields };
      }
    }
  }
}

const COUNTED: readonly (readonly [StepView["state"], string])[] = [
  ["succeeded", "ok"],
  ["failed", "failed"],
  ["timedOut", "timed out"],
  ["cancelled", "cancelled"],
  ["skipped", "skipped"],
  ["upstreamFailed", "not run"],
  ["running", "running"],
  ["waiting", "waiting"],
  ["retrying", "retrying"],
  ["queued", "queued"],
  ["pending", "to come"],
];

/** `3 ok, 1 failed, 2 running` */
export function countsText(counts: StateCounts): string {
  return COUNTED.filter(([state]) => counts.has(state)).map(([state, word]) => `${counts.get(state)} ${word}`).join(
    ", ",
  );
}

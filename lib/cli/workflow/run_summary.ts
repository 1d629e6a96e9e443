/** How a run stands or ended: one line, its exit code, and what failed with the end of what it said. */
import type { Deck } from "../../client/client.ts";
import { DeckError } from "../../client/errors.ts";
import type { RunView } from "../../messages/run_api.ts";
import type { Io } from "../io.ts";
import { clean, cleanLines, type Colour, paint } from "../render.ts";
import { span } from "../times.ts";
import { countStates, countsText, leavesOf, stepWord } from "./run_rows.ts";

const FAILED_STEPS_MAX = 5;
const LOG_LINES = 20;

/** 0 succeeded or warning, 1 failed or timed out, 130 cancelled. */
export function exitCodeOf(run: Pick<RunView, "state">): number {
  if (run.state === "succeeded" || run.state === "warning") return 0;
  return run.state === "cancelled" ? 130 : 1;
}

export function runWord(state: RunView["state"]): string {
  if (state === "timedOut") return "timed out";
  return state === "warning" ? "succeeded with warnings" : state;
}

export function runColour(state: RunView["state"]): Colour {
  switch (state) {
    case "running":
    case "succeeded":
      return "green";
    case "queued":
    case "waiting":
    case "finalizing":
    case "warning":
      return "yellow";
    case "failed":
    case "timedOut":
      return "red";
    case "cancelled":
      return "grey";
    default:
      return state satisfies never;
  }
}

/** `succeeded in 1 min 12 s   6 ok, 1 skipped, 1 retried`; of a run that goes on: `running for 12 s   2 ok, 1 running`. */
export function summaryText(io: Io, run: RunView): string {
  const leaves = [...leavesOf(run)];
  const retried = leaves.filter(({ fields }) => fields.attempts > 1).length;
  const counts = countsText(countStates(leaves.map(({ fields }) => fields)));
  const what = retried === 0 ? counts : `${counts}, ${retried} retried`;
  return `${paint(io, runColour(run.state), runWord(run.state))}${timeText(run, io.nowMs())}   ${what}`;
}

function timeText(run: RunView, nowMs: number): string {
  if (run.startedAt === null) return "";
  const startMs = Date.parse(run.startedAt);
  return run.finishedAt === null
    ? ` for ${span(nowMs - startMs)}`
    : ` ${run.state === "succeeded" || run.state === "warning" ? "in" : "after"} ${
      span(Date.parse(run.finishedAt) - startMs)
    }`;
}

/** Each step that failed, why, and its last lines; empty when none did. */
export async function failureReport(io: Io, deck: Deck, run: RunView, logsCommand: string): Promise<string> {
  const failed = [...leavesOf(run)].filter(({ fields }) =>
    (fields.state === "failed" || fields.state === "timedOut") && fields.conclusion !== "succeeded"
  );
  let report = "";
  for (const { label, name, fields } of failed.slice(0, FAILED_STEPS_MAX)) {
    const attempts = fields.attempts > 1 ? ` after ${fields.attempts} attempts` : "";
    const error = fields.error === null ? "" : `: ${clean(fields.error)}`;
    report += `${paint(io, "red", `${name} ${stepWord(fields.state)}`)}${attempts}${error}\n`;
    if (fields.runId !== null) report += `  more   ormen workflow status ${clean(fields.runId)}\n`;
    const lines = fields.taskId === null ? [] : await lastLinesOf(deck, fields.taskId);
    for (const line of lines) report += `  | ${line}\n`;
    if (lines.length >= LOG_LINES) report += `  more   ${logsCommand} ${label}\n`;
  }
  const more = failed.length - FAILED_STEPS_MAX;
  return more > 0 ? `${report}... and ${more} more that failed\n` : report;
}

/** The end of what a task's attempt said; the current or last one's unless said. */
export async function lastLinesOf(deck: Deck, taskId: string, attempt: number | null = null): Promise<string[]> {
  let text = "";
  try {
    for await (const piece of deck.logs(taskId, { tail: LOG_LINES, attempt })) text += piece.text;
  } catch (error) {
    // The report is of what failed; that its output is gone or away is a part of it.
    if (!(error instanceof DeckError)) throw error;
    return text === "" ? [`(no output: ${error.message})`] : linesOf(text);
  }
  return linesOf(text);
}

function linesOf(text: string): string[] {
  const lines = cleanLines(text).trimEnd();
  return lines === "" ? [] : lines.split("\n").slice(-LOG_LINES);
}

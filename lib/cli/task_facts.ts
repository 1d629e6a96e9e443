/** Small questions about a task as the deck shows it. */
import type { SailState } from "../core/sail.ts";
import type { AttemptView, TaskDetailView } from "../messages/api.ts";
import { CommandFailure } from "./failure.ts";
import { cleanLines, shortId } from "./render.ts";

export function isFinal(state: SailState): boolean {
  return state === "completed" || state === "failed" || state === "stopped";
}

export function last<T>(items: readonly T[]): T | undefined {
  return items[items.length - 1];
}

/** Why it ended other than well, with the end of what it said and where to read on. */
export function failedTask(task: TaskDetailView): CommandFailure {
  const { attempt } = task;
  const reason = task.why ?? attempt?.reason ?? attempt?.message ?? howItExited(attempt);
  return new CommandFailure(`${task.name} ${task.state}${reason ? `: ${reason}` : ""}`, [
    ...(attempt?.healthOutput && attempt.health === "unhealthy" ? [`last check:  ${attempt.healthOutput}`] : []),
    ...outputLines(attempt).map((line, index) => `${index === 0 ? "last output:" : "            "}  ${line}`),
    `more   ormen status ${shortId(task.id)}${attempt?.containerId ? `   ormen logs ${shortId(task.id)}` : ""}`,
  ]);
}

/** The code that stands for the task: its process' own, 1 when it never had one. */
export function exitCodeOf(task: TaskDetailView): number {
  if (task.state === "completed") return 0;
  return task.attempt?.exitCode || 1;
}

const OUTPUT_LINES_MAX = 10;

function outputLines(attempt: AttemptView | null): string[] {
  const text = cleanLines(attempt?.outputTail ?? "").trimEnd();
  return text === "" ? [] : text.split("\n").slice(-OUTPUT_LINES_MAX);
}

function howItExited(attempt: AttemptView | null): string | null {
  if (attempt?.oomKilled) return "it ran out of memory";
  return attempt?.exitCode === null || attempt === null ? null : `it exited with code ${attempt.exitCode}`;
}

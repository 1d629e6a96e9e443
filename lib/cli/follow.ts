/**
 * Following one task: its states as they change, up to running, to its end, or through its output.
 * Each step reads the whole task (level-triggered); events only say when to look.
 */
import type { Deck } from "../client/client.ts";
import type { EventView, LogChunkLine, TaskDetailView } from "../messages/api.ts";
import type { EventKind } from "../core/event.ts";
import { clean } from "./render.ts";
import { isFinal, last } from "./task_facts.ts";

/** The task now, then again after each of its events; ends when it has ended or `signal` is aborted. */
export async function* snapshots(deck: Deck, id: string, signal?: AbortSignal): AsyncGenerator<TaskDetailView> {
  let task = await deck.task(id);
  yield task;
  if (isFinal(task.state)) return;
  let seen = last(task.events)?.id ?? 0;
  for await (const event of deck.events({ after: seen, signal })) {
    if (event.taskId !== task.id || event.id <= seen) continue;
    task = await deck.task(task.id);
    // The snapshot may be ahead of the stream: its own events are not news any more.
    seen = Math.max(event.id, last(task.events)?.id ?? 0);
    yield task;
    if (isFinal(task.state)) return;
  }
}

/** It does what it was asked to: it runs, and is healthy if it has a check; or it has ended. */
export function hasArrived(task: TaskDetailView): boolean {
  if (isFinal(task.state)) return true;
  return task.state === "running" && (task.spec.health === undefined || task.attempt?.health === "healthy");
}

/** Waits until it has arrived and tells each step's word on the way. */
export async function untilArrived(
  deck: Deck,
  id: string,
  onStep: (step: string) => void,
): Promise<TaskDetailView> {
  let told = 0;
  let previous = "";
  for await (const task of snapshots(deck, id)) {
    for (const event of task.events) {
      if (event.id <= told) continue;
      told = event.id;
      const step = stepOf(event);
      if (step !== null && step !== previous) onStep(step);
      previous = step ?? previous;
    }
    if (hasArrived(task)) return task;
  }
  return await deck.task(id);
}

/** The word of an event in a state line; null: it is no step. */
export function stepOf(event: EventView): string | null {
  switch (event.kind as EventKind) {
    case "taskAccepted":
      return "pending";
    case "taskPlaced":
      return event.node === null ? "scheduled" : `scheduled on ${clean(event.node)}`;
    case "taskNotPlaced":
      // The line begins with the name already.
      return clean(event.message.replace(`${event.task} `, ""));
    case "taskRunning":
      return "running";
    case "taskRestarted":
      return "restarted";
    case "taskHealthy":
      return "healthy";
    case "taskUnhealthy":
      return "unhealthy";
    case "taskUnknown":
      return "unknown";
    case "taskReplaced":
      return "replaced";
    case "taskRetrying":
      return "retrying";
    case "taskStopping":
      return "stopping";
    case "taskCompleted":
      return "completed";
    case "taskFailed":
      return "failed";
    case "taskStopped":
      return "stopped";
    default:
      return null;
  }
}

/** Its output from the start to its end, over restarts and new attempts. Returns the task as it ended. */
export async function followOutput(
  deck: Deck,
  id: string,
  onOutput: (piece: LogChunkLine) => void,
  nowMs: () => number,
): Promise<TaskDetailView> {
  let shownAttempt: string | null = null;
  let shownUntilMs = 0;
  let shownStart: string | null = null;
  let latest: TaskDetailView | null = null;
  while (true) {
    for await (const task of snapshots(deck, id)) {
      latest = task;
      const { attempt } = task;
      const isNew = attempt !== null && attempt.startedAt !== null &&
        (attempt.id !== shownAttempt || attempt.startedAt !== shownStart);
      if (isNew) break;
    }
    const attempt = latest!.attempt;
    if (attempt === null || attempt.startedAt === null) return latest!;
    if (attempt.id === shownAttempt && attempt.startedAt === shownStart) return latest!;
    // The same container started again: what it said before has been shown.
    const since = attempt.id === shownAttempt ? new Date(shownUntilMs).toISOString() : null;
    shownAttempt = attempt.id;
    shownStart = attempt.startedAt;
    for await (const piece of deck.logs(id, { follow: true, since })) onOutput(piece);
    shownUntilMs = nowMs();
  }
}

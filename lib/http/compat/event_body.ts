/**
 * The POST /tasks of deck and sailor: both take the original's event and answer in its manner; what they do with the task is
 * theirs. Any content type is read, because `curl -d` sends a form's; guards keep foreign pages out.
 */
import { BODY_BYTES_MAX, readBytes } from "../body.ts";
import { RETRY_AFTER_SECONDS } from "../problems.ts";
import { createdAnswer, emptyAnswer, plainError } from "./answers.ts";
import { decodeSailEvent } from "./go_decode.ts";
import { GoDecodeError, parseUuid } from "./go_uuid.ts";
import { renderTask } from "./render.ts";
import type { SailEvent } from "./sail_event.ts";
import { translateEvent } from "./translate.ts";
import type { TranslatedTask } from "./translate.ts";

/** The integer of the original's Completed: an event that bears it asks for a stop. */
const STATE_COMPLETED = 3;

/** `id` is that of the task; accepted again, the same event names the same task. */
export type EventOutcome =
  | { readonly kind: "accepted"; readonly id: string }
  | { readonly kind: "stopped" }
  | { readonly kind: "notFound" }
  | { readonly kind: "conflict"; readonly message: string }
  | { readonly kind: "unavailable"; readonly message: string };

export async function takeEvent(
  request: Request,
  act: {
    submit(task: TranslatedTask): Promise<EventOutcome>;
    stop(taskId: string): Promise<EventOutcome>;
  },
): Promise<Response> {
  const bytes = await readBytes(request, BODY_BYTES_MAX);
  let event: SailEvent;
  try {
    event = decodeSailEvent(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof GoDecodeError) return plainError(400, `Error unmarshalling body: ${error.message}\n`);
    throw error;
  }
  if (event.state === STATE_COMPLETED) {
    if (event.sail.id === null) return plainError(400, "Sail.ID: an event with State 3 must name the task to stop");
    return answer(await act.stop(event.sail.id), event, null);
  }
  const translation = translateEvent(event);
  if (translation.kind === "refused") return plainError(400, `cannot take the task: ${translation.message}`);
  return answer(await act.submit(translation.task), event, translation.task);
}

/** The id in a path, or the answer that refuses it. The nil UUID names no task and is looked up all the same. */
export function taskIdOf(text: string): { readonly id: string } | { readonly answer: Response } {
  try {
    return { id: parseUuid(text) ?? "00000000-0000-0000-0000-000000000000" };
  } catch (error) {
    return { answer: plainError(400, `${(error as Error).message}\n`) };
  }
}

export function unavailableAnswer(message: string): Response {
  return plainError(503, message, { "retry-after": `${RETRY_AFTER_SECONDS}` });
}

function answer(outcome: EventOutcome, event: SailEvent, task: TranslatedTask | null): Response {
  switch (outcome.kind) {
    case "accepted":
      return createdAnswer(echo(outcome.id, event, task));
    case "stopped":
      return createdAnswer(echo(event.sail.id!, event, task));
    case "notFound":
      return plainError(404, `there is no task ${event.sail.id}`);
    case "conflict":
      return plainError(409, outcome.message);
    case "unavailable":
      return unavailableAnswer(outcome.message);
    default:
      return outcome satisfies never;
  }
}

/** The original answers with the task as it was sent. An event that stops a task need not repeat what it runs. */
function echo(id: string, event: SailEvent, task: TranslatedTask | null): Record<string, unknown> {
  const translation = task ? null : translateEvent(event);
  const sent = task ?? (translation?.kind === "task" ? translation.task : null);
  if (sent === null) return { ID: id, Name: event.sail.name, State: event.sail.state };
  return renderTask({
    id,
    state: event.sail.state,
    spec: sent.spec,
    original: sent.original,
    containerId: null,
    ports: [],
    startedMs: null,
    finishedMs: null,
    restarts: 0,
  });
}

/** What a deck and a sailor say of a stop, as far as the original's answer depends on it. */
export type StopReply =
  | { readonly kind: "done" | "notFound" }
  | { readonly kind: "conflict" | "unavailable"; readonly message: string };

export function stopAnswer(reply: StopReply): Response {
  switch (reply.kind) {
    case "done":
      return emptyAnswer(204);
    case "notFound":
      return emptyAnswer(404);
    case "conflict":
      return plainError(409, reply.message);
    case "unavailable":
      return unavailableAnswer(reply.message);
    default:
      return reply satisfies never;
  }
}

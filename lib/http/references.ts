/** What the routes of tasks and nodes share: answers to references and cursors that users send. */
import type { Found } from "../deck/api.ts";
import type { TaskDetailView, TaskView } from "../messages/api.ts";
import { notFound, Refusal } from "./problems.ts";

/** `what` such as `task`. Throws Refusal 404 or 409. */
export function foundOr<T>(found: Found<T>, what: string, reference: string): T {
  switch (found.kind) {
    case "found":
      return found.value;
    case "none":
      throw notFound(`there is no ${what} "${reference.slice(0, 255)}"`);
    case "ambiguous":
      throw new Refusal(
        409,
        "ambiguous",
        `"${reference.slice(0, 255)}" fits several ${what}s: ${found.candidates.slice(0, 5).join(", ")}`,
      );
    default:
      return found satisfies never;
  }
}

/** A task without what only its own page shows. */
export function summaryOf({ spec: _spec, history: _history, events: _events, ...task }: TaskDetailView): TaskView {
  return task;
}

export function badCursor(): Refusal {
  return new Refusal(400, "invalidQuery", "`cursor` is not the `next` of an earlier page", [
    { pointer: "/cursor", detail: "not a cursor" },
  ]);
}

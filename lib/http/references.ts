/** What routes share: answers to references and cursors that users send, and to commands that the deck refuses. */
import type { CommandReply, Found } from "../deck/api.ts";
import { notFound, Refusal, unavailable } from "./problems.ts";

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

/** Throws Refusal unless it was done. */
export function accepted(reply: CommandReply): void {
  if (reply.kind !== "done") throw refusalOf(reply);
}

/** Of whatever the deck answers that it was not done. */
export function refusalOf(reply: Exclude<CommandReply, { readonly kind: "done" }>): Refusal {
  switch (reply.kind) {
    case "notFound":
      return notFound(reply.message);
    case "conflict":
      return new Refusal(409, "conflict", reply.message);
    case "unavailable":
      return unavailable(reply.message);
    default:
      return reply satisfies never;
  }
}

export function badCursor(): Refusal {
  return new Refusal(400, "invalidQuery", "`cursor` is not the `next` of an earlier page", [
    { pointer: "/cursor", detail: "not a cursor" },
  ]);
}

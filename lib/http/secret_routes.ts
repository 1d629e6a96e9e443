/** /v1/secrets: setting, listing and removing secrets. A value comes in and never goes out. */
import { z } from "zod";
import { SECRET_BYTES_MAX, SECRET_CHARS_MIN } from "../core/secret.ts";
import { byteLength, secretName } from "../core/documents/task.ts";
import type { DeckApi } from "../deck/api.ts";
import { secretRequest } from "../messages/api.ts";
import { readOptionalJson } from "./body.ts";
import type { Route } from "./edge.ts";
import { parseWith, refuseDocument } from "./issues.ts";
import { jsonResponse, Refusal, unavailable } from "./problems.ts";
import { accepted } from "./references.ts";

export function secretRoutes(deck: DeckApi): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/secrets",
      role: "read",
      handle: () => jsonResponse({ secrets: deck.listSecrets() }),
      description: {
        summary: "Lists the secrets that the deck keeps: their names and times, never their values",
        answers: [{ status: 200, text: "all of them, by name", schema: "SecretList" }],
        problems: [],
      },
    },
    {
      method: "PUT",
      path: "/v1/secrets/{name}",
      role: "admin",
      handle: async ({ req }) => {
        const name = parseWith(z.object({ name: secretName }), { name: req.param("name") ?? "" }).name;
        const document = await readOptionalJson(req.raw);
        const { value } = parseWith(secretRequest, document.value, { document });
        refuseUnfit(value);
        const reply = await deck.setSecret(name, value);
        switch (reply.kind) {
          case "set":
            return jsonResponse(reply.secret);
          case "conflict":
            throw new Refusal(409, "conflict", reply.message);
          case "unavailable":
            throw unavailable(reply.message);
          default:
            return reply satisfies never;
        }
      },
      description: {
        summary: "Sets a secret, or gives it a new value, which the next attempt of each task gets that names it",
        body: { schema: "SecretRequest", types: ["application/json"], required: true },
        answers: [{ status: 200, text: "what is kept, without the value", schema: "Secret" }],
        problems: [400, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "DELETE",
      path: "/v1/secrets/{name}",
      role: "admin",
      handle: async ({ req }) => {
        const force = new URL(req.url).searchParams.get("force") === "true";
        accepted(await deck.removeSecret(req.param("name") ?? "", force));
        return new Response(null, { status: 204 });
      },
      description: {
        summary: "Forgets a secret; refused while a task needs it that has not ended, unless ?force=true",
        answers: [{ status: 204, text: "it is forgotten" }],
        problems: [404, 409, 503],
      },
    },
  ];
}

/** Never says the value, nor anything of it but its length. */
function refuseUnfit(value: string): void {
  const bytes = byteLength(value);
  const detail = value.length < SECRET_CHARS_MIN
    ? `has ${value.length} characters; what is shorter than ${SECRET_CHARS_MIN} could not be masked in outputs`
    : bytes > SECRET_BYTES_MAX
    ? `takes ${bytes} bytes; at most ${SECRET_BYTES_MAX} are kept`
    : value.includes("\0")
    ? "holds a NUL, which no variable can"
    : undefined;
  if (detail) throw refuseDocument([{ pointer: "/value", detail }]);
}

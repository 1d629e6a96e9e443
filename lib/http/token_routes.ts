/** /v1/tokens: making tokens, listing them, taking them back. A token is shown once, in the answer to its making. */
import { z } from "zod";
import type { Clock } from "../contracts/clock.ts";
import { parseDuration } from "../core/documents/units.ts";
import type { DeckApi } from "../deck/api.ts";
import { tokenCreateRequest } from "../messages/api.ts";
import type { TokenCreated } from "../messages/api.ts";
import { digestOf } from "./access.ts";
import { readOptionalJson } from "./body.ts";
import type { Route } from "./edge.ts";
import { parseWith, refuseDocument } from "./issues.ts";
import { jsonResponse, notFound, Refusal, unavailable } from "./problems.ts";

const EXPIRES_MS_MIN = 1_000;
const EXPIRES_MS_MAX = 3_650 * 86_400_000;

export function tokenRoutes(options: {
  readonly deck: DeckApi;
  readonly clock: Clock;
  readonly onRevoked: () => void;
}): Route[] {
  const { deck, clock, onRevoked } = options;
  return [
    {
      method: "POST",
      path: "/v1/tokens",
      role: "admin",
      handle: async ({ req }) => {
        const document = await readOptionalJson(req.raw);
        const request = parseWith(tokenCreateRequest, document.value, { document });
        return jsonResponse(await create(deck, clock, request), 201);
      },
      description: {
        summary: "Makes a token; the answer is the only place where it is ever shown",
        body: { schema: "TokenCreateRequest", types: ["application/json"], required: true },
        answers: [{ status: 201, text: "the token", schema: "TokenCreated" }],
        problems: [400, 409, 413, 415, 422, 503],
      },
    },
    {
      method: "GET",
      path: "/v1/tokens",
      role: "admin",
      handle: () => jsonResponse({ tokens: deck.listTokens() }),
      description: {
        summary: "Lists the tokens that the deck has made, without the tokens themselves",
        answers: [{ status: 200, text: "all of them", schema: "TokenList" }],
        problems: [],
      },
    },
    {
      method: "DELETE",
      path: "/v1/tokens/{ref}",
      role: "admin",
      handle: async ({ req }) => {
        const reference = req.param("ref") ?? "";
        const token = deck.listTokens().find(({ id, name }) => id === reference || name === reference);
        if (!token) throw notFound(`there is no token ${reference.slice(0, 128)}`);
        const reply = await deck.revokeToken(token.id);
        if (reply.kind === "unavailable") throw unavailable(reply.message);
        onRevoked();
        return new Response(null, { status: 204 });
      },
      description: {
        summary: "Takes a token back, by id or name; what was opened with it ends at once",
        answers: [{ status: 204, text: "it is not valid any more" }],
        problems: [404, 503],
      },
    },
  ];
}

/** The token is made here and goes no further than the answer: the deck is given its digest. */
async function create(
  deck: DeckApi,
  clock: Clock,
  request: z.output<typeof tokenCreateRequest>,
): Promise<TokenCreated> {
  const { role } = request;
  const token = `ormen-${role}-${
    crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true })
  }`;
  const expiresMs = request.expires === undefined ? null : clock.wallMs() + lifetimeOf(request.expires);
  const reply = await deck.createToken({ name: request.name ?? null, role, digest: digestOf(token), expiresMs });
  switch (reply.kind) {
    case "created":
      return { ...reply.token, token };
    case "conflict":
      throw new Refusal(409, "nameInUse", reply.message);
    case "unavailable":
      throw unavailable(reply.message);
    default:
      return reply satisfies never;
  }
}

function lifetimeOf(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= EXPIRES_MS_MIN && ms <= EXPIRES_MS_MAX) return ms;
  throw refuseDocument([{
    pointer: "/expires",
    detail: `not a time from 1s to 3650d: "${text.slice(0, 64)}"; write 30d`,
  }]);
}

/** What operators and monitoring ask of either process, and what describes the API. */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers";
import type { DeckApi } from "../deck/api.ts";
import { BACKUP_CONTENT_TYPE, backupText } from "../messages/backup.ts";
import { SESSION_PATH, STREAM_PATH } from "../messages/session.ts";
import type { Link } from "../contracts/link.ts";
import { upgradeWith } from "./edge.ts";
import type { Route, RouteDescription, Upgrade } from "./edge.ts";
import { jsonResponse, RETRY_AFTER_SECONDS } from "./problems.ts";
import { METRICS_CONTENT_TYPE } from "./prometheus.ts";

/**
 * All records as of one moment, for whoever may do everything: specifications hold what users put into environments.
 * Written as the reader takes it, so that neither memory nor the loop feels a reader that is slow.
 */
export function backupRoute(deck: DeckApi): Route {
  return {
    method: "GET",
    path: "/v1/backup",
    role: "admin",
    handle() {
      const { about, records } = deck.backup();
      const text = ReadableStream.from(inTurns(backupText(about, records, createHash("sha256"))));
      const body = text.pipeThrough(new TextEncoderStream()).pipeThrough(new CompressionStream("gzip"));
      return new Response(body, { headers: { "content-type": BACKUP_CONTENT_TYPE, "cache-control": "no-store" } });
    },
    description: {
      summary: "All records as of one moment: lines of JSON, packed with gzip, ending in their count and checksum",
      answers: [{ status: 200, text: "the backup", types: [BACKUP_CONTENT_TYPE] }],
      problems: [],
    },
  };
}

/** With a turn of the event loop before each: a stream that is read at once would stop everything else until its end. */
async function* inTurns(pieces: Iterable<string>): AsyncGenerator<string> {
  for (const piece of pieces) {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    yield piece;
  }
}

/** `openApi` is asked for late: it describes all routes, these among them. */
export function infoRoutes(deck: DeckApi, openApi: () => unknown): Route[] {
  let text: string | undefined;
  return [
    {
      method: "GET",
      path: "/v1/info",
      role: "read",
      handle: () => jsonResponse(deck.info()),
      description: {
        summary: "Version, cluster and term of this deck",
        answers: [{ status: 200, text: "the deck", schema: "DeckInfo" }],
        problems: [],
      },
    },
    {
      method: "GET",
      path: "/v1/openapi.json",
      role: "read",
      handle() {
        text ??= JSON.stringify(openApi());
        return new Response(text, { headers: { "content-type": "application/json" } });
      },
      description: {
        summary: "This document",
        answers: [{ status: 200, text: "OpenAPI 3.1" }],
        problems: [],
      },
    },
  ];
}

/** `metrics` returns text in Prometheus' format. */
export function healthRoutes(notReady: () => string | null, metrics: () => string): Route[] {
  const plain = (text: string, status = 200, headers: Record<string, string> = {}) =>
    new Response(`${text}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers } });
  const described = (summary: string, more: RouteDescription["answers"] = []): RouteDescription => ({
    summary,
    answers: [{ status: 200, text: summary, types: ["text/plain"] }, ...more],
    problems: [],
  });
  return [
    {
      method: "GET",
      path: "/healthz",
      role: "open",
      handle: () => plain("ok"),
      description: described("The process answers"),
    },
    {
      method: "GET",
      path: "/readyz",
      role: "open",
      handle() {
        const why = notReady();
        return why === null ? plain("ready") : plain(why, 503, { "retry-after": `${RETRY_AFTER_SECONDS}` });
      },
      description: described("It can do its work", [{ status: 503, text: "why it cannot", types: ["text/plain"] }]),
    },
    {
      method: "GET",
      path: "/metrics",
      role: "read",
      handle: () => new Response(metrics(), { headers: { "content-type": METRICS_CONTENT_TYPE } }),
      description: described("Figures in Prometheus' text format"),
    },
  ];
}

/** Sockets between programs; not part of the described API. */
export function sessionRoutes(
  upgrade: Upgrade,
  accept: { acceptSession(link: Link, remoteIp: string): void; acceptStreams(link: Link): void },
): Route[] {
  return [
    {
      method: "GET",
      path: SESSION_PATH,
      role: "join",
      handle: (context) =>
        upgradeWith(
          context,
          upgrade,
          (link) => accept.acceptSession(link, context.env.remoteAddr.hostname ?? ""),
        ),
    },
    {
      method: "GET",
      path: STREAM_PATH,
      role: "join",
      handle: (context) => upgradeWith(context, upgrade, (link) => accept.acceptStreams(link)),
    },
  ];
}

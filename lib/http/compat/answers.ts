/**
 * Answers in the Go original's manner: its JSON (Go's escapes, sorted maps, a line's end), its error document sent as plain
 * text, its 404. tests/fixtures/original holds what it said on the wire.
 */

import type { Clock } from "../../contracts/clock.ts";
import { pieceStream } from "../piece_stream.ts";
import { clip } from "../problems.ts";

const PLAIN = "text/plain; charset=utf-8";

/** The original names no content type for its errors; Go then takes JSON for plain text. */
export function plainError(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(goJson({ HTTPStatusCode: status, Message: clip(message) }), {
    status,
    headers: { "content-type": PLAIN, ...headers },
  });
}

export function plainNotFound(): Response {
  return new Response("404 page not found\n", {
    status: 404,
    headers: { "content-type": PLAIN, "x-content-type-options": "nosniff" },
  });
}

export function emptyAnswer(status: number): Response {
  return new Response(null, { status });
}

export function goJsonAnswer(value: unknown): Response {
  return new Response(goJson(value), { headers: { "content-type": "application/json" } });
}

/** Of a long list; each takes a millisecond or two to make. */
const ITEMS_A_PIECE = 200;

/** As `goJsonAnswer` of an array, but a long one is made while it is read, of the items as they are by then. */
export function goJsonListAnswer(items: Iterable<unknown>, clock: Clock): Response {
  const pieces = listPieces(items);
  const first = pieces.next();
  const second = pieces.next();
  const headers = { "content-type": "application/json" };
  if (second.done) return new Response(first.value, { headers });
  return new Response(pieceStream(chained([first.value!, second.value], pieces), clock), { headers });
}

function* listPieces(items: Iterable<unknown>): Generator<string> {
  let piece: string[] = [];
  let before = "[";
  for (const item of items) {
    if (piece.length === ITEMS_A_PIECE) {
      yield before + piece.join(",");
      before = ",";
      piece = [];
    }
    piece.push(goJson(item).slice(0, -1));
  }
  yield `${before}${piece.join(",")}]\n`;
}

function* chained(first: readonly string[], rest: Generator<string>): Generator<string> {
  yield* first;
  yield* rest;
}

/** As plainError: the original sends what it created without a content type. */
export function createdAnswer(value: unknown): Response {
  return new Response(goJson(value), { status: 201, headers: { "content-type": PLAIN } });
}

const ESCAPES: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029",
};

/** What Go's json.Encoder writes for the same data: HTML characters escaped, a line feed at the end. */
export function goJson(value: unknown): string {
  return `${JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, (char) => ESCAPES[char])}\n`;
}

/** Go writes a map's keys in order. */
export function sortedKeys<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0));
}

export const ZERO_TIME = "0001-01-01T00:00:00Z";

/** RFC 3339 as Go prints it: no zeros at the end of the fraction. Null: Go's zero time. */
export function goTime(ms: number | null): string {
  return ms === null ? ZERO_TIME : new Date(ms).toISOString().replace(/\.?0*Z$/, "Z");
}

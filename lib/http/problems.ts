/**
 * Error answers of /v1: problem documents as in RFC 9457. Owns how a refusal travels from where it is noticed (thrown as
 * `Refusal`, or made on the spot) to the wire. The original's routes have a shape of their own: compat/answers.ts.
 *
 * `type` is always about:blank, so `title` is the status's own phrase; programs go by `code`.
 */
import type { Problem } from "../messages/api.ts";

export type ProblemCode =
  | "badRequest"
  | "malformed"
  | "invalidQuery"
  | "unauthorized"
  | "forbidden"
  | "tooManyFailures"
  | "hostRefused"
  | "originRefused"
  | "notFound"
  | "methodNotAllowed"
  | "ambiguous"
  | "conflict"
  | "idInUse"
  | "nameInUse"
  | "secretMissing"
  | "keyReused"
  | "noContainer"
  | "tooLarge"
  | "tooSlow"
  | "headTooLarge"
  | "unsupportedMediaType"
  | "invalid"
  | "upgradeRequired"
  | "internal"
  | "failed"
  | "nodeAway"
  | "unavailable";

export type ProblemError = { readonly pointer: string; readonly detail: string };

/** Sentences repeat what was sent, which may be a megabyte long. */
const SENTENCE_CHARS_MAX = 1_000;

/** Also not cut within a pair. */
export function clip(text: string): string {
  return text.length <= SENTENCE_CHARS_MAX ? text : `${text.slice(0, SENTENCE_CHARS_MAX).toWellFormed()}...`;
}

/** Thrown anywhere below a route; becomes the answer. Expected outcomes of the deck are return values, not this. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: ProblemCode,
    readonly detail: string,
    readonly errors?: readonly ProblemError[],
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.name = "Refusal";
  }
}

/** Seconds after which a client may try a refused write again. */
export const RETRY_AFTER_SECONDS = 2;

export function unavailable(message: string): Refusal {
  return new Refusal(503, "unavailable", message, undefined, { "retry-after": `${RETRY_AFTER_SECONDS}` });
}

export function notFound(detail: string): Refusal {
  return new Refusal(404, "notFound", detail);
}

export function problemOf(refusal: Refusal): Problem {
  return {
    type: "about:blank",
    title: TITLES[refusal.status] ?? "Error",
    status: refusal.status,
    detail: clip(refusal.detail),
    code: refusal.code,
    ...(refusal.errors?.length
      ? { errors: refusal.errors.map(({ pointer, detail }) => ({ pointer: clip(pointer), detail: clip(detail) })) }
      : {}),
  };
}

export function problemResponse(refusal: Refusal): Response {
  return new Response(JSON.stringify(problemOf(refusal)), {
    status: refusal.status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...refusal.headers },
  });
}

/** A JSON answer of /v1. Never kept by caches: every one tells the state of a moment. */
export function jsonResponse(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

/**
 * What goes wrong between a client and a deck, as one kind of error whose message is a sentence for people and whose
 * `code` is for programs. Owns reading problem documents (RFC 9457) and the original's errors, and naming why a
 * connection could not be made.
 */
import type { Problem } from "../messages/api.ts";
import { tlsProblem } from "../messages/tls.ts";

/**
 * `status` is the HTTP status, 0 when there was no answer. `code` is the problem's own, or one of
 *
 * unreachable   nobody answers at the address
 * timedOut      no answer in time
 * interrupted   the connection broke in the middle of a stream
 * badReply      the answer is none that a deck gives
 */
export class DeckError extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    readonly problem: Problem | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "DeckError";
  }
}

/** The error of a refused request; reads the body, whatever it is. */
export async function refusal(response: Response, address: string): Promise<DeckError> {
  let text = "";
  try {
    text = await response.text();
  } catch {
    // The status alone has to do.
  }
  const body = parseObject(text);
  if (typeof body?.detail === "string" || typeof body?.title === "string") {
    const problem = body as unknown as Problem;
    return new DeckError(problem.code ?? "refused", response.status, problem.detail ?? problem.title, problem);
  }
  if (typeof body?.Message === "string") return new DeckError("refused", response.status, body.Message.trim());
  return new DeckError("badReply", response.status, `${address} answers ${response.status}: is it an Ormen deck?`);
}

/** The error of a request that got no answer. Says it in the words of `connect`(2), not in those of the HTTP library. */
export function unreachable(error: unknown, address: string): DeckError {
  const reason = reasonOf(error);
  return new DeckError("unreachable", 0, `cannot reach the deck at ${address}: ${reason}`, null, { cause: error });
}

export function timedOut(address: string, timeoutMs: number): DeckError {
  return new DeckError("timedOut", 0, `the deck at ${address} did not answer within ${timeoutMs / 1000} s`);
}

export function interrupted(error: unknown, address: string): DeckError {
  return new DeckError("interrupted", 0, `the connection to the deck at ${address} broke: ${reasonOf(error)}`, null, {
    cause: error,
  });
}

function reasonOf(error: unknown): string {
  const cause = (error as { cause?: unknown })?.cause;
  const text = `${messageOf(error)} ${cause === undefined ? "" : messageOf(cause)}`;
  const tls = tlsProblem(text);
  if (tls !== undefined) return tls;
  if (/connection refused/i.test(text)) return "connection refused";
  if (/failed to lookup address|dns error|name or service not known/i.test(text)) return "no such host";
  if (/timed? ?out/i.test(text)) return "timed out";
  if (/network is unreachable|no route to host/i.test(text)) return "no route to that host";
  if (
    /connection reset|connection closed|broken pipe|unexpected eof|incomplete message|error reading a body/i.test(text)
  ) {
    return "connection closed";
  }
  return messageOf(cause ?? error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

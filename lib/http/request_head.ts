/**
 * What is asked of a request's head before anything looks at its meaning: how long its address and its headers are, and
 * that the host it names can be one. Heads of more than about 64 KiB never come so far: Deno.serve itself answers those
 * with 400 and an empty body.
 */
import { Refusal } from "./problems.ts";

export const URL_CHARS_MAX = 8 * 1024;
export const HEADER_CHARS_MAX = 32 * 1024;

/** A name or an address with its port, as in an address's authority. */
const HOST = /^[A-Za-z0-9._~%:[\]-]*$/;

/** Undefined: it may be looked at. */
export function headProblem(request: Request): Refusal | undefined {
  const { url, headers } = request;
  if (url.length > URL_CHARS_MAX) {
    return tooLong(`the address is ${url.length} characters long; at most ${URL_CHARS_MAX} are read`);
  }
  let chars = 0;
  for (const [name, value] of headers) chars += name.length + value.length;
  if (chars > HEADER_CHARS_MAX) {
    return tooLong(`the headers are ${chars} characters long together; at most ${HEADER_CHARS_MAX} are read`);
  }
  const host = headers.get("host");
  // Deno.serve makes the address of it, and what is no address makes whoever reads it throw.
  if ((host !== null && !HOST.test(host)) || !URL.canParse(url)) {
    return new Refusal(400, "badRequest", "the Host header or the request's address is none");
  }
  return undefined;
}

function tooLong(detail: string): Refusal {
  return new Refusal(431, "headTooLarge", detail, undefined, { connection: "close" });
}

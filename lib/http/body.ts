/**
 * Reads a request's body within bounds and turns it into plain data. Owns the limits on size, depth and keys, which hold
 * before anything is validated; leaves the meaning of the data to schemas.
 *
 * 1. No more than the limit is ever held. The HTTP server holds a body to its declared length; without one it is counted here.
 * 2. A body that is not there in time is given up (408): the time grows with the length that is declared or allowed.
 * 3. Data that leaves this module nests no deeper than DEPTH_MAX and has no `__proto__` key.
 */
import type { Clock } from "../contracts/clock.ts";
import { Refusal } from "./problems.ts";
import { duplicateKey } from "./json_keys.ts";
import { scanJson } from "./json_scan.ts";
import { DEPTH_MAX, shapeProblem, tooDeep } from "./plain_data.ts";
import type { Document } from "./plain_data.ts";

export const BODY_BYTES_MAX = 2 ** 20;
export const BATCH_BYTES_MAX = 16 * 2 ** 20;
/** For a body of any size; and what a slow line may take at least, bytes a second. */
const BODY_WITHIN_MS = 10_000;
const BODY_BYTES_PER_SECOND_MIN = 256 * 1024;

/** By which a request's body is timed; one that was made without a server has none and is not. */
const clocks = new WeakMap<Request, Clock>();

export function timeBody(request: Request, clock: Clock): void {
  clocks.set(request, clock);
}

/** A JSON or YAML document of /v1. Throws Refusal 400, 413 or 415. */
export async function readDocument(request: Request, limits: { readonly jsonBytesMax: number }): Promise<Document> {
  const type = contentType(request);
  switch (type) {
    case "application/json": {
      const bytes = await readBytes(request, limits.jsonBytesMax);
      return { bytes, value: parseJson(decodeUtf8(bytes)) };
    }
    case "application/yaml":
    case "application/x-yaml":
    case "text/yaml": {
      const bytes = await readBytes(request, Math.min(limits.jsonBytesMax, BODY_BYTES_MAX));
      // Loaded where it is used: the package takes longer to load than most requests to answer.
      const { parseYaml } = await import("./yaml_text.ts");
      return { bytes, ...parseYaml(decodeUtf8(bytes)) };
    }
    default:
      throw new Refusal(
        415,
        "unsupportedMediaType",
        `${type === "" ? "no content type was given" : `"${type}" is not read here`}; ` +
          "send application/json or application/yaml",
        undefined,
        { accept: "application/json, application/yaml, text/yaml" },
      );
  }
}

/** A JSON body of at most 1 MiB. Throws Refusal 400, 413 or 415. */
export async function readJson(request: Request): Promise<Document> {
  if (contentType(request) !== "application/json") {
    throw new Refusal(415, "unsupportedMediaType", "send application/json");
  }
  const bytes = await readBytes(request, BODY_BYTES_MAX);
  return { bytes, value: parseJson(decodeUtf8(bytes)) };
}

/** A small JSON body that may be left out altogether: then `{}`. */
export async function readOptionalJson(request: Request): Promise<Document> {
  if (request.body === null || request.headers.get("content-length") === "0") {
    return { value: {}, bytes: new Uint8Array() };
  }
  // A chunked body may turn out to be empty, and such a one needs no content type.
  const bytes = await readBytes(request, BODY_BYTES_MAX);
  if (bytes.length === 0) return { value: {}, bytes };
  if (contentType(request) !== "application/json") {
    throw new Refusal(415, "unsupportedMediaType", "send application/json, or no body");
  }
  return { bytes, value: parseJson(decodeUtf8(bytes)) };
}

/** Throws Refusal 413 as soon as the limit is passed. */
export async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const declared = declaredBytes(request);
  if (declared !== null && declared > bytesMax) {
    await request.body?.cancel();
    throw tooLarge(bytesMax);
  }
  try {
    // Reading a stream chunk by chunk takes three times as long as reading it whole.
    const whole = declared === null
      ? readCounted(request.body, bytesMax)
      : request.arrayBuffer().then((buffer) => new Uint8Array(buffer));
    const bytes = await inTime(request, declared ?? bytesMax, whole);
    if (bytes.length > bytesMax) throw tooLarge(bytesMax);
    return bytes;
  } catch (error) {
    // Else the client went away: nobody reads the answer, and it is no failure of ours.
    throw error instanceof Refusal ? error : new Refusal(400, "malformed", "the body broke off");
  }
}

function declaredBytes(request: Request): number | null {
  const text = request.headers.get("content-length");
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** `whole`, or Refusal 408. What comes later is dropped by the server, which cannot be told to close the connection. */
async function inTime(request: Request, bytes: number, whole: Promise<Uint8Array>): Promise<Uint8Array> {
  const clock = clocks.get(request);
  if (!clock) return await whole;
  const withinMs = BODY_WITHIN_MS + Math.ceil(bytes / BODY_BYTES_PER_SECOND_MIN * 1000);
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(
    withinMs,
    () =>
      late.reject(
        new Refusal(408, "tooSlow", `the body did not come within ${Math.round(withinMs / 1000)} s`, undefined, {
          connection: "close",
        }),
      ),
  );
  try {
    return await Promise.race([whole, late.promise]);
  } finally {
    cancel();
    // It fails when the client leaves; that is told to nobody any more.
    whole.catch(() => {});
  }
}

async function readCounted(body: ReadableStream<Uint8Array> | null, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of body ?? []) {
    total += chunk.length;
    // Leaving the loop cancels the stream.
    if (total > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

export function tooLarge(bytesMax: number): Refusal {
  return new Refusal(413, "tooLarge", `the body is larger than ${bytesMax / 2 ** 20} MiB`);
}

export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformedJson(text);
  }
  const problem = shapeProblem(value);
  if (problem) throw new Refusal(400, "malformed", problem);
  const twice = duplicateKey(text, value);
  if (twice) {
    throw new Refusal(400, "malformed", `at ${lineColumn(text, twice.at)}: the key \`${twice.key}\` is there twice`);
  }
  return value;
}

function malformedJson(text: string): Refusal {
  const scan = scanJson(text, DEPTH_MAX);
  switch (scan.kind) {
    case "empty":
      return new Refusal(400, "malformed", "the body is empty; a JSON document was expected");
    case "cut":
      return new Refusal(400, "malformed", `malformed JSON: it ends too early at ${lineColumn(text, text.length)}`);
    case "invalid":
      return new Refusal(400, "malformed", `malformed JSON at ${lineColumn(text, scan.at)}: ${scan.message}`);
    case "tooDeep":
      return new Refusal(400, "malformed", tooDeep());
    case "value":
      return new Refusal(400, "malformed", `malformed JSON at ${lineColumn(text, scan.end)}: text after the document`);
    default:
      return scan satisfies never;
  }
}

/** `line:column`, both from 1. */
function lineColumn(text: string, at: number): string {
  const before = text.slice(0, at);
  return `${before.split("\n").length}:${at - before.lastIndexOf("\n")}`;
}

function contentType(request: Request): string {
  return (request.headers.get("content-type") ?? "").split(";", 1)[0].trim().toLowerCase();
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal(400, "malformed", "the body is not UTF-8");
  }
}

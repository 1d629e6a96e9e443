/**
 * One HTTP request of a workflow's step, with its redirects. By node:http and not fetch, for the reasons of prober.ts, and
 * because the address that was judged must be the one that is dialled. No cookies, no proxy, one connection a hop.
 */
import { request as requestHttp } from "node:http";
import type { IncomingMessage, RequestOptions } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";
import { rootCertificates } from "node:tls";
import type { HttpRequestSpec } from "../core/documents/task.ts";
import { byteLength } from "../core/documents/task.ts";
import type { HttpAnswer } from "../core/outgoing.ts";
import { HEADERS_BYTES_MAX, HEADERS_MAX } from "../core/outgoing.ts";
import { addressesOf } from "./http_address.ts";

export const REDIRECTS_MAX = 5;

/** They belong to the connection, or follow from the body. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** What was meant for one server is told to no other. */
const CONFIDENTIAL: ReadonlySet<string> = new Set(["authorization", "cookie", "host", "proxy-authorization"]);
/** No connection came about, so that the next address of the same name may be tried. */
const NOT_CONNECTED: ReadonlySet<string> = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"]);

export interface Hop {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export interface Exchange {
  /** Aborting breaks it off. */
  readonly signal: AbortSignal;
  /** PEM: authorities that are trusted besides the system's. */
  readonly caCerts: readonly string[];
  readonly onRedirect: (from: Hop, status: number, to: Hop) => void;
  readonly onAnswer: (hop: Hop, answer: HttpAnswer) => void;
  /** Of the last answer's body. False: no more of it is wanted. */
  readonly onBody: (data: Uint8Array) => boolean;
}

/** Resolves when the answer is there, or as much of its body as is wanted. Throws a sentence when none came. */
export async function makeRequest(spec: HttpRequestSpec, exchange: Exchange): Promise<void> {
  let hop = firstHop(spec);
  for (let redirects = 0;; redirects++) {
    const answer = await answerOf(hop, exchange);
    const next = nextHop(hop, answer);
    if (!next) {
      exchange.onAnswer(hop, { status: answer.statusCode!, headers: headersOf(answer) });
      for await (const data of answer) if (!exchange.onBody(data)) break;
      return;
    }
    answer.destroy();
    if (redirects === REDIRECTS_MAX) throw new Error(`it was redirected more than ${REDIRECTS_MAX} times`);
    exchange.onRedirect(hop, answer.statusCode!, next);
    hop = next;
  }
}

function firstHop({ url, method, headers, body }: HttpRequestSpec): Hop {
  const own = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  const known = own.filter(([name]) => !OWN_HEADERS.has(name));
  if (method.toUpperCase() === "CONNECT") throw new Error("CONNECT asks for a tunnel, which is no request");
  return { method: method.toUpperCase(), url: urlOf(url), headers: Object.fromEntries(known), body };
}

function urlOf(text: string, base?: URL): URL {
  if (!URL.canParse(text, base)) throw new Error(`not a URL: ${text}`);
  const url = new URL(text, base);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new Error(`not a URL of http or https: ${url}`);
  if (url.username || url.password) throw new Error("a URL bears no user and password; say it in a header");
  return url;
}

/** Undefined: the answer is the last one. As fetch has it: 303 asks with GET, and so do 301 and 302 after a POST. */
function nextHop(hop: Hop, answer: IncomingMessage): Hop | undefined {
  const { statusCode: status, headers: { location } } = answer;
  if (![301, 302, 303, 307, 308].includes(status!) || location === undefined) return undefined;
  const url = urlOf(location, hop.url);
  const isSame = url.origin === hop.url.origin;
  const asksAnew = status === 303 ? hop.method !== "HEAD" : status! <= 302 && hop.method === "POST";
  const kept = Object.entries(hop.headers).filter(([name]) =>
    (isSame || !CONFIDENTIAL.has(name)) && !(asksAnew && name.startsWith("content-"))
  );
  const headers = Object.fromEntries(kept);
  return asksAnew ? { method: "GET", url, headers, body: null } : { ...hop, url, headers };
}

async function answerOf(hop: Hop, exchange: Exchange): Promise<IncomingMessage> {
  const addresses = await unlessAborted(addressesOf(hop.url.hostname), exchange.signal);
  for (const [index, address] of addresses.entries()) {
    exchange.signal.throwIfAborted();
    try {
      return await ask(hop, address, exchange);
    } catch (error) {
      const { code } = error as { code?: string };
      if (index === addresses.length - 1 || !NOT_CONNECTED.has(code ?? "")) throw error;
    }
  }
  throw new Error(`${hop.url.hostname} has no address`);
}

/** Also where what is waited for cannot be broken off: a look-up takes as long as the machine's resolver likes. */
function unlessAborted<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave);
    waited.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

function ask({ method, url, headers, body }: Hop, address: string, exchange: Exchange): Promise<IncomingMessage> {
  const isTls = url.protocol === "https:";
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const options: RequestOptions & Record<string, unknown> = {
    method,
    host: address,
    port: url.port === "" ? (isTls ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
    headers: {
      host: url.host,
      "user-agent": "ormen",
      accept: "*/*",
      ...headers,
      connection: "close",
      ...(body === null ? {} : { "content-length": String(byteLength(body)) }),
    },
    agent: false,
    signal: exchange.signal,
    // An address has no name to be told to the server; its certificate must have it all the same.
    ...(isTls && isIP(name) === 0 ? { servername: name } : {}),
    ...(isTls && exchange.caCerts.length > 0 ? { ca: [...rootCertificates, ...exchange.caCerts] } : {}),
  };
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    const sent = isTls ? requestHttps(options, resolve) : requestHttp(options, resolve);
    sent.on("error", reject);
    sent.on("upgrade", (_answer, socket) => {
      socket.destroy();
      reject(new Error("the server went over to another protocol"));
    });
    sent.end(body ?? undefined);
  });
  // A request that has neither answer nor error when it is broken off tells nothing of that.
  return unlessAborted(answered, exchange.signal);
}

/** Names in small letters, the first ones that fit. */
function headersOf(answer: IncomingMessage): Record<string, string> {
  let left = HEADERS_BYTES_MAX;
  const texts = Object.entries(answer.headers).slice(0, HEADERS_MAX)
    .map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value ?? "")] as const);
  return Object.fromEntries(texts.filter(([name, value]) => (left -= byteLength(name) + byteLength(value)) >= 0));
}

/** In words of our own where the usual ones say little. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  switch (code) {
    case "ECONNREFUSED":
      return "connection refused";
    case "ECONNRESET":
      return "the connection was closed";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "no way leads there";
    case "ETIMEDOUT":
      return "nobody answers there";
    default:
      return message;
  }
}

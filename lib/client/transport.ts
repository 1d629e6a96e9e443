/**
 * HTTP to one deck: its address, the token, time limits, and the translation of failures into `DeckError`.
 * Knows nothing of tasks or nodes.
 */
import { DeckError, interrupted, refusal, timedOut, unreachable } from "./errors.ts";

export interface ConnectOptions {
  /** Sent as a bearer token. */
  readonly token?: string | null;
  /** PEM: authorities that are trusted besides the system's. */
  readonly caCerts?: readonly string[];
  /** How long one document may take to come, milliseconds; 30 s unless said. Streams have no limit. */
  readonly timeoutMs?: number;
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Milliseconds; null: none. */
  readonly timeoutMs?: number | null;
}

/** The type lacks the client, which Deno takes. */
const SocketWithOptions = WebSocket as unknown as new (
  url: string,
  options: { headers: Record<string, string>; client?: Deno.HttpClient },
) => WebSocket;

export const DEFAULT_PORT = 5555;
const TIMEOUT_MS = 30_000;

export class Transport {
  /** As people write it: `deck:5555`. */
  readonly address: string;
  /** Without a slash at the end. */
  readonly url: string;
  readonly #token: string | null;
  readonly #timeoutMs: number;
  readonly #caCerts: readonly string[];
  #client: Deno.HttpClient | undefined;

  constructor(address: string, options: ConnectOptions) {
    this.url = urlOf(address);
    this.address = this.url.replace(/^http:\/\//, "");
    this.#token = options.token || null;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#caCerts = options.caCerts ?? [];
  }

  /** Throws `DeckError` unless the answer's status is 2xx. An abort by the caller's own signal passes through. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const timeoutMs = options.timeoutMs === undefined ? this.#timeoutMs : options.timeoutMs;
    const limit = new AbortController();
    const timer = timeoutMs === null ? undefined : setTimeout(() => limit.abort(), timeoutMs);
    const signal = options.signal ? AbortSignal.any([options.signal, limit.signal]) : limit.signal;
    let response: Response;
    try {
      response = await fetch(this.url + path, {
        method,
        signal,
        headers: {
          ...(options.body === undefined ? {} : { "content-type": "application/json" }),
          ...this.authorization(),
          ...options.headers,
        },
        body: options.body === undefined ? undefined : JSON.stringify(options.body),
        ...this.#trust(),
      });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw limit.signal.aborted ? timedOut(this.address, timeoutMs!) : unreachable(error, this.address);
    } finally {
      clearTimeout(timer);
    }
    if (!response.ok) throw await refusal(response, this.address);
    return response;
  }

  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.request(method, path, {
      ...options,
      headers: { accept: "application/json", ...options.headers },
    });
    let text: string;
    try {
      text = await response.text();
    } catch (error) {
      throw interrupted(error, this.address);
    }
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new DeckError("badReply", response.status, `${this.address} does not answer JSON: is it an Ormen deck?`);
    }
  }

  /** For requests whose answer is of no interest. */
  async done(method: string, path: string, options: RequestOptions = {}): Promise<void> {
    const response = await this.request(method, path, options);
    await response.body?.cancel();
  }

  /** Lines of a streamed answer, without their ends. Ends early, without an error, when `signal` is aborted. */
  async *lines(response: Response, signal?: AbortSignal): AsyncGenerator<string> {
    let rest = "";
    try {
      for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
        const parts = (rest + text).split("\n");
        rest = parts.pop()!;
        for (const line of parts) yield line.endsWith("\r") ? line.slice(0, -1) : line;
      }
    } catch (error) {
      if (signal?.aborted) return;
      throw interrupted(error, this.address);
    }
    if (rest !== "") yield rest;
  }

  /** An open socket; its failure before it opened is `unreachable`. */
  socket(path: string): Promise<WebSocket> {
    const socket = new SocketWithOptions(this.url.replace(/^http/, "ws") + path, {
      headers: this.authorization(),
      ...this.#trust(),
    });
    socket.binaryType = "arraybuffer";
    return new Promise((resolve, reject) => {
      socket.onopen = () => resolve(socket);
      socket.onerror = (event) => reject(unreachable(new Error((event as ErrorEvent).message), this.address));
    });
  }

  /** Made when it is needed: most decks are on loopback. */
  #trust(): { client?: Deno.HttpClient } {
    if (this.#caCerts.length === 0) return {};
    return { client: this.#client ??= Deno.createHttpClient({ caCerts: [...this.#caCerts] }) };
  }

  authorization(): Record<string, string> {
    return this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
  }
}

/** `deck:5555`, `deck`, `:5555`, `[::1]:5555` and URLs. Throws `DeckError` "badAddress". */
export function urlOf(address: string): string {
  const trimmed = address.trim();
  const text = /^https?:\/\//.test(trimmed)
    ? trimmed
    : `http://${trimmed.startsWith(":") ? "localhost" : ""}${trimmed}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (trimmed === "" || !url || !url.hostname || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new DeckError("badAddress", 0, `not a deck's address: "${address}"; write host:port, such as localhost:5555`);
  }
  // URL drops port 80 of http, and who writes it means it.
  const port = url.port !== "" || /:\d+\/?$/.test(text) || url.protocol === "https:" ? "" : `:${DEFAULT_PORT}`;
  return url.protocol + "//" + url.host + port + url.pathname.replace(/\/+$/, "");
}

/** `?a=1&b=2` of what is set, or nothing. */
export function query(values: Readonly<Record<string, string | number | boolean | null | undefined>>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== false) search.set(key, String(value));
  }
  return search.size === 0 ? "" : `?${search}`;
}

/**
 * The deck's event stream: server-sent events, followed across breaks. After a break it asks for what came after the
 * last event it gave out (`Last-Event-ID`), so that the caller sees each event once and in order.
 */
import type { EventView } from "../messages/api.ts";
import { DeckError } from "./errors.ts";
import { query, type Transport } from "./transport.ts";

export interface EventsOptions {
  /** Only events after this id; from now on unless said. */
  readonly after?: number | null;
  /** Only events of the run with this id. */
  readonly run?: string;
  readonly signal?: AbortSignal;
  /** Called each time the stream stands anew, and when events were lost: time to look at the state itself. */
  readonly onOpen?: () => void;
  /** Called each time the deck could not be reached, before it is tried again. */
  readonly onAway?: (error: unknown) => void;
  /** How long a deck may be away before the stream fails, milliseconds; 60 s unless said. */
  readonly patienceMs?: number;
  /** Waits between two tries; tests put their own here. */
  readonly pause?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const PATIENCE_MS = 60_000;
const PAUSE_MS = 200;
const PAUSE_MS_MAX = 5000;

/** Ends when `signal` is aborted. Throws `DeckError` when the first connection fails, or the deck stays away. */
export async function* followEvents(transport: Transport, options: EventsOptions = {}): AsyncGenerator<EventView> {
  const pause = options.pause ?? wait;
  const patienceMs = options.patienceMs ?? PATIENCE_MS;
  const { signal } = options;
  let last = options.after ?? null;
  let opened = false;
  let pauseMs = PAUSE_MS;
  let awayMs = 0;
  while (!signal?.aborted) {
    try {
      const response = await transport.request("GET", `/v1/events${query({ run: options.run })}`, {
        signal,
        // No limit: a stream that stands may be silent until something happens.
        timeoutMs: null,
        headers: { accept: "text/event-stream", ...(last === null ? {} : { "last-event-id": String(last) }) },
      });
      opened = true;
      options.onOpen?.();
      for await (const message of parseEvents(transport.lines(response, signal))) {
        if (message.event === "gap") {
          // What is missing is not kept any more, or the deck's data was replaced and its ids begin anew.
          last = null;
          options.onOpen?.();
          continue;
        }
        const event = eventOf(message.data);
        if (event === undefined || (last !== null && event.id <= last)) continue;
        last = event.id;
        pauseMs = PAUSE_MS;
        awayMs = 0;
        yield event;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!opened || !isPassing(error) || awayMs >= patienceMs) throw error;
      options.onAway?.(error);
    }
    if (signal?.aborted) return;
    await pause(pauseMs, signal);
    awayMs += pauseMs;
    pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2);
  }
}

/** One message of a server-sent stream: fields of equal name are joined by line ends, comments are dropped. */
export async function* parseEvents(
  lines: AsyncIterable<string>,
): AsyncGenerator<{ readonly id: string | null; readonly event: string; readonly data: string }> {
  let id: string | null = null;
  let event = "message";
  let data: string[] = [];
  for await (const line of lines) {
    if (line === "") {
      if (data.length > 0) yield { id, event, data: data.join("\n") };
      [id, event, data] = [null, "message", []];
      continue;
    }
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "id") id = value;
    else if (field === "event") event = value;
  }
}

/** Undefined: a message of another kind, such as the deck's word that it closes a stream that lags. */
function eventOf(data: string): EventView | undefined {
  try {
    const value = JSON.parse(data);
    return typeof value?.id === "number" && typeof value.kind === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof DeckError && (error.status === 0 || error.status >= 500);
}

/** Until the time is over, or `signal` is aborted. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}

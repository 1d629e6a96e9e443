/**
 * Where a service answers, now and after each change, across breaks of the connection: while the deck is away the last list
 * holds. Ends when the service is gone or `signal` is aborted.
 */
import type { AddressList } from "../messages/service_api.ts";
import { DeckError } from "./errors.ts";
import { parseEvents, wait } from "./sse.ts";
import type { Transport } from "./transport.ts";

export interface WatchAddressesOptions {
  readonly signal?: AbortSignal;
  /** Called each time the deck could not be reached, before it is tried again. */
  readonly onAway?: (error: unknown) => void;
  /** Waits between two tries; tests put their own here. */
  readonly pause?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const PAUSE_MS = 200;
const PAUSE_MS_MAX = 5_000;

/** Throws `DeckError` when the first connection fails, or the deck refuses. */
export async function* watchAddresses(
  transport: Transport,
  service: string,
  options: WatchAddressesOptions = {},
): AsyncGenerator<AddressList> {
  const { signal, onAway } = options;
  const pause = options.pause ?? wait;
  let opened = false;
  let pauseMs = PAUSE_MS;
  while (!signal?.aborted) {
    try {
      const response = await transport.request("GET", `/v1/services/${encodeURIComponent(service)}/addresses`, {
        signal,
        // A stream that stands may be silent until something changes.
        timeoutMs: null,
        headers: { accept: "text/event-stream" },
      });
      opened = true;
      for await (const message of parseEvents(transport.lines(response, signal))) {
        if (message.event === "gone") return;
        if (message.event !== "addresses") continue;
        pauseMs = PAUSE_MS;
        yield JSON.parse(message.data) as AddressList;
      }
    } catch (error) {
      if (signal?.aborted) return;
      const isPassing = error instanceof DeckError && (error.status === 0 || error.status >= 500);
      if (!opened || !isPassing) throw error;
      onAway?.(error);
    }
    if (signal?.aborted) return;
    await pause(pauseMs, signal);
    pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2);
  }
}

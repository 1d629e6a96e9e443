/**
 * Watching one thing that the deck keeps: its view now and after each change, until it is over. Each look reads the whole
 * (level-triggered); events only say when to look, so that nothing is missed over a restart of the deck. Many events while
 * one look is under way are one look more.
 */
import type { EventView } from "../messages/api.ts";
import type { Deck } from "./client.ts";
import { DeckError } from "./errors.ts";
import type { EventsOptions } from "./sse.ts";

export interface WatchOptions {
  readonly signal?: AbortSignal;
  /** Least time between two looks, milliseconds; 200 unless said. What takes long to read is looked at less often. */
  readonly everyMs?: number;
  /** Called when the deck does not answer; it is tried again. */
  readonly onAway?: (error: unknown) => void;
  /** How long it may be away before the watch fails, milliseconds; 60 s unless said. */
  readonly patienceMs?: number;
}

/** What is watched. */
export interface Watched<T> {
  readonly look: () => Promise<T>;
  readonly isOver: (seen: T) => boolean;
  /** Of the deck's events, those that concern it; a look follows each. */
  readonly concerns: (event: EventView) => boolean;
  /** Only events of this run are asked for. */
  readonly run?: string;
  /** It is also looked at this often, milliseconds; never unless said. */
  readonly atLeastEveryMs?: number;
}

const EVERY_MS = 200;
const RETRY_MS = 500;
/** Of the time, looking takes a quarter at most. */
const REST_FACTOR = 3;

/**
 * What `first` showed, and whatever differs from it later. Ends when it is over or `signal` is aborted. Throws `DeckError`
 * when the deck stays away, or refuses.
 */
export async function* watchState<T>(
  deck: Deck,
  first: T,
  watched: Watched<T>,
  options: WatchOptions = {},
): AsyncGenerator<T> {
  const everyMs = options.everyMs ?? EVERY_MS;
  yield first;
  if (watched.isOver(first)) return;
  const bell = createBell();
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  signal.addEventListener("abort", bell.ring);
  const { patienceMs, onAway } = options;
  const listening = listen(deck, watched.concerns, { run: watched.run, signal, patienceMs, onAway }, bell);
  const { atLeastEveryMs } = watched;
  const timer = atLeastEveryMs === undefined ? undefined : setInterval(bell.ring, atLeastEveryMs);
  try {
    while (true) {
      await bell.rung();
      if (signal.aborted) return;
      const beganMs = performance.now();
      const seen = await look(watched.look, options);
      const tookMs = performance.now() - beganMs;
      if (signal.aborted) return;
      if (seen === null) bell.ring();
      else {
        yield seen;
        if (watched.isOver(seen)) return;
      }
      await rest(seen === null ? RETRY_MS : Math.max(everyMs, tookMs * REST_FACTOR), signal);
    }
  } finally {
    clearInterval(timer);
    ended.abort();
    await listening;
  }
}

/** Rings for every event that counts, each time the stream stands anew, and at its failure, which `rung` then throws. */
async function listen(
  deck: Deck,
  concerns: (event: EventView) => boolean,
  options: EventsOptions,
  bell: Bell,
): Promise<void> {
  try {
    for await (const event of deck.events({ ...options, onOpen: bell.ring })) if (concerns(event)) bell.ring();
  } catch (error) {
    bell.fail(error);
  }
}

/** Null: the deck is away for now; how long it may be is the event stream's to judge. */
async function look<T>(again: () => Promise<T>, options: WatchOptions): Promise<T | null> {
  try {
    return await again();
  } catch (error) {
    if (!(error instanceof DeckError) || (error.status > 0 && error.status < 500)) throw error;
    options.onAway?.(error);
    return null;
  }
}

interface Bell {
  readonly ring: () => void;
  fail(error: unknown): void;
  /** Resolves when it was rung since the last time. */
  rung(): Promise<void>;
}

function createBell(): Bell {
  let due = false;
  let failure: { readonly error: unknown } | null = null;
  let wake = () => {};
  const ring = () => {
    due = true;
    wake();
  };
  return {
    ring,
    fail(error) {
      failure = { error };
      ring();
    },
    async rung() {
      if (!due) await new Promise<void>((resolve) => wake = resolve);
      if (failure) throw failure.error;
      due = false;
    },
  };
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

/**
 * Watching one run: its view now and after each change, until it has ended. Each look reads the whole run
 * (level-triggered); events only say when to look, so that nothing is missed over a restart of the deck. Many events
 * while one look is under way are one look more.
 */
import type { RunView } from "../messages/run_api.ts";
import type { Deck } from "./client.ts";
import { DeckError } from "./errors.ts";
import type { EventsOptions } from "./sse.ts";

export interface WatchRunOptions {
  readonly signal?: AbortSignal;
  /** Least time between two looks, milliseconds; 200 unless said. A run that takes long to read is looked at less often. */
  readonly everyMs?: number;
  /** Called when the deck does not answer; it is tried again. */
  readonly onAway?: (error: unknown) => void;
  /** How long it may be away before the watch fails, milliseconds; 60 s unless said. */
  readonly patienceMs?: number;
}

const EVERY_MS = 200;
const RETRY_MS = 500;
/** Of the time, looking takes a quarter at most. */
const REST_FACTOR = 3;

const FINAL: ReadonlySet<string> = new Set(["succeeded", "warning", "failed", "cancelled", "timedOut"]);

export function isFinalRun(state: RunView["state"]): boolean {
  return FINAL.has(state);
}

/** Ends when the run has ended or `signal` is aborted. Throws `DeckError` when the first look fails, or the deck stays away. */
export async function* watchRun(deck: Deck, reference: string, options: WatchRunOptions = {}): AsyncGenerator<RunView> {
  const everyMs = options.everyMs ?? EVERY_MS;
  let run = await deck.run(reference);
  yield run;
  if (isFinalRun(run.state)) return;
  const bell = createBell();
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  signal.addEventListener("abort", bell.ring);
  const listening = listen(deck, { run: run.id, signal, patienceMs: options.patienceMs, onAway: options.onAway }, bell);
  try {
    while (true) {
      await bell.rung();
      if (signal.aborted) return;
      const beganMs = performance.now();
      const seen = await look(deck, run.id, options);
      const tookMs = performance.now() - beganMs;
      if (signal.aborted) return;
      if (seen === null) bell.ring();
      else {
        yield run = seen;
        if (isFinalRun(run.state)) return;
      }
      await rest(seen === null ? RETRY_MS : Math.max(everyMs, tookMs * REST_FACTOR), signal);
    }
  } finally {
    ended.abort();
    await listening;
  }
}

/** Rings for every event, each time the stream stands anew, and at its failure, which `rung` then throws. */
async function listen(deck: Deck, options: EventsOptions, bell: Bell): Promise<void> {
  try {
    for await (const _ of deck.events({ ...options, onOpen: bell.ring })) bell.ring();
  } catch (error) {
    bell.fail(error);
  }
}

/** Null: the deck is away for now; how long it may be is the event stream's to judge. */
async function look(deck: Deck, id: string, options: WatchRunOptions): Promise<RunView | null> {
  try {
    return await deck.run(id);
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

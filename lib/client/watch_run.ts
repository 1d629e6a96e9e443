/** Watching one run: its view now and after each change, until it has ended. */
import type { RunView } from "../messages/run_api.ts";
import type { Deck } from "./client.ts";
import type { WatchOptions } from "./watch_state.ts";
import { watchState } from "./watch_state.ts";

export type WatchRunOptions = WatchOptions;

const FINAL: ReadonlySet<string> = new Set(["succeeded", "warning", "failed", "cancelled", "timedOut"]);

export function isFinalRun(state: RunView["state"]): boolean {
  return FINAL.has(state);
}

/** Ends when the run has ended or `signal` is aborted. Throws `DeckError` when the first look fails, or the deck stays away. */
export async function* watchRun(deck: Deck, reference: string, options: WatchRunOptions = {}): AsyncGenerator<RunView> {
  const run = await deck.run(reference);
  yield* watchState(deck, run, {
    look: () => deck.run(run.id),
    isOver: ({ state }) => isFinalRun(state),
    concerns: () => true,
    run: run.id,
  }, options);
}

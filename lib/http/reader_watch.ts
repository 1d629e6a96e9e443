/**
 * Notices a reader who has stopped taking what he asked for. A connection whose buffers are full asks for nothing more, and
 * the server tells nobody: without this it would hold its place in the deck, and a stream at a sailor, for ever.
 */
import type { Clock } from "../contracts/clock.ts";

/** A piece that was handed over and not taken for so long has nobody who wants it. */
export const STALL_MS = 60_000;

export interface ReaderWatch {
  /** A piece was handed over. */
  gave(): void;
  /** The reader asks for more, or is gone. */
  asked(): void;
}

export function watchReader(clock: Clock, onStalled: () => void): ReaderWatch {
  let cancel = () => {};
  return {
    gave() {
      cancel();
      cancel = clock.after(STALL_MS, onStalled);
    },
    asked() {
      cancel();
      cancel = () => {};
    },
  };
}

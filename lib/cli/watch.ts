/**
 * Telling a watcher when to look again: once the event stream stands, after events, and on a terminal every second,
 * because relative times age. Many events while one look is under way are one look more.
 */
import type { Deck } from "../client/client.ts";
import type { Io } from "./io.ts";

/** Never ends by itself; throws what the event stream throws. */
export async function* looks(deck: Deck, everyMs: number | null): AsyncGenerator<void> {
  const controller = new AbortController();
  let due = false;
  let failure: unknown = null;
  let wake = () => {};
  const look = () => {
    due = true;
    wake();
  };
  const timer = everyMs === null ? undefined : setInterval(look, everyMs);
  const listening = (async () => {
    try {
      // Each time the stream stands anew, something may have been missed.
      for await (const _ of deck.events({ signal: controller.signal, onOpen: look })) look();
    } catch (error) {
      failure = error;
      wake();
    }
  })();
  try {
    while (true) {
      if (failure !== null) throw failure;
      if (due) {
        due = false;
        yield;
      } else await new Promise<void>((resume) => wake = resume);
    }
  } finally {
    clearInterval(timer);
    controller.abort();
    await listening;
  }
}

export const REDRAW_EVERY_MS = 1000;

/** Puts `text` in place of what the screen shows, without the flicker of clearing it first. */
export function redraw(io: Io, text: string): void {
  const { rows } = io.size();
  const lines = text.trimEnd().split("\n");
  const shown = lines.length < rows ? lines : [...lines.slice(0, rows - 2), `... ${lines.length - rows + 2} more`];
  io.out(`\x1b[H${shown.map((line) => `${line}\x1b[K`).join("\n")}\n\x1b[J`);
}

export function clearScreen(io: Io): void {
  io.out("\x1b[2J\x1b[H");
}

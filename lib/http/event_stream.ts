/**
 * The deck's events as a server-sent stream (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 * 1. A watcher gets every event after its starting point once and in order: first from what the deck keeps, page by page at
 *    the connection's pace, then live. The change from one to the other happens within one turn, so nothing falls between.
 * 2. A watcher holds at most QUEUE_MAX events. One that falls further behind is cut off; it comes back with Last-Event-ID
 *    and loses nothing that is still kept.
 * 3. One that does not take what it was sent for a minute is cut off too: it holds a connection and reads nothing.
 * 4. Asked for events that are not kept any more, it is told so first (`event: gap`), and looks at the state itself.
 */
import type { Clock } from "../contracts/clock.ts";
import type { DeckApi, EventSubscription } from "../deck/api.ts";
import type { EventView } from "../messages/api.ts";
import { watchReader } from "./reader_watch.ts";

export const QUEUE_MAX = 1000;
export const KEEP_ALIVE_MS = 15_000;
const PAGE = 100;
const RETRY_MS = 1000;

/** `after`: id of the last event that the watcher has; null: from now on. `run`: only events of this run. */
export function eventStream(
  deck: DeckApi,
  clock: Clock,
  after: number | null,
  run?: string,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let feed: EventFeed;
  let fail = (_reason: string) => {};
  const reader = watchReader(clock, () => {
    feed.close();
    fail("the watcher does not read");
  });
  return new ReadableStream<Uint8Array>({
    start(controller) {
      fail = (reason) => {
        reader.asked();
        controller.error(new Error(reason));
      };
      feed = new EventFeed(deck, clock, after, run, () => fail("the watcher does not keep up"));
    },
    async pull(controller) {
      reader.asked();
      const text = await feed.next();
      if (text === null) return;
      controller.enqueue(encoder.encode(text));
      reader.gave();
    },
    cancel() {
      reader.asked();
      feed.close();
    },
  }, { highWaterMark: 0 });
}

class EventFeed {
  readonly #deck: DeckApi;
  readonly #clock: Clock;
  readonly #run: string | undefined;
  readonly #onLagging: () => void;
  #head: string;
  #cursor: number;
  #queue: EventView[] = [];
  #subscription: EventSubscription | null = null;
  #cancelKeepAlive = () => {};
  #keepAliveDue = false;
  #wake: ((text: string | null) => void) | null = null;
  #closed = false;

  constructor(deck: DeckApi, clock: Clock, after: number | null, run: string | undefined, onLagging: () => void) {
    this.#deck = deck;
    this.#clock = clock;
    this.#run = run;
    this.#onLagging = onLagging;
    const { oldest, newest } = deck.eventRange();
    this.#cursor = after ?? newest;
    this.#head = `retry: ${RETRY_MS}\n\n`;
    // Beyond the newest: the deck's data was replaced since. Both ways the watcher's picture may be wrong.
    const isGap = after !== null && (after > newest || (oldest > 0 && after < oldest - 1));
    if (isGap) {
      this.#cursor = Math.max(0, oldest - 1);
      this.#head += `event: gap\ndata: ${JSON.stringify({ after, oldest, newest })}\n\n`;
    }
  }

  /** Text to send; waits until there is some. Null: the watcher is gone. */
  next(): Promise<string | null> {
    if (this.#closed) return Promise.resolve(null);
    if (this.#head !== "") {
      const head = this.#head;
      this.#head = "";
      return Promise.resolve(head);
    }
    if (this.#subscription === null) {
      const events = this.#past();
      if (events.length > 0) return Promise.resolve(this.#take(events));
      this.#subscription = this.#deck.subscribe((fresh) => this.#receive(fresh));
      this.#keepAlive();
    }
    if (this.#queue.length > 0) return Promise.resolve(this.#take(this.#queue.splice(0, PAGE)));
    if (this.#keepAliveDue) return Promise.resolve(this.#comment());
    return new Promise((resolve) => this.#wake = resolve);
  }

  /** The next page of what is kept and wanted; empty at its end. */
  #past(): readonly EventView[] {
    while (true) {
      const events = this.#deck.listEvents(this.#cursor, PAGE);
      if (events.length === 0) return events;
      this.#cursor = events[events.length - 1].id;
      const wanted = events.filter((event) => this.#wants(event));
      if (wanted.length > 0) return wanted;
    }
  }

  #wants(event: EventView): boolean {
    return this.#run === undefined || event.runId === this.#run;
  }

  close(): void {
    this.#closed = true;
    this.#cancelKeepAlive();
    this.#subscription?.close();
    this.#queue = [];
    this.#resume(null);
  }

  #receive(events: readonly EventView[]): void {
    if (this.#closed) return;
    for (const event of events) if (this.#wants(event)) this.#queue.push(event);
    if (this.#queue.length > QUEUE_MAX) {
      this.close();
      this.#onLagging();
    } else if (this.#wake && this.#queue.length > 0) {
      this.#resume(this.#take(this.#queue.splice(0, PAGE)));
    }
  }

  /** Tells both ends, and every proxy between them, that a silent stream still stands. */
  #keepAlive(): void {
    this.#cancelKeepAlive = this.#clock.after(KEEP_ALIVE_MS, () => {
      // At most one is owed, however long nobody reads.
      this.#keepAliveDue = true;
      if (this.#wake) this.#resume(this.#comment());
      this.#keepAlive();
    });
  }

  #comment(): string {
    this.#keepAliveDue = false;
    return ": keep-alive\n\n";
  }

  #resume(text: string | null): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.(text);
  }

  #take(events: readonly EventView[]): string {
    return events.map((event) => `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`).join("");
  }
}

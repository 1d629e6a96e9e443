/**
 * Virtual time: what is to happen, in the order of its time, what is of one time in the order of its making.
 * After each event everything that waits for no time goes on, until nothing more does.
 */
import { setImmediate } from "node:timers";

interface Event {
  readonly dueMs: number;
  readonly order: number;
  task: (() => void) | null;
}

export class Schedule {
  nowMs = 0;
  events = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  after(delayMs: number, task: () => void): () => void {
    const event: Event = { dueMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, task };
    this.#push(event);
    return () => void (event.task = null);
  }

  /** Runs what falls due up to `untilMs`; `onEvent` answers whether to go on. */
  async run(untilMs: number, onEvent: () => boolean): Promise<void> {
    for (let event = this.#heap[0]; event && event.dueMs <= untilMs; event = this.#heap[0]) {
      this.#pop();
      if (!event.task) continue;
      this.nowMs = Math.max(this.nowMs, event.dueMs);
      this.events++;
      event.task();
      // A turn of the event loop comes only after all microtasks, however many follow from each other.
      await new Promise<void>((resolve) => void setImmediate(resolve));
      if (!onEvent()) return;
    }
    this.nowMs = untilMs;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** Things in the order of their due times: a binary heap. Of two that are due at the same time either may come first. */
export interface DueQueue<T> {
  add(item: T): void;
  clear(): void;
  /** Takes out the earliest if it is due at `nowMs`. */
  takeDue(nowMs: number): T | undefined;
  /** Undefined: it is empty. */
  earliestMs(): number | undefined;
}

export function createDueQueue<T extends { readonly dueMs: number }>(): DueQueue<T> {
  const heap: T[] = [];
  const swap = (a: number, b: number) => [heap[a], heap[b]] = [heap[b], heap[a]];
  const earlier = (a: number, b: number) => heap[a].dueMs < heap[b].dueMs;

  function rise(at: number): void {
    for (let parent = (at - 1) >> 1; at > 0 && earlier(at, parent); at = parent, parent = (at - 1) >> 1) {
      swap(at, parent);
    }
  }

  function sink(at: number): void {
    while (true) {
      let first = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < heap.length && earlier(child, first)) first = child;
      if (first === at) return;
      swap(at, first);
      at = first;
    }
  }

  return {
    add(item) {
      heap.push(item);
      rise(heap.length - 1);
    },
    clear: () => void (heap.length = 0),
    takeDue(nowMs) {
      const first = heap[0];
      if (!first || first.dueMs > nowMs) return undefined;
      const last = heap.pop()!;
      if (heap.length > 0) {
        heap[0] = last;
        sink(0);
      }
      return first;
    },
    earliestMs: () => heap[0]?.dueMs,
  };
}

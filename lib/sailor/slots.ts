/** So many at once, the others in the order of their coming. */
export interface Slots {
  use<T>(task: () => Promise<T>): Promise<T>;
}

export function createSlots(width: number): Slots {
  let free = width;
  const waiting: (() => void)[] = [];
  return {
    async use(task) {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await task();
      } finally {
        const next = waiting.shift();
        if (next) next();
        else free++;
      }
    },
  };
}

/** So many at once; of the others those that go on with something first, then in the order of their coming. */
export interface Slots {
  /** `goesOn`: before all that begin something new, so that what was begun comes to its end. */
  use<T>(task: () => Promise<T>, options?: { readonly goesOn?: boolean }): Promise<T>;
}

export function createSlots(width: number): Slots {
  let free = width;
  const beginning: (() => void)[] = [];
  const goingOn: (() => void)[] = [];
  return {
    async use(task, { goesOn = false } = {}) {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => (goesOn ? goingOn : beginning).push(resolve));
      try {
        return await task();
      } finally {
        const next = goingOn.shift() ?? beginning.shift();
        if (next) next();
        else free++;
      }
    },
  };
}

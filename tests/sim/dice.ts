/** Chance from a seed. Each concern has dice of its own, so that one more throw for one leaves all others as they were. */

export class Dice {
  #a: number;

  constructor(readonly seed: number, readonly concern: string) {
    let hash = 2166136261 ^ seed;
    for (let i = 0; i < concern.length; i++) hash = Math.imul(hash ^ concern.charCodeAt(i), 16777619);
    hash = Math.imul(hash ^ (hash >>> 15), 2246822507);
    this.#a = (hash ^ (hash >>> 13)) >>> 0;
  }

  /** Dice for a part of this concern. */
  of(part: string | number): Dice {
    return new Dice(this.seed, `${this.concern}/${part}`);
  }

  /** In [0, 1): mulberry32. */
  next(): number {
    this.#a = (this.#a + 0x6d2b79f5) >>> 0;
    let t = this.#a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  /** A whole number from 0 to below `n`. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** Waiting time of what happens once in `meanMs`. */
  wait(meanMs: number): number {
    return Math.ceil(-Math.log(1 - this.next()) * meanMs);
  }

  /** As likely between 1 and 10 as between 10 and 100. */
  logarithmic(least: number, most: number): number {
    return Math.exp(Math.log(least) + this.next() * (Math.log(most) - Math.log(least)));
  }
}

/** Random numbers that a seed repeats (mulberry32). */
export class SeededRandom {
  #state: number;

  /** The same seed gives the same numbers. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next number, 0 included, 1 excluded. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** The elements in another order. */
  shuffled<T>(elements: readonly T[]): T[] {
    return elements
      .map((element) => ({ element, rank: this.next() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ element }) => element);
  }
}

/**
 * Segments that a checkpoint has yet to copy: their files stay until it has. Those come first for which
 * a compaction waits, so that who waits for the room it makes waits for a few copies, not for all.
 */
export class HeldSegments {
  readonly #held = new Set<number>();
  readonly #waiting = new Set<{ segments: readonly number[]; resolve: () => void }>();

  /** Holds `segments` from now on. */
  hold(segments: readonly number[]): void {
    for (const segment of segments) this.#held.add(segment);
  }

  /** The one that is to be copied next; `undefined` if none is held any more. */
  get next(): number | undefined {
    for (const { segments } of this.#waiting) {
      const awaited = segments.find((segment) => this.#held.has(segment));
      if (awaited !== undefined) return awaited;
    }
    return this.#held.values().next().value;
  }

  /** True if one of `segments` is held. */
  has(segments: readonly number[]): boolean {
    return segments.some((segment) => this.#held.has(segment));
  }

  /** `segment` is held no more. */
  release(segment: number): void {
    this.#held.delete(segment);
    this.#serve();
  }

  /** None is held any more. */
  releaseAll(): void {
    this.#held.clear();
    this.#serve();
  }

  /** Resolves when none of `segments` is held. */
  released(segments: readonly number[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add({ segments, resolve });
    this.#serve();
    return promise;
  }

  #serve(): void {
    for (const waiter of this.#waiting) {
      if (this.has(waiter.segments)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}

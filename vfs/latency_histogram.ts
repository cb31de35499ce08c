/** Buckets for each doubling of the time: a percentile is at most 1/8 too high. */
const PER_DOUBLING = 8;
/** The first bucket ends at 0.1 µs. */
const FIRST_MS = 0.0001;
/** Up to some 30 hours. */
const BUCKETS = 40 * PER_DOUBLING;

/** How long things took: constant memory, any number of entries. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sumMs = 0;
  #maxMs = 0;

  /** How many entries. */
  get count(): number {
    return this.#count;
  }

  /** The longest, in milliseconds; 0 without entries. */
  get maxMs(): number {
    return this.#maxMs;
  }

  /** The mean in milliseconds; 0 without entries. */
  get meanMs(): number {
    return this.#count === 0 ? 0 : this.#sumMs / this.#count;
  }

  /** Adds an entry. */
  record(ms: number): void {
    const bucket = Math.ceil(Math.log2(Math.max(ms, FIRST_MS) / FIRST_MS) * PER_DOUBLING);
    const at = Math.min(bucket, BUCKETS - 1);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count++;
    this.#sumMs += ms;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** The time that the given part (0 to 1) of the entries did not exceed, in milliseconds; 0 without entries. */
  percentileMs(part: number): number {
    const wanted = Math.max(1, Math.ceil(part * this.#count));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= wanted) return Math.min(this.#maxMs, FIRST_MS * 2 ** (bucket / PER_DOUBLING));
    }
    return this.#maxMs;
  }

  /** Forgets all entries. */
  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#sumMs = 0;
    this.#maxMs = 0;
  }
}

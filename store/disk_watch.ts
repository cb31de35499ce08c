/** What a {@linkcode DiskWatch} looks at. */
export interface DiskWatchParts {
  /** From how many milliseconds without progress on the disk is slow. */
  readonly thresholdMs: number;
  /** Counts whatever the disk gets done. */
  readonly progress: () => number;
  /** Writes that wait for the disk. */
  readonly waiting: () => number;
  /** Told once when the disk becomes slow, and each time the duration has doubled. */
  readonly onSlow: (durationMs: number, waiting: number) => void;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
}

/** Looks every quarter of the threshold whether the disk moves while writes wait for it. */
export class DiskWatch {
  readonly #parts: DiskWatchParts;
  readonly #now: () => number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #seen = -1;
  #since = 0;
  #tellAt = 0;

  /** Will look when `start` is called. */
  constructor(parts: DiskWatchParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Looks from now on; keeps no program alive. */
  start(): void {
    this.#timer ??= setInterval(() => this.poll(), Math.max(1, this.#parts.thresholdMs / 4));
    Deno.unrefTimer(this.#timer);
  }

  /** Looks no more. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Looks now. */
  poll(): void {
    const { progress, waiting, thresholdMs, onSlow } = this.#parts;
    const seen = progress();
    const time = this.#now();
    const waits = waiting();
    if (seen !== this.#seen || waits === 0) {
      this.#seen = seen;
      this.#since = time;
      this.#tellAt = thresholdMs;
      return;
    }
    const durationMs = time - this.#since;
    if (durationMs < this.#tellAt) return;
    this.#tellAt = 2 * durationMs;
    onSlow(durationMs, waits);
  }
}

/** One pause is so long at most: who is told to stop must hear it soon. */
const MAX_PAUSE_MS = 50;
/** Within one job so much is paused at most: a program that forgot to close must be able to end. The rest is for between jobs. */
const MAX_PAUSES_MS = 1000;

/** How long to pause so that bytes go through at a given rate. */
export class Pace {
  readonly #bytesPerSecond: number;
  readonly #startedMs: number;
  readonly #nowMs: () => number;
  #pausedMs = 0;

  /** `bytesPerSecond` 0: never pauses. */
  constructor(bytesPerSecond: number, nowMs: () => number = () => performance.now()) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  /** How long to pause now that `bytes` have gone through since the start. */
  pauseMs(bytes: number): number {
    if (this.#pausedMs >= MAX_PAUSES_MS) return 0;
    const pauseMs = Math.min(this.restMs(bytes), MAX_PAUSE_MS);
    this.#pausedMs += pauseMs;
    return pauseMs;
  }

  /** As `pauseMs`, of any length. */
  restMs(bytes: number): number {
    if (this.#bytesPerSecond === 0) return 0;
    const dueMs = this.#startedMs + bytes / this.#bytesPerSecond * 1000;
    return Math.max(0, dueMs - this.#nowMs());
  }
}

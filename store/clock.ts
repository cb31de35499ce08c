import { ArgumentError, show } from "../errors/mod.ts";

/** The last moment of a Date: the year 275760. The first is as far from 1970. */
export const MOST_MS = 8.64e15;

/**
 * The clock by which values expire. It may be the user's, and say anything: NaN is neither before nor
 * after the time of a key, and a store that took it for late would lose all keys that expire.
 */
export class Clock {
  readonly #now: () => number;
  #lastMs: number;

  /** Throws {@linkcode ArgumentError} if `now` tells no time. */
  constructor(now: () => number) {
    this.#now = now;
    this.#lastMs = this.exactMs();
  }

  /** The time, in ms since the epoch: for who has to know it. Throws {@linkcode ArgumentError} if it is none, or what the user's clock throws. */
  readonly exactMs = (): number => {
    const time: unknown = this.#now();
    if (typeof time === "number" && Math.abs(time) <= MOST_MS) return time;
    throw new ArgumentError(
      "options.now",
      `options.now must return a time, in milliseconds since 1970, up to ${MOST_MS}: ${show(time)}`,
    );
  };

  /**
   * As `exactMs`, but never throws: while the clock tells no time, it stands still. A write that has
   * begun, or a timer, could not be undone.
   */
  readonly nowMs = (): number => {
    try {
      this.#lastMs = this.exactMs();
    } catch {
      // Who asks for a time to expire in is told.
    }
    return this.#lastMs;
  };
}

import { setImmediate } from "node:timers";

/** Twice what a small write to a fast disk takes, with its sync. */
const LOOK_MS = 0.3;
/** After so many looks in vain, one after another, the disk is slower than that ... */
const MOST_MISSES = 8;
/** ... and only every so often somebody looks. */
const CALLS_PER_LOOK = 64;

/** What an {@linkcode EarlyLook} works with. */
export interface EarlyLookParts {
  /** True if a worker has news that nobody has looked at. */
  readonly hasNews: () => boolean;
  /** True while somebody waits for news. */
  readonly isAwaited: () => boolean;
  readonly onNews: () => void;
  /** Processors: with one, whoever looks keeps the worker from working. Default those there are. */
  readonly processors?: number;
  /** A clock, in milliseconds. */
  readonly nowMs?: () => number;
}

/**
 * Looks, once in each turn of the event loop, whether a worker has news. To be woken up costs a thread
 * that sleeps as much as half a sync of a fast disk: so for a moment after it has asked for something
 * it does not sleep, but goes on turning. Whatever else is due has its turn as ever. On a slow disk,
 * where that is in vain, it soon sleeps as before.
 */
export class EarlyLook {
  readonly #parts: EarlyLookParts;
  readonly #nowMs: () => number;
  readonly #isWorthIt: boolean;
  #until = 0;
  #isLooking = false;
  /** Nothing has come yet in this look. */
  #isInVain = false;
  #misses = 0;

  /** Looks only after `begin`. */
  constructor(parts: EarlyLookParts) {
    this.#parts = parts;
    this.#nowMs = parts.nowMs ?? (() => performance.now());
    this.#isWorthIt = (parts.processors ?? navigator.hardwareConcurrency) > 1;
  }

  /** Something was asked for: looks until nothing is awaited any more, but not for long. */
  begin(): void {
    if (!this.#isWorthIt || !this.#parts.isAwaited()) return;
    if (!this.#isLooking) {
      if (this.#misses >= MOST_MISSES && this.#misses++ % CALLS_PER_LOOK !== 0) return;
      this.#isLooking = this.#isInVain = true;
      setImmediate(this.#look);
    }
    this.#until = this.#nowMs() + LOOK_MS;
  }

  readonly #look = (): void => {
    const { hasNews, isAwaited, onNews } = this.#parts;
    if (hasNews()) {
      this.#isInVain = false;
      this.#misses = 0;
      onNews();
    }
    if (isAwaited() && this.#nowMs() < this.#until) return void setImmediate(this.#look);
    this.#isLooking = false;
    if (this.#isInVain && isAwaited()) this.#misses++;
  };
}

import { setImmediate } from "node:timers";

/** A disk whose syncs take longer, on an average of so many, is not waited for ... */
const FAST_SYNC_MS = 0.3;
const AVERAGED_OVER = 8;
/** ... and nor is a slow sync among fast ones, if the last look was of use. */
const LOOK_MS = 1;
const LOOK_AGAIN_MS = 0.3;
/** Who asks so soon after news, again and again, is likely to be waiting for the next ... */
const SOON_MS = 0.1;
/** ... from so many times on. */
const LEAST_STREAK = 3;
/** After so many looks in vain, one after another, both threads have one processor, it seems ... */
const MOST_MISSES = 40;
/** ... and nobody looks for so many calls, and for twice as many each time that it was in vain again. */
const LEAST_REST_CALLS = 64;
const MOST_REST_CALLS = 8192;

/** What an {@linkcode EarlyLook} works with. */
export interface EarlyLookParts {
  /** True if a worker has news that nobody has looked at. */
  readonly hasNews: () => boolean;
  /** True while somebody waits for news. */
  readonly isAwaited: () => boolean;
  readonly onNews: () => void;
  /** How long the last sync took, in milliseconds. */
  readonly syncMs: () => number;
  /** Told whether this thread is likely to ask for more at once: then nor should the worker sleep. */
  readonly onEager: (isEager: boolean) => void;
  /** Processors: with one, whoever looks keeps the worker from working. Default those there are. */
  readonly processors?: number;
  /** A clock, in milliseconds. */
  readonly nowMs?: () => number;
}

/**
 * Looks, once in each turn of the event loop, whether a worker has news. To be woken up costs a thread
 * that sleeps as much as half a sync of a fast disk: so while it asks for one thing after the other, it
 * does not sleep in between, but goes on turning. Whatever else is due has its turn as ever.
 *
 * Who asks once in a while sleeps, and so does the worker when it has answered: often the system runs
 * a thread on the processor of the one that wakes it, where it has to wait for as long as the other
 * does not sleep. It takes some ticks of the system's clock with two that do not sleep until it gives
 * each a processor of its own; if it does not, both sleep again.
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
  /** Calls until somebody may look again. */
  #rest = 0;
  #nextRest = LEAST_REST_CALLS;
  #isEager = false;
  /** Average of what a sync takes. */
  #syncMs = 0;
  #heardAt = -Infinity;
  /** How many times in a row something was asked for soon after news. */
  #streak = 0;

  /** Looks only after `begin`. */
  constructor(parts: EarlyLookParts) {
    this.#parts = parts;
    this.#nowMs = parts.nowMs ?? (() => performance.now());
    this.#isWorthIt = (parts.processors ?? navigator.hardwareConcurrency) > 1;
  }

  /** News have come. */
  heard(): void {
    if (this.#isWorthIt) this.#heardAt = this.#nowMs();
  }

  /** Something is asked for, for the first time in this turn. */
  asked(): void {
    if (!this.#isWorthIt) return;
    this.#streak = this.#nowMs() - this.#heardAt <= SOON_MS ? this.#streak + 1 : 0;
    if (this.#rest > 0) this.#rest--;
    this.#syncMs += (this.#parts.syncMs() - this.#syncMs) / AVERAGED_OVER;
    const isEager = this.#streak >= LEAST_STREAK && this.#rest === 0 &&
      this.#syncMs <= FAST_SYNC_MS;
    if (isEager === this.#isEager) return;
    this.#isEager = isEager;
    this.#parts.onEager(isEager);
  }

  /** The turn in which something was asked for is over: looks until nothing is awaited any more, but not for long. */
  begin(): void {
    if (!this.#isEager || !this.#parts.isAwaited()) return;
    if (!this.#isLooking) {
      this.#isLooking = this.#isInVain = true;
      setImmediate(this.#look);
    }
    this.#until = this.#nowMs() + (this.#misses === 0 ? LOOK_MS : LOOK_AGAIN_MS);
  }

  readonly #look = (): void => {
    const { hasNews, isAwaited, onNews } = this.#parts;
    if (hasNews()) {
      this.#isInVain = false;
      this.#misses = 0;
      this.#nextRest = LEAST_REST_CALLS;
      onNews();
    }
    if (isAwaited() && this.#nowMs() < this.#until) return void setImmediate(this.#look);
    this.#isLooking = false;
    if (!this.#isInVain || !isAwaited() || ++this.#misses < MOST_MISSES) return;
    this.#misses = 0;
    this.#rest = this.#nextRest;
    this.#nextRest = Math.min(2 * this.#nextRest, MOST_REST_CALLS);
  };
}

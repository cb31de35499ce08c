import { FlagstoneError } from "../errors/mod.ts";
import type { Control } from "../wal/mod.ts";
import { StepResult } from "./loop.ts";

/** So often a worker tries again by itself, each time after half its idle time. */
const MOST_TRIES = 20;
/** A failed sync may have dropped what it was about: that is never tried again. */
const FINAL: readonly (string | undefined)[] = ["sync", "syncData", "syncTo"];

/**
 * What a loop does while the disk is full: a call for which there was no space changed nothing that
 * doing it again would not put right, so the loop keeps its work and tries again at its next step.
 */
export class FullDisk {
  readonly #control: Control;
  readonly #full: number;
  readonly #tries: number;
  /** Tries in a row that found no space. */
  #failures = 0;

  /** `full` and `tries` are indices of shared words. */
  constructor(control: Control, full: number, tries: number) {
    this.#control = control;
    this.#full = full;
    this.#tries = tries;
  }

  /** True while the last try found no space. */
  get isFull(): boolean {
    return Atomics.load(this.#control.words, this.#full) !== 0;
  }

  /** True while it makes sense to stay and try again. A program that forgot to close must end, too: its next call comes back. */
  get isWorthWaiting(): boolean {
    return this.isFull && this.#failures < MOST_TRIES;
  }

  /** Does `work`; where there is no space for it, `undo`, and says so in the shared words. */
  attempt(work: () => StepResult, undo: () => void): StepResult {
    let result: StepResult = StepResult.idle;
    let full = 0;
    try {
      result = work();
      // A step that had a reason to do nothing says nothing about space.
      if (!this.isFull || result !== StepResult.worked) return result;
    } catch (error) {
      if (!(error instanceof FlagstoneError) || error.code !== "NO_SPACE") throw error;
      if (FINAL.includes(error.operation)) throw error;
      undo();
      full = 1;
      this.#failures++;
    }
    if (full === 0) this.#failures = 0;
    Atomics.store(this.#control.words, this.#full, full);
    Atomics.add(this.#control.words, this.#tries, 1);
    this.#control.announce();
    return result;
  }
}

import { FlagstoneError } from "../errors/mod.ts";
import { type Control, FlushWord, MOST_FLUSH_WORKERS, Word } from "../wal/mod.ts";

/**
 * What the owner of a log knows of a full disk. A loop that finds no space keeps its work and tries
 * again; meanwhile nothing new is taken in, but for one look at each asking: a write asks for a new
 * try, and is refused if that failed too.
 */
export class DiskSpace {
  readonly #control: Control;
  readonly #words: Int32Array;
  readonly #directory: string;
  #logAsked = 0;
  #flushAsked = 0;

  /** Reads the words of `control`; `directory` is for messages. */
  constructor(control: Control, directory: string) {
    this.#control = control;
    this.#words = control.words;
    this.#directory = directory;
  }

  /** True while the log worker has something to write and the disk has no space for it. */
  get logIsFull(): boolean {
    return Atomics.load(this.#words, Word.logFull) !== 0;
  }

  /** True while a segment cannot be finished for want of space. */
  get flushIsFull(): boolean {
    return this.#flushWords(FlushWord.full) !== 0;
  }

  /** From now on only tries that are yet to come count. */
  ask(): void {
    this.#logAsked = Atomics.load(this.#words, Word.logTries);
    this.#flushAsked = this.#flushWords(FlushWord.tries);
  }

  /** True if the log worker has tried again since `ask`, in vain. */
  get logIsStillFull(): boolean {
    return this.logIsFull && Atomics.load(this.#words, Word.logTries) !== this.#logAsked;
  }

  /** True if a flush worker has tried again since `ask`, in vain. */
  get flushIsStillFull(): boolean {
    return this.flushIsFull && this.#flushWords(FlushWord.tries) !== this.#flushAsked;
  }

  /** What a write is told that was not let in. */
  refusal(): FlagstoneError {
    return this.#error("it was not written. Try again once there is space");
  }

  /** What a write is told that is in memory, and cannot go to the disk. */
  inDoubt(): FlagstoneError {
    return this.#error(
      "it is seen by readers, and will be written once there is space if the program still runs then",
    );
  }

  /** Sum of a word over all flush workers. */
  #flushWords(word: number): number {
    let sum = 0;
    for (let worker = 0; worker < MOST_FLUSH_WORKERS; worker++) {
      sum += Atomics.load(this.#words, this.#control.flushWorker(worker) + word);
    }
    return sum;
  }

  #error(what: string): FlagstoneError {
    return new FlagstoneError(
      "NO_SPACE",
      `Cannot make a write durable in ${this.#directory}: the disk is full; ${what}.`,
      { path: this.#directory },
    );
  }
}

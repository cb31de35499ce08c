import { FlagstoneError } from "../errors/mod.ts";
import type { Control } from "./control.ts";
import {
  reservation,
  reservationEnd,
  SlotWord,
  wonWord,
  Word,
  WRITERS,
  WriterWord,
} from "./control_words.ts";
import { SEAL_SPACE_BYTES } from "./format.ts";
import type { SegmentImage } from "./image.ts";

/** A thread that has not answered for so long has ended, or might as well have. */
const ANSWER_SECONDS = 10;

/** What {@linkcode SharedWriter.take} came to. */
export const TakeResult = {
  /** The space is this writer's. */
  taken: 0,
  /** Somebody else was faster: aim again. */
  lost: 1,
} as const;

/** One of {@linkcode TakeResult}. */
export type TakeResult = typeof TakeResult[keyof typeof TakeResult];

/**
 * A writer in another thread than the owner's, as the shared words know it. It appends in four steps,
 * none of which waits for anybody: `aim` (says which space it is about to take), `take` (one
 * compare-and-exchange), fill, `publish`. It may die after any of them: `aim` left a note, and
 * whoever takes space next confirms who took the space before ({@linkcode Control.confirm}), so that
 * {@linkcode closeGap} always knows whose a gap is and how long.
 */
export class SharedWriter {
  /** Its number, 1 to 15. */
  readonly writer: number;
  readonly #control: Control;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #base: number;
  /** Value of `reserved` that the aim was taken by. */
  #seen = 0;
  #slot = 0;
  #bytes = 0;
  /** Value of `WriterWord.life` while the place is this writer's. */
  readonly #life: number;

  private constructor(control: Control, writer: number, life: number) {
    this.writer = writer;
    this.#life = life;
    this.#control = control;
    this.#words = control.words;
    this.#base = control.writer(writer);
  }

  /**
   * Registers a writer; `undefined` if there are 15 already. Then they are asked whether they are
   * still there: who has not answered ten seconds later makes room for who comes then.
   */
  static register(control: Control, nowMs: () => number = Date.now): SharedWriter | undefined {
    for (let writer = 1; writer < WRITERS; writer++) {
      const found = SharedWriter.#claim(control, writer, 0);
      if (found !== undefined) return found;
    }
    const now = Math.floor(nowMs() / 1000) & 0x7fff_ffff;
    for (let writer = 1; writer < WRITERS; writer++) {
      const life = Atomics.load(control.words, control.writer(writer) + WriterWord.life);
      if (!SharedWriter.#isSilent(control, writer, now)) continue;
      const found = SharedWriter.#claim(control, writer, life);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Takes all registrations, for good: nobody attaches any more. False, and nothing has changed, if one is in use. */
  static closeAll(control: Control): boolean {
    const taken: SharedWriter[] = [];
    for (let writer = 1; writer < WRITERS; writer++) {
      const found = SharedWriter.#claim(control, writer, 0);
      if (found !== undefined) taken.push(found);
    }
    if (taken.length === WRITERS - 1) return true;
    for (const writer of taken) writer.release();
    return false;
  }

  static #claim(control: Control, writer: number, life: number): SharedWriter | undefined {
    const { words } = control;
    const base = control.writer(writer);
    // Never a value that an earlier holder knows, nor 0.
    const own = Atomics.add(words, Word.registrations, 1) % 0x7fff_fffe + 1;
    if (Atomics.compareExchange(words, base + WriterWord.life, life, own) !== life) {
      return undefined;
    }
    Atomics.store(words, base + WriterWord.bytes, 0);
    Atomics.store(words, base + WriterWord.answered, Atomics.load(words, base + WriterWord.asked));
    return new SharedWriter(control, writer, own);
  }

  /** True if the writer was asked long ago and has not answered; asks if it was not. */
  static #isSilent(control: Control, writer: number, now: number): boolean {
    const { words } = control;
    const base = control.writer(writer);
    const asked = Atomics.load(words, base + WriterWord.asked);
    if (asked !== Atomics.load(words, base + WriterWord.answered)) {
      return now - Atomics.load(words, base + WriterWord.askedAt) > ANSWER_SECONDS;
    }
    Atomics.store(words, base + WriterWord.askedAt, now);
    Atomics.add(words, base + WriterWord.asked, 1);
    Atomics.notify(words, base + WriterWord.asked);
    return false;
  }

  /** Says that the thread is still there, if somebody has asked. Returns what `asked` was. */
  answer(): number {
    const asked = Atomics.load(this.#words, this.#base + WriterWord.asked);
    if (this.#isCurrent()) Atomics.store(this.#words, this.#base + WriterWord.answered, asked);
    return asked;
  }

  /** Resolves when somebody asks again than `asked` times, or the place is given up. */
  whenAsked(asked: number): Promise<unknown> {
    const waiting = Atomics.waitAsync(this.#words, this.#base + WriterWord.asked, asked);
    return waiting.async ? waiting.value : Promise.resolve();
  }

  #isCurrent(): boolean {
    return Atomics.load(this.#words, this.#base + WriterWord.life) === this.#life;
  }

  /** Offset of the space that was aimed at. */
  get offset(): number {
    return reservationEnd(this.#seen);
  }

  /**
   * Notes that it is about to take `bytes` of slot `slot`, `image` being its memory. False if there is
   * not that much left. `CLOSED` if the place is another's by now.
   */
  aim(slot: number, image: SegmentImage, bytes: number): boolean {
    const words = this.#words;
    const seen = this.#control.get(slot, SlotWord.reserved);
    const end = reservationEnd(seen);
    if (!this.#isCurrent()) {
      const message =
        "Cannot append to the log: this thread did not answer, or was too slow, and " +
        "was taken for dead. Attach again.";
      throw new FlagstoneError("CLOSED", message);
    }
    Atomics.store(words, this.#base + WriterWord.bytes, 0);
    if (end + bytes > image.bytes.length - SEAL_SPACE_BYTES) return false;
    this.#seen = seen;
    this.#slot = slot;
    this.#bytes = bytes;
    this.#control.confirm(slot, seen);
    Atomics.store(words, this.#base + WriterWord.won, 0);
    Atomics.store(words, this.#base + WriterWord.slot, slot);
    Atomics.store(words, this.#base + WriterWord.offset, end);
    Atomics.store(words, this.#base + WriterWord.bytes, bytes);
    return true;
  }

  /** Takes the space, if nobody else has taken it since. */
  take(): TakeResult {
    const index = this.#control.slotWord(this.#slot, SlotWord.reserved);
    const taken = reservation(this.offset + this.#bytes, this.writer);
    const found = Atomics.compareExchange(this.#words, index, this.#seen, taken);
    return found === this.#seen ? TakeResult.taken : TakeResult.lost;
  }

  /**
   * Makes the record, or the first of several, visible; false if the space was given up meanwhile
   * because this thread took too long: then nothing was written, and the writer is no longer
   * registered.
   */
  publish(image: SegmentImage, length: number): boolean {
    const word = this.offset >> 2;
    if (Atomics.compareExchange(image.words, word, 0, length) !== 0) return false;
    Atomics.store(this.#words, this.#base + WriterWord.bytes, 0);
    return true;
  }

  /** Gives the registration back, if it is still this writer's. */
  release(): void {
    if (!this.#isCurrent()) return;
    Atomics.store(this.#words, this.#base + WriterWord.bytes, 0);
    Atomics.compareExchange(this.#words, this.#base + WriterWord.life, this.#life, 0);
    // Whoever waits to be asked waits no longer.
    Atomics.add(this.#words, this.#base + WriterWord.asked, 1);
    Atomics.notify(this.#words, this.#base + WriterWord.asked);
  }
}

/**
 * Closes the gap at `offset` of slot `slot`, if an attached writer took that space and has not
 * published it: its first word becomes minus its length, which everybody walks over, and a publish
 * that comes too late fails. Returns the length of the gap, or 0 if it is not an attached writer's,
 * or was published after all. Called by the log worker, which has waited long enough.
 */
export function closeGap(
  control: Control,
  slot: number,
  image: SegmentImage,
  offset: number,
): number {
  const { words } = control;
  const segment = control.get(slot, SlotWord.segment);
  // The newest taker may not be confirmed by anyone yet; `reserved` itself says who it is.
  control.confirm(slot, control.get(slot, SlotWord.reserved));
  for (let writer = 1; writer < WRITERS; writer++) {
    const base = control.writer(writer);
    const bytes = Atomics.load(words, base + WriterWord.bytes);
    const aimedHere = Atomics.load(words, base + WriterWord.slot) === slot &&
      Atomics.load(words, base + WriterWord.offset) === offset;
    const won = Atomics.load(words, base + WriterWord.won) === wonWord(offset + bytes, segment);
    if (bytes === 0 || !aimedHere || !won) continue;
    if (Atomics.compareExchange(image.words, offset >> 2, 0, -bytes) !== 0) return 0;
    Atomics.store(words, base + WriterWord.bytes, 0);
    Atomics.store(words, base + WriterWord.life, 0);
    return bytes;
  }
  return 0;
}

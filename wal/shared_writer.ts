import {
  type Control,
  reservation,
  reservationEnd,
  SlotWord,
  wonWord,
  WRITERS,
  WriterWord,
} from "./control.ts";
import { SEAL_SPACE_BYTES } from "./format.ts";
import type { SegmentImage } from "./image.ts";

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

  private constructor(control: Control, writer: number) {
    this.writer = writer;
    this.#control = control;
    this.#words = control.words;
    this.#base = control.writer(writer);
  }

  /** Registers a writer; `undefined` if there are 15 already. */
  static register(control: Control): SharedWriter | undefined {
    for (let writer = 1; writer < WRITERS; writer++) {
      const life = control.writer(writer) + WriterWord.life;
      if (Atomics.compareExchange(control.words, life, 0, 1) !== 0) continue;
      Atomics.store(control.words, control.writer(writer) + WriterWord.bytes, 0);
      return new SharedWriter(control, writer);
    }
    return undefined;
  }

  /** Offset of the space that was aimed at. */
  get offset(): number {
    return reservationEnd(this.#seen);
  }

  /** Notes that it is about to take `bytes` of slot `slot`, `image` being its memory. False if there is not that much left. */
  aim(slot: number, image: SegmentImage, bytes: number): boolean {
    const words = this.#words;
    const seen = this.#control.get(slot, SlotWord.reserved);
    const end = reservationEnd(seen);
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

  /** Gives the registration back. */
  release(): void {
    Atomics.store(this.#words, this.#base + WriterWord.bytes, 0);
    Atomics.store(this.#words, this.#base + WriterWord.life, 0);
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

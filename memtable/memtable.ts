import {
  type Control,
  fillRecord,
  publishRecord,
  RECORD_HEADER_BYTES,
  RecordKind,
  SEAL_SPACE_BYTES,
  SlotState,
  SlotWord,
  Word,
} from "../wal/mod.ts";
import type { Slab } from "./slab.ts";
import { slabBytesFor, type SlabPool } from "./slab_pool.ts";

const NO_KEY = new Int32Array(0);
/** Once one part in so many of the active slab is used, the next slab is made ready. */
const PREPARE_PART = 16;

/**
 * The active slab and its succession. Space is taken with {@linkcode Memtable.reserve}; when that
 * says -1, {@linkcode Memtable.rotate} seals the slab and installs the next one.
 */
export class Memtable {
  readonly #control: Control;
  readonly #pool: SlabPool;
  #active: Slab | undefined;
  #prepareAt = Infinity;
  #nextSegment: number;
  #nextSequence: number;
  #rotations = 0;
  /** Of `takenBytes`, those of slabs that are sealed; less what a slab had when it became active. */
  #takenBytes = 0;

  /**
   * Starts with `active`, or with no slab at all. The next segment gets the number `nextSegment`;
   * sequence numbers from `nextSequence` on were never given out.
   */
  constructor(
    control: Control,
    pool: SlabPool,
    active: Slab | undefined,
    nextSegment: number,
    nextSequence: number,
  ) {
    this.#control = control;
    this.#pool = pool;
    this.#nextSegment = nextSegment;
    this.#nextSequence = nextSequence;
    if (active !== undefined) this.#install(active);
  }

  /** The slab that takes records; `undefined` while a writer waits for one. */
  get active(): Slab | undefined {
    return this.#active;
  }

  /** Number that the next segment will have. */
  get nextSegment(): number {
    return this.#nextSegment;
  }

  /** First sequence number that the next slab will give. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Bytes of the log that were taken by records, marks and seals, since it was opened. */
  get takenBytes(): number {
    const slab = this.#active;
    const inActive = slab === undefined ? 0 : this.#control.reservedEnd(slab.slot);
    return this.#takenBytes + inActive;
  }

  /** How many slabs were sealed. */
  get rotations(): number {
    return this.#rotations;
  }

  /** From this offset on in the active slab, `prepare` should be called. */
  get prepareAt(): number {
    return this.#prepareAt;
  }

  /** Has the next slab made ready, which the flush worker sees to. False if no slab is free. */
  prepare(): boolean {
    let slab: Slab | undefined;
    try {
      slab = this.#pool.prepare(this.#nextSegment, this.#nextSequence);
    } catch {
      // There is no memory now; who needs the slab will hear of it.
    }
    if (slab === undefined) {
      this.#prepareAt += this.#pool.slabBytes / PREPARE_PART;
      return false;
    }
    this.#count(slab);
    this.#prepareAt = Infinity;
    return true;
  }

  /** Takes `bytes` of the active slab. Returns the offset, or -1 if it has not that much left. */
  reserve(bytes: number): number {
    const slab = this.#active;
    if (slab === undefined) return -1;
    return this.#control.reserve(slab.slot, bytes, slab.image.bytes.length - SEAL_SPACE_BYTES);
  }

  /**
   * Seals the active slab, if any, and installs the next one, or a free one, with room for records
   * of `bytes` in all. Returns false if no slab is free: then there is no active slab until a later
   * call succeeds.
   */
  rotate(bytes: number): boolean {
    // First the new, then the old: if there is no memory for the new one, nothing has changed.
    const { next } = this.#pool;
    const fits = next !== undefined && next.image.bytes.length >= slabBytesFor(bytes);
    let slab: Slab | undefined;
    if (fits) slab = this.#pool.activateNext();
    else {
      slab = this.#pool.activate(this.#nextSegment, this.#nextSequence, bytes);
      if (slab !== undefined) this.#count(slab);
      // Its number is taken, so it goes its way without a record.
      if (next !== undefined) {
        const empty = this.#pool.activateNext();
        this.#takenBytes -= this.#control.reservedEnd(empty.slot);
        this.#seal(empty);
      }
    }
    this.seal();
    if (slab === undefined) return false;
    this.#install(slab);
    return true;
  }

  /** Ends the active slab with a seal record: it takes no more, and goes to the flush worker once it is durable. */
  seal(): void {
    const slab = this.#active;
    if (slab === undefined) return;
    Atomics.store(this.#control.words, Word.activeSlot, -1);
    this.#seal(slab);
    this.#active = undefined;
    this.#prepareAt = Infinity;
  }

  #install(slab: Slab): void {
    const { length } = slab.image.bytes;
    const { words } = this.#control;
    this.#active = slab;
    this.#takenBytes -= this.#control.reservedEnd(slab.slot);
    Atomics.store(words, Word.activeSlot, slab.slot);
    Atomics.add(words, Word.epoch, 1);
    if (Atomics.load(words, Word.gapTimeoutMs) > 0) Atomics.notify(words, Word.epoch);
    this.#prepareAt = length === this.#pool.slabBytes ? length / PREPARE_PART : Infinity;
  }

  /** `slab` has the next number, and the sequence numbers that go with its bytes. */
  #count(slab: Slab): void {
    this.#nextSegment++;
    this.#nextSequence += slab.image.bytes.length;
  }

  #seal(slab: Slab): void {
    const { image, slot } = slab;
    const offset = this.#control.reserveRest(slot);
    const mark = this.#control.get(slot, SlotWord.synced);
    const sequence = slab.baseSequence + offset;
    const kind = RecordKind.seal;
    fillRecord(image, offset, kind, sequence, mark, NO_KEY, 0, undefined, slab.salt);
    publishRecord(image, offset, RECORD_HEADER_BYTES);
    this.#control.set(slot, SlotWord.end, offset + SEAL_SPACE_BYTES);
    this.#control.set(slot, SlotWord.state, SlotState.sealed);
    this.#rotations++;
    this.#takenBytes += offset + SEAL_SPACE_BYTES;
  }
}

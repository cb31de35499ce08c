import { type ErrorCode, FlagstoneError } from "../errors/mod.ts";
import {
  CLOSED,
  FlushWord,
  LogFileState,
  MOST_FLUSH_WORKERS,
  reservation,
  reservationEnd,
  reservationWriter,
  SlotState,
  SlotWord,
  wonWord,
  Word,
  WorkerLife,
  WRITERS,
  WriterWord,
} from "./control_words.ts";

const LINE_WORDS = 16;
const FIRST_FLUSH_WORKER = 5 * LINE_WORDS;
const FIRST_WRITER = FIRST_FLUSH_WORKER + MOST_FLUSH_WORKERS * LINE_WORDS;
const WRITER_WORDS = LINE_WORDS;
const FIRST_SLOT = FIRST_WRITER + WRITERS * WRITER_WORDS;
const SLOT_WORDS = 2 * LINE_WORDS;
const FAILURE_BYTES = 4096;
/** So many characters fit into `FAILURE_BYTES` as JSON, whatever they are. */
const MAX_FAILURE_MESSAGE = 600;

/** What a worker tells of a failure, besides its message. */
interface FailureReport {
  code: ErrorCode;
  message: string;
  path?: string;
  offset?: number;
  operation?: string;
}

/** The control block: one SharedArrayBuffer per store, seen by every thread. */
export class Control {
  /** What is handed to other threads. */
  readonly buffer: SharedArrayBuffer;
  /** Its words. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Number of slab slots. */
  readonly slots: number;

  /** Views a control block, or makes a new one for `slots` slabs. */
  constructor(source: SharedArrayBuffer | number) {
    this.buffer = typeof source === "number"
      ? new SharedArrayBuffer((FIRST_SLOT + source * SLOT_WORDS) * 4 + FAILURE_BYTES)
      : source;
    this.words = new Int32Array(this.buffer);
    this.slots = (this.words.length - FIRST_SLOT - FAILURE_BYTES / 4) / SLOT_WORDS;
    if (typeof source === "number") Atomics.store(this.words, Word.activeSlot, -1);
  }

  /** Index of the first word of flush worker `worker`, counted from 0. */
  flushWorker(worker: number): number {
    return FIRST_FLUSH_WORKER + worker * LINE_WORDS;
  }

  /** True if a flush worker runs, or is about to. */
  get flushing(): boolean {
    for (let worker = 0; worker < MOST_FLUSH_WORKERS; worker++) {
      const life = Atomics.load(this.words, this.flushWorker(worker) + FlushWord.life);
      if (life === WorkerLife.running) return true;
    }
    return false;
  }

  /** Index of the first word of writer `writer`, 1 to 15: see `SharedWriter`. */
  writer(writer: number): number {
    return FIRST_WRITER + writer * WRITER_WORDS;
  }

  /** Index of word `word` of slot `slot`. */
  slotWord(slot: number, word: number): number {
    return FIRST_SLOT + slot * SLOT_WORDS + word;
  }

  /** Reads a word of slot `slot`. */
  get(slot: number, word: number): number {
    return Atomics.load(this.words, FIRST_SLOT + slot * SLOT_WORDS + word);
  }

  /** Stores a word of slot `slot`. */
  set(slot: number, word: number, value: number): void {
    Atomics.store(this.words, FIRST_SLOT + slot * SLOT_WORDS + word, value);
  }

  /** Raises a word of slot `slot` to at least `value`, against other threads that do the same. */
  raise(slot: number, word: number, value: number): void {
    const index = FIRST_SLOT + slot * SLOT_WORDS + word;
    let seen = Atomics.load(this.words, index);
    while (seen < value) {
      const found = Atomics.compareExchange(this.words, index, seen, value);
      if (found === seen) return;
      seen = found;
    }
  }

  /** Takes it upon the caller to create slot `slot`'s file. False if that is done, or under way. */
  claimFile(slot: number): boolean {
    const { none, wanted, creating } = LogFileState;
    return this.exchange(slot, SlotWord.file, wanted, creating) ||
      this.exchange(slot, SlotWord.file, none, creating);
  }

  /** Takes it upon the calling flush worker to see to slot `slot`. False if another does. */
  claim(slot: number): boolean {
    return this.exchange(slot, SlotWord.claimed, 0, 1);
  }

  /** Ends what `claim` began. */
  release(slot: number): void {
    this.set(slot, SlotWord.claimed, 0);
  }

  /** Stores `value` in a word of slot `slot` if it is `expected`; tells whether it was. */
  exchange(slot: number, word: number, expected: number, value: number): boolean {
    const index = FIRST_SLOT + slot * SLOT_WORDS + word;
    return Atomics.compareExchange(this.words, index, expected, value) === expected;
  }

  /** True if every segment older than `segment` is durable to its end. */
  olderDurable(segment: number): boolean {
    for (let slot = 0; slot < this.slots; slot++) {
      const state = this.get(slot, SlotWord.state);
      if (state < SlotState.active || state > SlotState.logged) continue;
      if (this.get(slot, SlotWord.segment) >>> 0 >= segment) continue;
      const durable = state !== SlotState.active &&
        this.get(slot, SlotWord.synced) === this.get(slot, SlotWord.end);
      // It may have become a segment, and its slot another's, while we looked.
      if (!durable && this.get(slot, SlotWord.state) === state) return false;
    }
    return true;
  }

  /** Offset up to which slot `slot`'s space is taken. */
  reservedEnd(slot: number): number {
    return reservationEnd(this.get(slot, SlotWord.reserved));
  }

  /** Takes `bytes` of slot `slot`'s space below `limit`. Returns the offset, or -1 if it does not fit. */
  reserve(slot: number, bytes: number, limit: number): number {
    const index = FIRST_SLOT + slot * SLOT_WORDS + SlotWord.reserved;
    let seen = Atomics.load(this.words, index);
    for (;;) {
      const end = reservationEnd(seen);
      if (end + bytes > limit) return -1;
      this.confirm(slot, seen);
      const found = Atomics.compareExchange(this.words, index, seen, reservation(end + bytes, 0));
      if (found === seen) return end;
      seen = found;
    }
  }

  /** As `reserve`, and in the same moment takes the rest: nobody can take space after it. */
  reserveLast(slot: number, bytes: number, limit: number): number {
    const index = FIRST_SLOT + slot * SLOT_WORDS + SlotWord.reserved;
    for (;;) {
      const seen = Atomics.load(this.words, index);
      if (reservationEnd(seen) + bytes > limit) return -1;
      this.confirm(slot, seen);
      if (Atomics.compareExchange(this.words, index, seen, CLOSED) === seen) {
        return reservationEnd(seen);
      }
    }
  }

  /** Takes all of slot `slot`'s space, so that nothing more fits. Returns where it began. */
  reserveRest(slot: number): number {
    const index = FIRST_SLOT + slot * SLOT_WORDS + SlotWord.reserved;
    let seen = Atomics.load(this.words, index);
    for (;;) {
      this.confirm(slot, seen);
      const found = Atomics.compareExchange(this.words, index, seen, CLOSED);
      if (found === seen) return reservationEnd(seen);
      seen = found;
    }
  }

  /**
   * Records that the attached writer named in `seen`, the value of slot `slot`'s `reserved`, took the
   * space below it: whoever replaces that value does so first, so that it is always known who took
   * which space, even if the taker died in that very moment.
   */
  confirm(slot: number, seen: number): void {
    const writer = reservationWriter(seen);
    if (writer === 0) return;
    const won = wonWord(reservationEnd(seen), this.get(slot, SlotWord.segment));
    Atomics.store(this.words, this.writer(writer) + WriterWord.won, won);
  }

  /** Adds one to a doorbell and wakes who waits on it, if `parked` says that somebody does. */
  ring(doorbell: number, parked: number): void {
    Atomics.add(this.words, doorbell, 1);
    if (Atomics.load(this.words, parked) !== 0) Atomics.notify(this.words, doorbell);
  }

  /** Tells the main thread that there is news. */
  announce(): void {
    Atomics.add(this.words, Word.progress, 1);
    Atomics.notify(this.words, Word.progress);
  }

  /** Records the store's first failure, for all threads, and announces it. Later ones are dropped. */
  fail(error: unknown): void {
    if (Atomics.compareExchange(this.words, Word.failure, 0, 1) !== 0) return;
    const known = error instanceof FlagstoneError;
    const report: FailureReport = {
      code: known ? error.code : "WORKER_DIED",
      message: known ? error.message : String(error instanceof Error ? error.stack : error),
    };
    if (known && error.path !== undefined) report.path = error.path;
    if (known && error.offset !== undefined) report.offset = error.offset;
    if (known && error.operation !== undefined) report.operation = error.operation;
    report.message = report.message.slice(0, MAX_FAILURE_MESSAGE);
    let text = new TextEncoder().encode(JSON.stringify(report));
    if (text.length > FAILURE_BYTES) {
      const { code, message } = report;
      text = new TextEncoder().encode(JSON.stringify({ code, message }));
    }
    this.#failureText().set(text);
    Atomics.store(this.words, Word.failureBytes, text.length);
    Atomics.store(this.words, Word.failure, 2);
    this.announce();
  }

  /** True once {@linkcode Control.fail} was called. */
  get failed(): boolean {
    return Atomics.load(this.words, Word.failure) !== 0;
  }

  /** The first failure, once it is told in full. */
  failure(): FlagstoneError | undefined {
    if (Atomics.load(this.words, Word.failure) !== 2) return undefined;
    const length = Atomics.load(this.words, Word.failureBytes);
    const text = new TextDecoder().decode(this.#failureText().slice(0, length));
    const { code, message, ...details } = JSON.parse(text) as FailureReport;
    return new FlagstoneError(code, message, details);
  }

  #failureText(): Uint8Array {
    return new Uint8Array(this.buffer, this.buffer.byteLength - FAILURE_BYTES);
  }
}

import { FlagstoneError } from "../errors/mod.ts";
import { finishSegment, writeFooter } from "../segment/mod.ts";
import { type Fs, joinPath, syncDirectory } from "../vfs/mod.ts";
import {
  type Control,
  createLog,
  FILE_HEADER_BYTES,
  FlushWord,
  LogFileState,
  logName,
  SEAL_SPACE_BYTES,
  SlotState,
  SlotWord,
  trimLog,
  Word,
} from "../wal/mod.ts";
import { FullDisk } from "./full_disk.ts";
import { HELD, LogSync } from "./log_sync.ts";
import { type Loop, StepResult } from "./loop.ts";
import type { SlabTable } from "./slab_table.ts";

/** So much of a slab is zeroed at a time: a tenth of a millisecond. */
const CLEANED_BYTES = 512 * 1024;

/** What becomes of a full log: a segment with a footer, or a log cut to its length. */
export type FinishMode = "segment" | "trim";

/**
 * Everything about a slab but its records' way to the log: makes the next one ready before it is
 * needed, turns full logs into sealed segments, zeroes slabs for their next use, and syncs a log
 * while the log worker goes on to write it. Several may run: they share the slabs by claims. Footers
 * are made in any order; a segment gets its name once all older ones are durable.
 */
export class FlushLoop implements Loop {
  /** Nothing gains by waiting. */
  readonly patienceMs = 0;
  /** Nor does anything depend on writers. */
  readonly pulse = 0;
  readonly #control: Control;
  readonly #slabs: SlabTable;
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #finish: FinishMode;
  readonly #disk: FullDisk;
  readonly #sync: LogSync;
  readonly #pause: () => void;

  /**
   * Makes loop number `worker` over the slabs of `control`, finishing files in `directory`. `pause` is
   * called in the midst of work that is long and that nobody waits for.
   */
  constructor(
    control: Control,
    slabs: SlabTable,
    fs: Fs,
    directory: string,
    finish: FinishMode = "segment",
    worker = 0,
    pause: () => void = () => {},
  ) {
    this.#pause = pause;
    this.#control = control;
    this.#slabs = slabs;
    this.#fs = fs;
    this.#directory = directory;
    this.#finish = finish;
    const words = control.flushWorker(worker);
    this.#disk = new FullDisk(control, words + FlushWord.full, words + FlushWord.tries);
    this.#sync = new LogSync(control, fs, directory);
  }

  /**
   * Does one thing, in the order of who waits for it: syncs a log (promises wait), zeroes a slab
   * (writers may wait), makes a slab ready to be the next one, seals a segment.
   */
  step(_hurry: boolean): StepResult {
    return this.#disk.attempt(() => this.#step(), () => {});
  }

  #step(): StepResult {
    if (this.#control.failed) return StepResult.idle;
    if (this.#sync.step()) return StepResult.worked;
    const dirty = this.#oldest(SlotState.cleaning);
    if (dirty !== -1) return this.#claimed(dirty, SlotState.cleaning, () => this.#clean(dirty));
    const next = this.#oldest(
      SlotState.next,
      (slot) =>
        this.#control.get(slot, SlotWord.file) === LogFileState.wanted &&
        this.#olderAreCreated(slot),
    );
    if (next !== -1) return this.#prepare(next);
    const full = this.#oldest(SlotState.logged, (slot) => this.#canSeal(slot));
    if (full !== -1) return this.#claimed(full, SlotState.logged, () => this.#seal(full));
    return StepResult.idle;
  }

  /** Nothing to do for a pause, but to try again if there was no space. */
  rest(closing: boolean): boolean {
    return !closing && this.#disk.isWorthWaiting && !this.#control.failed;
  }

  /** See {@linkcode Loop.isWaitingForSpace}. */
  get isWaitingForSpace(): boolean {
    return this.#disk.isWorthWaiting;
  }

  /** Nothing stays open between steps. */
  close(): void {}

  /** Slot of the oldest segment in `state` that nobody is at; -1 if there is none. */
  #oldest(state: number, accepts: (slot: number) => boolean = () => true): number {
    const control = this.#control;
    let found = -1;
    let oldest = Infinity;
    for (let slot = 0; slot < control.slots; slot++) {
      if (control.get(slot, SlotWord.state) !== state) continue;
      const segment = control.get(slot, SlotWord.segment) >>> 0;
      if (segment >= oldest || control.get(slot, SlotWord.claimed) !== 0 || !accepts(slot)) {
        continue;
      }
      oldest = segment;
      found = slot;
    }
    return found;
  }

  /** Does `work` at a slot, unless another worker was faster. */
  #claimed(slot: number, state: number, work: () => StepResult): StepResult {
    const control = this.#control;
    if (!control.claim(slot)) return StepResult.worked;
    try {
      return control.get(slot, SlotWord.state) === state ? work() : StepResult.worked;
    } finally {
      control.release(slot);
    }
  }

  /** Logs are created in the order of their numbers: a crash must not leave one without the one before it. */
  #olderAreCreated(next: number): boolean {
    const control = this.#control;
    for (let slot = 0; slot < control.slots; slot++) {
      const state = control.get(slot, SlotWord.state);
      if (slot === next || (state !== SlotState.active && state !== SlotState.sealed)) continue;
      if (control.get(slot, SlotWord.file) !== LogFileState.ready) return false;
    }
    return true;
  }

  #clean(slot: number): StepResult {
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    const end = this.#control.get(slot, SlotWord.end);
    for (let at = 0; at < end; at += CLEANED_BYTES) {
      if (at > 0) this.#pauseIfServed();
      image.bytes.fill(0, at, Math.min(end, at + CLEANED_BYTES));
    }
    this.#control.set(slot, SlotWord.state, SlotState.free);
    this.#control.announce();
    return StepResult.worked;
  }

  /**
   * Where there are fewer processors than busy threads, the writers' thread would stand still for a
   * few milliseconds: it is let in, if some slab takes records, so that nobody waits for one.
   */
  #pauseIfServed(): void {
    for (let slot = 0; slot < this.#control.slots; slot++) {
      if (this.#control.get(slot, SlotWord.state) === SlotState.active) return this.#pause();
    }
  }

  /** Creates the next log ahead of time. */
  #prepare(slot: number): StepResult {
    const control = this.#control;
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    if (!control.claimFile(slot)) return StepResult.worked;
    if (!this.#olderAreCreated(slot)) {
      // The slot went all the way round while we looked.
      control.set(slot, SlotWord.file, LogFileState.wanted);
      control.ring(Word.logDoorbell, Word.logParked);
      return StepResult.worked;
    }
    const segment = control.get(slot, SlotWord.segment) >>> 0;
    try {
      createLog(this.#fs, this.#directory, segment, image).close();
      control.set(slot, SlotWord.file, LogFileState.ready);
    } catch (error) {
      if (!(error instanceof FlagstoneError) || error.code !== "NO_SPACE") throw error;
      // There may be space by the time that it is needed: the log worker will see.
      control.set(slot, SlotWord.file, LogFileState.none);
    }
    control.ring(Word.logDoorbell, Word.logParked);
    return StepResult.worked;
  }

  /** A footer can be made at any time; a log gets its last form and name once all older ones are durable. */
  #canSeal(slot: number): boolean {
    const control = this.#control;
    if (this.#needsFooter(slot)) return true;
    return control.get(slot, SlotWord.syncAsked) === 0 &&
      control.olderDurable(control.get(slot, SlotWord.segment) >>> 0);
  }

  #needsFooter(slot: number): boolean {
    return this.#finish === "segment" && this.#control.get(slot, SlotWord.fileBytes) === 0 &&
      this.#control.get(slot, SlotWord.end) > FILE_HEADER_BYTES + SEAL_SPACE_BYTES;
  }

  #seal(slot: number): StepResult {
    const control = this.#control;
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    const segment = control.get(slot, SlotWord.segment) >>> 0;
    const end = control.get(slot, SlotWord.end);
    if (this.#needsFooter(slot)) {
      const salt = control.get(slot, SlotWord.salt);
      const pause = () => this.#pauseIfServed();
      const lengths = writeFooter(this.#fs, this.#directory, segment, image, end, salt, pause);
      const { fileBytes, putBytes } = lengths;
      control.set(slot, SlotWord.putBytes, putBytes);
      control.set(slot, SlotWord.fileBytes, fileBytes);
    }
    // Another worker may be syncing it, by the name that it has now; then that one comes back here.
    if (!this.#canSeal(slot) || !control.exchange(slot, SlotWord.syncAsked, 0, HELD)) {
      return StepResult.worked;
    }
    try {
      this.#finishFile(slot, segment, end);
    } catch (error) {
      control.set(slot, SlotWord.syncAsked, 0);
      throw error;
    }
    control.set(slot, SlotWord.state, SlotState.flushed);
    control.announce();
    return StepResult.worked;
  }

  /** Gives the file of a full log its last form and name; nobody else is at it. */
  #finishFile(slot: number, segment: number, end: number): void {
    const control = this.#control;
    if (this.#finish === "trim") {
      trimLog(this.#fs, this.#directory, segment, end);
      control.set(slot, SlotWord.fileBytes, end);
      this.#sync.becameDurable(slot);
    } else if (control.get(slot, SlotWord.fileBytes) === 0) {
      // A slab that had to make room for a larger one before it held anything. Its seal may not be
      // durable: were the file to come back without it, it would count as the end of the log.
      this.#fs.remove(joinPath(this.#directory, logName(segment)));
      syncDirectory(this.#fs, this.#directory);
      this.#sync.becameDurable(slot);
    } else {
      this.#sync.becameDurable(slot);
      finishSegment(this.#fs, this.#directory, segment);
    }
  }
}

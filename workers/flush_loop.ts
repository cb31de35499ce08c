import { FlagstoneError } from "../errors/mod.ts";
import { finishSegment, writeFooter } from "../segment/mod.ts";
import { type Fs, joinPath } from "../vfs/mod.ts";
import {
  checkLength,
  type Control,
  createLog,
  FILE_HEADER_BYTES,
  LogFileState,
  logName,
  SEAL_SPACE_BYTES,
  SlotState,
  SlotWord,
  trimLog,
  Word,
} from "../wal/mod.ts";
import { FullDisk } from "./full_disk.ts";
import { type Loop, StepResult } from "./loop.ts";
import type { SlabTable } from "./slab_table.ts";

/** What becomes of a full log: a segment with a footer, or a log cut to its length. */
export type FinishMode = "segment" | "trim";

/**
 * Everything about a slab but its records' way to the log: makes the next one ready before it is
 * needed, turns full logs into sealed segments, the oldest first, and zeroes slabs for their next use.
 */
export class FlushLoop implements Loop {
  /** Nothing gains by waiting. */
  readonly patienceMs = 0;
  readonly #control: Control;
  readonly #slabs: SlabTable;
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #finish: FinishMode;
  readonly #disk: FullDisk;

  /** Makes a loop over the slabs of `control`, finishing files in `directory`. */
  constructor(
    control: Control,
    slabs: SlabTable,
    fs: Fs,
    directory: string,
    finish: FinishMode = "segment",
  ) {
    this.#control = control;
    this.#slabs = slabs;
    this.#fs = fs;
    this.#directory = directory;
    this.#finish = finish;
    this.#disk = new FullDisk(control, Word.flushFull, Word.flushTries);
  }

  /**
   * Does one thing, in the order of who waits for it: zeroes a slab (writers may wait), syncs a log
   * that promises wait for, makes a slab ready to be the next one, seals a segment.
   */
  step(_hurry: boolean): StepResult {
    return this.#disk.attempt(() => this.#step(), () => {});
  }

  #step(): StepResult {
    if (this.#control.failed) return StepResult.idle;
    const dirty = this.#oldest(SlotState.cleaning);
    if (dirty !== -1) return this.#clean(dirty);
    const logged = this.#oldest(SlotState.logged);
    if (logged !== -1 && this.#syncIsAwaited(logged)) return this.#sync(logged);
    const next = this.#oldest(SlotState.next);
    if (next !== -1 && this.#isNextInLine(next)) {
      return this.#prepare(next);
    }
    if (logged !== -1) return this.#seal(logged);
    return StepResult.idle;
  }

  /** Nothing to do for a pause, but to try again if there was no space. */
  rest(closing: boolean): boolean {
    return !closing && this.#disk.isWorthWaiting && !this.#control.failed;
  }

  /** Nothing stays open between steps. */
  close(): void {}

  #oldest(state: number): number {
    const control = this.#control;
    let found = -1;
    let oldest = Infinity;
    for (let slot = 0; slot < control.slots; slot++) {
      if (control.get(slot, SlotWord.state) !== state) continue;
      const segment = control.get(slot, SlotWord.segment) >>> 0;
      if (segment >= oldest) continue;
      oldest = segment;
      found = slot;
    }
    return found;
  }

  /** Logs are created in the order of their numbers: a crash must not leave one without the one before it. */
  #isNextInLine(next: number): boolean {
    const control = this.#control;
    if (control.get(next, SlotWord.file) !== LogFileState.wanted) return false;
    for (let slot = 0; slot < control.slots; slot++) {
      const state = control.get(slot, SlotWord.state);
      if (state !== SlotState.active && state !== SlotState.sealed) continue;
      if (control.get(slot, SlotWord.file) !== LogFileState.ready) return false;
    }
    return true;
  }

  #clean(slot: number): StepResult {
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    image.bytes.fill(0, 0, this.#control.get(slot, SlotWord.end));
    this.#control.set(slot, SlotWord.state, SlotState.free);
    this.#control.announce();
    return StepResult.worked;
  }

  /** True if the log in `slot` is not durable and somebody waits for it, or for what comes after it. */
  #syncIsAwaited(slot: number): boolean {
    const control = this.#control;
    if (control.get(slot, SlotWord.synced) === control.get(slot, SlotWord.end)) return false;
    for (let other = 0; other < control.slots; other++) {
      const state = control.get(other, SlotWord.state);
      if (state < SlotState.active || state > SlotState.logged) continue;
      const wanted = control.get(other, SlotWord.syncWanted);
      if (wanted > control.get(other, SlotWord.synced)) return true;
    }
    return false;
  }

  #sync(slot: number): StepResult {
    const control = this.#control;
    const segment = control.get(slot, SlotWord.segment) >>> 0;
    const file = this.#fs.openReadWrite(joinPath(this.#directory, logName(segment)));
    try {
      checkLength(file, control.get(slot, SlotWord.end));
      file.syncData();
    } finally {
      file.close();
    }
    this.#becameDurable(slot);
    return StepResult.worked;
  }

  /** Main keeps promises; the log worker may go on to sync what comes after. */
  #becameDurable(slot: number): void {
    const control = this.#control;
    control.set(slot, SlotWord.synced, control.get(slot, SlotWord.end));
    control.ring(Word.logDoorbell, Word.logParked);
    control.announce();
  }

  /** Creates the next log ahead of time. */
  #prepare(slot: number): StepResult {
    const control = this.#control;
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    if (!control.claimFile(slot)) return StepResult.worked;
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

  #seal(slot: number): StepResult {
    const control = this.#control;
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    const segment = control.get(slot, SlotWord.segment) >>> 0;
    const end = control.get(slot, SlotWord.end);
    if (this.#finish === "trim") {
      trimLog(this.#fs, this.#directory, segment, end);
      this.#becameDurable(slot);
      control.set(slot, SlotWord.fileBytes, end);
    } else if (end === FILE_HEADER_BYTES + SEAL_SPACE_BYTES) {
      // A slab that had to make room for a larger one before it held anything.
      this.#fs.remove(joinPath(this.#directory, logName(segment)));
      this.#becameDurable(slot);
      control.set(slot, SlotWord.fileBytes, 0);
    } else {
      const salt = control.get(slot, SlotWord.salt);
      const fileBytes = writeFooter(this.#fs, this.#directory, segment, image, end, salt);
      this.#becameDurable(slot);
      finishSegment(this.#fs, this.#directory, segment);
      control.set(slot, SlotWord.fileBytes, fileBytes);
    }
    control.set(slot, SlotWord.state, SlotState.flushed);
    control.announce();
    return StepResult.worked;
  }
}

import { type File, type Fs, joinPath } from "../vfs/mod.ts";
import {
  alignRecord,
  checkLength,
  closeGap,
  type Control,
  createLog,
  FILE_HEADER_BYTES,
  fillRecord,
  joinWords,
  kindAndFlags,
  LogFileState,
  logName,
  publishRecord,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordKind,
  SEAL_SPACE_BYTES,
  SegmentImage,
  SlotState,
  SlotWord,
  Word,
} from "../wal/mod.ts";
import { FullDisk } from "./full_disk.ts";
import { syncLog } from "./log_sync.ts";
import { type Loop, StepResult } from "./loop.ts";
import type { SlabTable } from "./slab_table.ts";
import { ZeroAhead } from "./zero_ahead.ts";

/** Most bytes that one write hands to the file system: some 0.5 to 2 ms. Other threads are let in between two. */
const MAX_WRITE_BYTES = 2 * 1024 * 1024;
/** While more records are about to come, writing begins with this many bytes. */
const EARLY_WRITE_BYTES = 256 * 1024;
/** So much to sync, or this part of a slab, is left to a flush worker: the next records are written meanwhile. */
const HELPED_SYNC_BYTES = 2 * 1024 * 1024;
const HELPED_SYNC_PART = 8;
/** See `LogLoop.patienceMs`. */
const MAX_PATIENCE_MS = 5;
const SYNC_AVERAGED_OVER = 16;
const NO_KEY = new Int32Array(0);

/**
 * Carries published records to the log, slab after slab, and makes them durable (group commit: one
 * sync covers all that was written before it began). Records of a segment count as durable only
 * once all older segments are; so a crash leaves a prefix of the log. A segment for which nobody
 * waits is left to the flush worker without a sync.
 */
export class LogLoop implements Loop {
  readonly #control: Control;
  readonly #slabs: SlabTable;
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #nowMs: () => number;
  readonly #pause: () => void;
  readonly #disk: FullDisk;
  readonly #ahead = new ZeroAhead();
  /** Slot of the segment being written, or -1. */
  #slot = -1;
  #segment = 0;
  #file: File | undefined;
  /** Records up to here were seen published. */
  #published = 0;
  /** Gaps that were closed, in what is not written yet. */
  #voids: { readonly offset: number; readonly bytes: number }[] = [];
  /** Since when the record at `#published` is awaited. */
  #gapSince = 0;
  #gapAt = -1;
  /** Moving average of what a sync takes. */
  #syncMs = 0.1;

  /**
   * Makes a loop over the slabs of `control`, writing into `directory`; `nowMs` is its clock. `pause`
   * is called in the midst of long work.
   */
  constructor(
    control: Control,
    slabs: SlabTable,
    fs: Fs,
    directory: string,
    nowMs: () => number = () => performance.now(),
    pause: () => void = () => {},
  ) {
    this.#control = control;
    this.#slabs = slabs;
    this.#fs = fs;
    this.#directory = directory;
    this.#nowMs = nowMs;
    this.#pause = pause;
    this.#disk = new FullDisk(control, Word.logFull, Word.logTries);
  }

  /**
   * Writes what is published, then syncs if anyone waits for that or the segment is complete. While
   * main's turn goes on, nobody could learn of a sync and more records may come: then only a large
   * piece is written, and nothing is synced, until the turn ends.
   */
  step(hurry: boolean): StepResult {
    return this.#disk.attempt(() => this.#step(hurry), () => this.#startOver());
  }

  #step(hurry: boolean): StepResult {
    const control = this.#control;
    if (control.failed) return StepResult.idle;
    if (this.#slot === -1 && !this.#begin()) return StepResult.idle;
    const slot = this.#slot;
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    // Read before the records: once it says sealed, the seal record is published and `end` is final.
    const sealed = control.get(slot, SlotWord.state) === SlotState.sealed;
    const file = this.#file ??= this.#openFile(slot, image);
    if (file === undefined) return StepResult.idle;

    const gathering = !hurry && !sealed && Atomics.load(control.words, Word.turn) !== 0;
    const published = this.#findPublished(image);
    let written = control.get(slot, SlotWord.written);
    if (gathering && published > written && published - written < EARLY_WRITE_BYTES) {
      return StepResult.gathering;
    }
    const worked = published > written;
    if (worked && control.get(slot, SlotWord.syncWanted) > written) {
      this.#ahead.prepare(file, written, published, image.bytes.length);
    }
    while (written < published) {
      const to = this.#write(file, image, written, Math.min(published, written + MAX_WRITE_BYTES));
      // The log was closed, and says that nothing came after that. Before anybody hears of a number
      // that has been given since, it has to say otherwise, for good.
      if (control.get(slot, SlotWord.closed) === written) file.syncData();
      Atomics.add(control.words, Word.logWrites, 1);
      control.set(slot, SlotWord.written, to);
      if (control.get(slot, SlotWord.writeWanted) > written) control.announce();
      written = to;
      if (written < published) this.#pause();
    }
    const complete = sealed && written === control.get(slot, SlotWord.end);
    const synced = control.get(slot, SlotWord.synced);
    const syncWanted = control.get(slot, SlotWord.syncWanted);
    // Where somebody waited for one part, somebody is likely to wait for what follows the end.
    const wanted = syncWanted > synced || (complete && syncWanted > 0);
    // While older segments are not durable, the flush worker is about them, and rings.
    if (!gathering && synced < written && wanted && control.olderDurable(this.#segment)) {
      const large = Math.min(HELPED_SYNC_BYTES, image.bytes.length / HELPED_SYNC_PART);
      const done = this.#sync(file, written, written - synced >= large);
      if (!complete && (done || worked)) return StepResult.worked;
    }
    if (!complete) {
      if (worked || this.#closeOldGap(image)) return StepResult.worked;
      return StepResult.idle;
    }
    this.#finish();
    return StepResult.worked;
  }

  /**
   * Makes everything written durable, and then leaves a mark record that says so: from then on
   * damage to what lies before it is told apart from a torn write. At a close it also says that
   * nothing was accepted that is not in the log.
   */
  rest(closing: boolean): boolean {
    const control = this.#control;
    const slot = this.#slot;
    const image = slot === -1 ? undefined : this.#slabs.get(slot);
    if (control.failed) return false;
    if (this.#disk.isFull) return !closing && this.#disk.isWorthWaiting;
    if (image === undefined) return false;
    if (this.#file === undefined) {
      // Who creates it rings when it is there, and nobody would start this worker again for that.
      return !closing && control.get(slot, SlotWord.file) === LogFileState.creating;
    }
    const written = control.get(slot, SlotWord.written);
    if (control.reservedEnd(slot) !== written) {
      // Somebody who is attached may have died on his way: stay, to close the gap in time.
      return !closing && Atomics.load(control.words, Word.gapTimeoutMs) > 0;
    }
    if (control.get(slot, SlotWord.synced) < written) {
      // The flush worker is about the older segments, and rings: stay for that, but not for ever.
      if (!control.olderDurable(this.#segment)) return !closing;
      this.#sync(this.#file, written, false);
      return true;
    }
    const marked = closing ? SlotWord.closed : SlotWord.marked;
    const isLast = closing && Atomics.load(control.words, Word.gapTimeoutMs) > 0;
    if (control.get(slot, marked) === written || written === FILE_HEADER_BYTES) {
      if (isLast) control.reserveRest(slot);
      return false;
    }
    const limit = image.bytes.length - SEAL_SPACE_BYTES;
    const offset = isLast
      ? control.reserveLast(slot, RECORD_HEADER_BYTES, limit)
      : control.reserve(slot, RECORD_HEADER_BYTES, limit);
    if (offset === -1) return false;
    const base = joinWords(
      control.get(slot, SlotWord.baseLow),
      control.get(slot, SlotWord.baseHigh),
    );
    const salt = control.get(slot, SlotWord.salt);
    const kind = kindAndFlags(RecordKind.mark, closing ? RecordFlag.closed : 0);
    fillRecord(image, offset, kind, base + offset, written, NO_KEY, 0, undefined, salt);
    publishRecord(image, offset, RECORD_HEADER_BYTES);
    control.set(slot, SlotWord.marked, offset + RECORD_HEADER_BYTES);
    if (closing) control.set(slot, SlotWord.closed, offset + RECORD_HEADER_BYTES);
    control.raise(slot, SlotWord.syncWanted, offset + RECORD_HEADER_BYTES);
    return true;
  }

  /**
   * Half a sync, at most 5 ms. A turn that takes longer is worth splitting: main goes on with the
   * first half's promises while the second half is synced.
   */
  get patienceMs(): number {
    return Math.min(this.#syncMs / 2, MAX_PATIENCE_MS);
  }

  /** See {@linkcode Loop.pulse}. */
  get pulse(): number {
    return this.#slot === -1 ? 0 : this.#control.reservedEnd(this.#slot);
  }

  /** See {@linkcode Loop.isWaitingForSpace}. */
  get isWaitingForSpace(): boolean {
    return this.#disk.isWorthWaiting;
  }

  /** Closes the log's file, without any sync. Never throws: what was to be durable was synced before. */
  close(): void {
    try {
      this.#closeFile();
    } catch {
      // Else nobody would give up the lock of the store.
      this.#file = undefined;
    }
  }

  /** Finds the slab with the oldest segment that is not all in its log. */
  #begin(): boolean {
    const control = this.#control;
    let oldest = Infinity;
    for (let slot = 0; slot < control.slots; slot++) {
      const state = control.get(slot, SlotWord.state);
      if (state !== SlotState.active && state !== SlotState.sealed) continue;
      const segment = control.get(slot, SlotWord.segment) >>> 0;
      if (segment >= oldest) continue;
      oldest = segment;
      this.#slot = slot;
      this.#segment = segment;
    }
    this.#published = 0;
    this.#voids = [];
    this.#ahead.begin();
    return this.#slot !== -1;
  }

  /**
   * Opens the segment's log, or creates it if the flush worker has not done so ahead of time.
   * `undefined` if that is about to: then it rings.
   */
  #openFile(slot: number, image: SegmentImage): File | undefined {
    const control = this.#control;
    let file: File;
    if (control.claimFile(slot)) {
      let state: number = LogFileState.none;
      try {
        file = createLog(this.#fs, this.#directory, this.#segment, image);
        state = LogFileState.ready;
      } finally {
        control.set(slot, SlotWord.file, state);
      }
      // Perhaps the next one is to be made ready, and had to wait for this one.
      control.ring(Word.flushDoorbell, Word.flushParked);
    } else {
      if (control.get(slot, SlotWord.file) !== LogFileState.ready) return undefined;
      file = this.#fs.openReadWrite(joinPath(this.#directory, logName(this.#segment)));
      try {
        checkLength(file, image.bytes.length);
      } catch (error) {
        file.close();
        throw error;
      }
    }
    this.#published = Math.max(control.get(slot, SlotWord.written), FILE_HEADER_BYTES);
    control.set(slot, SlotWord.written, this.#published);
    return file;
  }

  /** What was not written is walked over, and written, once more. */
  #startOver(): void {
    if (this.#slot === -1) return;
    const written = this.#control.get(this.#slot, SlotWord.written);
    this.#published = Math.max(written, FILE_HEADER_BYTES);
    this.#voids = [];
  }

  /** Walks over records whose first word is there, so they are whole, and over closed gaps. */
  #findPublished(image: SegmentImage): number {
    const { words } = image;
    let offset = this.#published;
    for (;;) {
      const length = offset >> 2 < words.length ? Atomics.load(words, offset >> 2) : 0;
      if (length === 0) break;
      if (length < 0) this.#voids.push({ offset, bytes: -length });
      offset += length < 0 ? -length : alignRecord(length);
    }
    return this.#published = offset;
  }

  /** Writes `[from, to)` of the slab; where a gap was closed, a mark record of its length. Returns how far it got. */
  #write(file: File, image: SegmentImage, from: number, to: number): number {
    let at = from;
    while (this.#voids.length > 0 && this.#voids[0]!.offset < to) {
      const { offset, bytes } = this.#voids.shift()!;
      if (offset > at) file.writeAt(image.bytes.subarray(at, offset), at);
      file.writeAt(this.#voidRecord(offset, bytes), offset);
      at = offset + bytes;
    }
    if (at < to) file.writeAt(image.bytes.subarray(at, to), at);
    return Math.max(at, to);
  }

  #voidRecord(offset: number, bytes: number): Uint8Array {
    const control = this.#control;
    const slot = this.#slot;
    const low = control.get(slot, SlotWord.baseLow);
    const sequence = joinWords(low, control.get(slot, SlotWord.baseHigh)) + offset;
    const image = new SegmentImage(new ArrayBuffer(bytes));
    const kind = kindAndFlags(RecordKind.mark, 0);
    const mark = control.get(slot, SlotWord.synced);
    const nothing = new Uint8Array(bytes - RECORD_HEADER_BYTES);
    const salt = control.get(slot, SlotWord.salt);
    fillRecord(image, 0, kind, sequence, mark, NO_KEY, 0, nothing, salt);
    publishRecord(image, 0, bytes);
    return image.bytes;
  }

  /**
   * Gives up on an attached writer that took space long ago and has not published it: everybody
   * behind it waits. True if that closed a gap.
   */
  #closeOldGap(image: SegmentImage): boolean {
    const control = this.#control;
    const timeoutMs = Atomics.load(control.words, Word.gapTimeoutMs);
    if (timeoutMs === 0 || control.reservedEnd(this.#slot) <= this.#published) return false;
    const now = this.#nowMs();
    if (this.#gapAt !== this.#published) {
      this.#gapAt = this.#published;
      this.#gapSince = now;
    }
    if (now - this.#gapSince < timeoutMs) return false;
    if (closeGap(control, this.#slot, image, this.#published) === 0) return false;
    control.set(this.#slot, SlotWord.scribbled, 1);
    return true;
  }

  /**
   * Syncs the log up to `written`; if that is a large part, it is left to a flush worker, which rings when it is done.
   * False if that is under way.
   */
  #sync(file: File, written: number, large: boolean): boolean {
    const control = this.#control;
    const slot = this.#slot;
    if (this.#syncIsUnderWay()) return false;
    this.#syncMs += (this.#lastSyncMs() - this.#syncMs) / SYNC_AVERAGED_OVER;
    if (large && control.flushing) {
      control.set(slot, SlotWord.syncAsked, written);
      Atomics.store(control.words, Word.helpWanted, 1);
      control.ring(Word.flushDoorbell, Word.flushParked);
      // One that was about to end may not have heard.
      if (this.#syncIsUnderWay()) return false;
    }
    syncLog(control, file);
    control.set(slot, SlotWord.synced, written);
    control.announce();
    return true;
  }

  /** True while a flush worker syncs the log. If none is left that could, that is taken back. */
  #syncIsUnderWay(): boolean {
    const control = this.#control;
    const asked = control.get(this.#slot, SlotWord.syncAsked);
    if (asked === 0) return false;
    const alone = asked > 0 && !control.flushing;
    return !(alone && control.exchange(this.#slot, SlotWord.syncAsked, asked, 0));
  }

  #closeFile(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #lastSyncMs(): number {
    return Atomics.load(this.#control.words, Word.syncMicros) / 1000;
  }

  /** The segment is all in its log: the flush worker's turn. */
  #finish(): void {
    this.#closeFile();
    this.#control.set(this.#slot, SlotWord.state, SlotState.logged);
    this.#slot = -1;
    this.#control.ring(Word.flushDoorbell, Word.flushParked);
    this.#control.announce();
  }
}

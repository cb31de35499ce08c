import { type File, type Fs, joinPath } from "../vfs/mod.ts";
import { checkLength, type Control, logName, SlotState, SlotWord, Word } from "../wal/mod.ts";

/** Value of `syncAsked` that keeps other workers from syncing a log. */
export const HELD = -1;

/** Makes durable what was written to a log, and tells how long that took. */
export function syncLog(control: Control, file: File): void {
  const startedMs = performance.now();
  file.syncData();
  Atomics.store(control.words, Word.syncMicros, (performance.now() - startedMs) * 1000);
  Atomics.add(control.words, Word.logSyncs, 1);
}

/**
 * A flush worker's part in making logs durable: it syncs the log that the log worker is writing,
 * when it is asked to, and full logs that promises wait for before they are segments.
 *
 * Why by another thread: a write to a file and a sync of what was written before go on side by side,
 * and while the disk is busy with one part, the next is encoded and written.
 */
export class LogSync {
  readonly #control: Control;
  readonly #fs: Fs;
  readonly #directory: string;

  /** Syncs the logs of `control` in `directory`. */
  constructor(control: Control, fs: Fs, directory: string) {
    this.#control = control;
    this.#fs = fs;
    this.#directory = directory;
  }

  /** Syncs a log if somebody waits for that. False if nobody does. */
  step(): boolean {
    const control = this.#control;
    for (let slot = 0; slot < control.slots; slot++) {
      const asked = control.get(slot, SlotWord.syncAsked);
      if (asked > 0 && control.exchange(slot, SlotWord.syncAsked, asked, HELD)) {
        this.#sync(slot, asked, asked);
        return true;
      }
    }
    const slot = this.#awaited();
    if (slot === -1) return false;
    if (control.exchange(slot, SlotWord.syncAsked, 0, HELD)) {
      // If another worker has finished the segment meanwhile, its file has another name.
      if (this.#isAwaited(slot)) this.#sync(slot, control.get(slot, SlotWord.end), 0);
      else control.set(slot, SlotWord.syncAsked, 0);
    }
    return true;
  }

  /** Main keeps promises; the log worker may go on to sync what comes after, a flush worker to give names. */
  becameDurable(slot: number): void {
    const end = this.#control.get(slot, SlotWord.end);
    // Who tries again, on a full disk, has no news: the rings would call it at once, for ever.
    if (this.#control.get(slot, SlotWord.synced) < end) this.#raise(slot, end);
  }

  /** The oldest full log that is not durable, if somebody waits for it or for what comes after it. */
  #awaited(): number {
    const control = this.#control;
    for (let slot = 0; slot < control.slots; slot++) {
      if (control.get(slot, SlotWord.syncAsked) === 0 && this.#isAwaited(slot)) return slot;
    }
    return -1;
  }

  #isAwaited(slot: number): boolean {
    const control = this.#control;
    if (control.get(slot, SlotWord.state) !== SlotState.logged) return false;
    if (control.get(slot, SlotWord.synced) === control.get(slot, SlotWord.end)) return false;
    return control.olderDurable(control.get(slot, SlotWord.segment) >>> 0) && this.#anybodyWaits();
  }

  #anybodyWaits(): boolean {
    const control = this.#control;
    for (let slot = 0; slot < control.slots; slot++) {
      const state = control.get(slot, SlotWord.state);
      if (state < SlotState.active || state > SlotState.logged) continue;
      const wanted = control.get(slot, SlotWord.syncWanted);
      if (wanted > control.get(slot, SlotWord.synced)) return true;
    }
    return false;
  }

  /** `syncAsked` of the slot, which was `asked`, is negative: nobody else syncs it, and its file keeps its name. */
  #sync(slot: number, end: number, asked: number): void {
    const control = this.#control;
    // With its footer, it was synced whole; only older ones were not.
    if (control.get(slot, SlotWord.fileBytes) === 0) {
      const segment = control.get(slot, SlotWord.segment) >>> 0;
      const file = this.#open(segment, slot, asked);
      try {
        checkLength(file, end);
        syncLog(control, file);
      } finally {
        closeSynced(file);
      }
    }
    control.set(slot, SlotWord.syncAsked, 0);
    this.#raise(slot, end);
  }

  /** If there is no space even for that, it is to be tried again, by whoever comes first. */
  #open(segment: number, slot: number, asked: number): File {
    try {
      return this.#fs.openReadWrite(joinPath(this.#directory, logName(segment)));
    } catch (error) {
      this.#control.set(slot, SlotWord.syncAsked, asked);
      throw error;
    }
  }

  #raise(slot: number, end: number): void {
    const control = this.#control;
    control.raise(slot, SlotWord.synced, end);
    control.ring(Word.logDoorbell, Word.logParked);
    control.ring(Word.flushDoorbell, Word.flushParked);
    control.announce();
  }
}

/**
 * What was synced is durable, whatever the close says; and if the sync has failed, that is what counts.
 * Some file systems tell of a full disk here: that would count as a try, with the sync held for ever.
 */
function closeSynced(file: File): void {
  try {
    file.close();
  } catch {
    // See above.
  }
}

import { FlagstoneError } from "../errors/mod.ts";
import type { File } from "../vfs/mod.ts";

/** So much of a log is prepared at a time. */
const AHEAD_BYTES = 256 * 1024;
/** Of more than that at a time, the sync takes as long as it takes. */
const MOST_BYTES = 32 * 1024;

/**
 * Writes zeros into a log ahead of its records. A log has its length from the start, but its file system
 * gives it blocks only when they are written, and has to note that down at the next sync: with small
 * writes, each of which is synced, that is half of what they cost. So blocks are asked for many at a time.
 */
export class ZeroAhead {
  readonly #zeros = new Uint8Array(AHEAD_BYTES);
  /** Everything below has its blocks, or is to do without. */
  #end = 0;

  /** Another log. */
  begin(): void {
    this.#end = 0;
  }

  /** Records are about to be written to `[from, to)` of `file`, of the length `fileBytes`, and then synced. */
  prepare(file: File, from: number, to: number, fileBytes: number): void {
    if (to <= this.#end || to - from > MOST_BYTES) return;
    const end = Math.min(to + AHEAD_BYTES, fileBytes);
    this.#end = end;
    try {
      if (end > to) file.writeAt(this.#zeros.subarray(0, end - to), to);
    } catch (error) {
      // There may be space for the records, and nothing else counts.
      if (!(error instanceof FlagstoneError) || error.code !== "NO_SPACE") throw error;
      this.#end = fileBytes;
    }
  }
}

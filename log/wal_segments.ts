import { type Fs, joinPath, syncDirectory } from "../vfs/mod.ts";
import { logName } from "../wal/mod.ts";
import type { WalSegment } from "./wal_files.ts";

/** The segments of a standalone log, ascending, and who reads them. */
export class WalSegments {
  #all: WalSegment[] = [];
  readonly #pins: Map<number, number>;

  /** Of a log that goes on after a cut: whoever reads segments `before` it keeps them still. */
  constructor(before?: WalSegments) {
    this.#pins = before === undefined ? new Map() : before.#pins;
  }

  /** Ascending. */
  get all(): readonly WalSegment[] {
    return this.#all;
  }

  /** The segment with this number. */
  get(segment: number): WalSegment | undefined {
    return this.#all.findLast((known) => known.segment === segment);
  }

  /** Learns of the newest segment. */
  add(segment: WalSegment): void {
    this.#all.push(segment);
  }

  /** A segment is complete: its file has `end` bytes. */
  finish(segment: number, end: number): void {
    const at = this.#all.findIndex((known) => known.segment === segment && known.end === undefined);
    if (at !== -1) this.#all[at] = { ...this.#all[at]!, end };
  }

  /** The segments that may hold LSNs from `from` up to `end`. */
  from(from: number, end: number): WalSegment[] {
    const first = this.#all.findLastIndex(({ base }) => base <= from);
    if (first === -1 && from > 0 && this.#all.length > 0 && from < this.#all[0]!.base) return [];
    return this.#all.slice(Math.max(0, first)).filter(({ base }) => base < end);
  }

  /** Keeps segments on the disk until the result is disposed of. */
  pin(segments: readonly WalSegment[]): Disposable {
    for (const { segment } of segments) {
      this.#pins.set(segment, (this.#pins.get(segment) ?? 0) + 1);
    }
    return {
      [Symbol.dispose]: () => {
        for (const { segment } of segments) this.#unpin(segment);
      },
    };
  }

  /** True while somebody reads `segment`. */
  isPinned(segment: number): boolean {
    return this.#pins.has(segment);
  }

  /** The oldest segment is gone. */
  dropped(): void {
    this.#all.shift();
  }

  #unpin(segment: number): void {
    const left = this.#pins.get(segment)! - 1;
    if (left > 0) return void this.#pins.set(segment, left);
    this.#pins.delete(segment);
  }
}

/**
 * Drops whole segments below `lsn`, oldest first, each durably before the next: neither a crash nor a
 * failing call leaves a hole. It stops at one that is being read, and at one whose successor has no
 * file yet, as `isOnDisk` tells: from the last file on numbers are counted on.
 */
export function dropBefore(
  fs: Fs,
  directory: string,
  segments: WalSegments,
  lsn: number,
  isOnDisk: (segment: number) => boolean,
): void {
  for (;;) {
    const [first, next] = segments.all;
    if (first?.end === undefined || next === undefined || first.base + first.end > lsn) return;
    if (segments.isPinned(first.segment) || !isOnDisk(next.segment)) return;
    fs.remove(joinPath(directory, logName(first.segment)));
    segments.dropped();
    syncDirectory(fs, directory);
  }
}

/**
 * Cuts the files of a log that is not running: newer segments go, newest first, each durably; then
 * the one that holds the record `lsn`, `space` bytes long, ends after it.
 */
export function cutAfter(
  fs: Fs,
  directory: string,
  segments: WalSegments,
  lsn: number,
  space: number,
): void {
  const keep = segments.all.findLast(({ base }) => base <= lsn)!;
  for (const name of fs.list(directory).toReversed()) {
    const number = Number(name.slice(0, 10));
    if (!name.endsWith(".log") || number <= keep.segment) continue;
    fs.remove(joinPath(directory, name));
    syncDirectory(fs, directory);
  }
  using file = fs.openReadWrite(joinPath(directory, logName(keep.segment)));
  file.truncate(lsn - keep.base + space);
  file.sync();
}

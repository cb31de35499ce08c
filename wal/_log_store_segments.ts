import { type Fs, joinPath } from "../vfs/mod.ts";
import { corruptLog } from "./_log_store_header.ts";
import { LogSegment, logSegmentName } from "./_log_store_segment.ts";

/** The segments of a log, in order, and which of them are open. */
export class LogSegments {
  readonly #all: LogSegment[];
  /** Those that are open, the one not used for longest first. */
  readonly #open = new Set<LogSegment>();
  readonly #maxOpen: number;

  constructor(all: LogSegment[], maxOpen: number) {
    this.#all = all;
    this.#maxOpen = maxOpen;
  }

  /** The first; undefined if there are none. */
  get first(): LogSegment | undefined {
    return this.#all[0];
  }

  /** The last; undefined if there are none. */
  get last(): LogSegment | undefined {
    return this.#all.at(-1);
  }

  /** Those that were written since their last sync, in order. */
  get dirty(): LogSegment[] {
    return this.#all.filter((segment) => segment.dirty);
  }

  /** Adds one behind the last. */
  push(segment: LogSegment): void {
    this.#all.push(segment);
  }

  /** Takes the last one away. */
  pop(): void {
    const segment = this.#all.pop();
    if (segment !== undefined) this.#open.delete(segment);
  }

  /** Takes the first one away. */
  shift(): void {
    const segment = this.#all.shift();
    if (segment !== undefined) this.#open.delete(segment);
  }

  /** The pieces of `[position, end)`, each with its segment; all of it must be in segments. */
  *pieces(position: number, end: number): Generator<[LogSegment, number, number]> {
    for (let at = this.#indexOf(position); position < end; at++) {
      const segment = this.#all[at]!;
      const stop = Math.min(end, segment.end);
      this.use(segment);
      yield [segment, position, stop];
      position = stop;
    }
  }

  /** Says that a segment is about to be used; closes those that were not used for long and are clean. */
  use(segment: LogSegment): void {
    this.#open.delete(segment);
    this.#open.add(segment);
    for (const old of this.#open) {
      if (this.#open.size <= this.#maxOpen) return;
      // A handle that was written through is kept: its sync is what tells of a failed write.
      if (old.dirty || old === segment) continue;
      this.#open.delete(old);
      old.close();
    }
  }

  /** Closes all handles; the steps of it, for `doAll`. */
  closings(): (() => void)[] {
    return [...this.#open].map((segment) => () => segment.close());
  }

  /** The one that is for a position; undefined if it lies behind the last, or there are none. */
  holding(position: number): LogSegment | undefined {
    const segment = this.#all[this.#indexOf(position)];
    return segment !== undefined && position < segment.end ? segment : undefined;
  }

  #indexOf(position: number): number {
    let [low, high] = [0, this.#all.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#all[middle]!.first <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Opens all segments, from the one that begins at `first` on; `CORRUPT` names the first that is missing or short. */
export function openLogSegments(
  fs: Fs,
  dir: string,
  found: readonly number[],
  first: number,
  id: Uint8Array,
): LogSegment[] {
  const segments: LogSegment[] = [];
  let expected = first;
  for (const [at, position] of found.entries()) {
    if (position !== expected) {
      const path = joinPath(dir, logSegmentName(expected));
      throw corruptLog(path, undefined, `it is missing, and ${logSegmentName(position)} is there`);
    }
    const segment = LogSegment.open(fs, dir, position, id, at === found.length - 1);
    segments.push(segment);
    expected = segment.end;
  }
  return segments;
}

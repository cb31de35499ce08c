import type { KeyRun } from "../segment/mod.ts";

/** Gives the runs of one segment, one after the other in the order of a listing; at last `undefined`. */
export type NextRun = () => KeyRun | undefined;

/** A key range as bytes, `start` included, `end` excluded. */
export interface KeyRange {
  /** The least key; `undefined` for none. */
  readonly start: Uint8Array | undefined;
  /** The first key that is too high; `undefined` for none. */
  readonly end: Uint8Array | undefined;
  /** From the highest key to the lowest. */
  readonly reverse: boolean;
}

/** Stands on a key of one segment. */
class KeyCursor {
  run: KeyRun | undefined;
  /** Which key of the run. */
  at = 0;
  readonly #nextRun: NextRun;
  readonly #range: KeyRange;
  #left = 0;

  constructor(nextRun: NextRun, range: KeyRange) {
    this.#nextRun = nextRun;
    this.#range = range;
  }

  /** Goes to the next key. False if there is none. */
  next(): boolean {
    const { reverse } = this.#range;
    while (this.#left === 0) {
      const run = this.#nextRun();
      this.run = run;
      if (run === undefined) return false;
      const { start, end } = this.#range;
      const first = start === undefined ? 0 : run.below(start);
      const after = end === undefined ? run.count : run.below(end);
      this.#left = Math.max(0, after - first);
      this.at = reverse ? after : first - 1;
    }
    this.at += reverse ? -1 : 1;
    this.#left--;
    return true;
  }
}

/**
 * Merges the keys of segments, each in order, and gives each key once. A binary heap of cursors, the
 * next key on top; the cursor of the key that was given goes on with the next call.
 */
export class KeyMerge {
  /** The key: a copy, as what it was in may be gone when it is looked at again. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(64);
  /** Length of the key in `bytes`. */
  length = 0;
  /** Flags of a record of the key. */
  flags = 0;
  readonly #heap: KeyCursor[] = [];
  readonly #reverse: boolean;

  /** Stands before the first key of `sources` that is in `range`. */
  constructor(sources: readonly NextRun[], range: KeyRange) {
    this.#reverse = range.reverse;
    for (const source of sources) {
      const cursor = new KeyCursor(source, range);
      if (cursor.next()) this.#push(cursor);
    }
  }

  /** Goes to the next key. False if there is none. */
  next(): boolean {
    const heap = this.#heap;
    // Whoever stands on the key that was given last goes on.
    while (heap.length > 0 && this.length > 0 && this.#isLast(heap[0]!)) {
      if (heap[0]!.next()) this.#sink();
      else this.#pop();
    }
    const top = heap[0];
    if (top === undefined) return false;
    this.#take(top);
    return true;
  }

  #isLast({ run, at }: KeyCursor): boolean {
    const { bytes, starts } = run!;
    const start = starts[at]!;
    const length = starts[at + 1]! - start;
    if (length !== this.length) return false;
    // From the end: that is where neighbours differ.
    for (let i = length - 1; i >= 0; i--) {
      if (bytes[start + i] !== this.bytes[i]) return false;
    }
    return true;
  }

  #take({ run, at }: KeyCursor): void {
    const { bytes, starts, flags } = run!;
    const start = starts[at]!;
    const length = starts[at + 1]! - start;
    if (length > this.bytes.length) this.bytes = new Uint8Array(2 * length);
    for (let i = 0; i < length; i++) this.bytes[i] = bytes[start + i]!;
    this.length = length;
    this.flags = flags[at]!;
  }

  #isAbove(a: KeyCursor, b: KeyCursor): boolean {
    const order = compareKeys(a.run!, a.at, b.run!, b.at);
    return this.#reverse ? order > 0 : order < 0;
  }

  #push(cursor: KeyCursor): void {
    const heap = this.#heap;
    let at = heap.push(cursor) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isAbove(cursor, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = cursor;
  }

  #pop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  /** Brings the cursor on top to its place. */
  #sink(): void {
    const heap = this.#heap;
    const cursor = heap[0]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isAbove(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#isAbove(heap[child]!, cursor)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = cursor;
  }
}

function compareKeys(a: KeyRun, i: number, b: KeyRun, k: number): number {
  const aStart = a.starts[i]!;
  const bStart = b.starts[k]!;
  const aLength = a.starts[i + 1]! - aStart;
  const bLength = b.starts[k + 1]! - bStart;
  const shared = Math.min(aLength, bLength);
  const aBytes = a.bytes;
  const bBytes = b.bytes;
  for (let at = 0; at < shared; at++) {
    const difference = aBytes[aStart + at]! - bBytes[bStart + at]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

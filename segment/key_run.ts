import { RECORD_HEADER_BYTES, recordFlags, recordKeyBytes, type SegmentImage } from "../wal/mod.ts";
import { compareBytes } from "./bytes.ts";
import { EntryCursor } from "./block.ts";

/** Keys in order, one behind the other in one piece of memory: a listing makes no object for a key. */
export class KeyRun {
  /** How many there are. */
  readonly count: number;
  /** The memory that they are in. */
  readonly bytes: Uint8Array;
  /** Where each begins in `bytes`, and at last where the last one ends. */
  readonly starts: Uint32Array;
  /** Flags of the record of each. */
  readonly flags: Uint8Array;

  /** Of `starts.length - 1` keys. */
  constructor(bytes: Uint8Array, starts: Uint32Array, flags: Uint8Array) {
    this.count = starts.length - 1;
    this.bytes = bytes;
    this.starts = starts;
    this.flags = flags;
  }

  /** Number of the keys that are below `bound`. */
  below(bound: Uint8Array): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const key = this.bytes.subarray(this.starts[middle], this.starts[middle + 1]);
      if (compareBytes(key, bound) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The keys of a footer's block, whose checksum was verified. */
export function decodeKeys(block: Uint8Array, count: number): KeyRun {
  const cursor = new EntryCursor(block, 0, count);
  const starts = new Uint32Array(count + 1);
  const flags = new Uint8Array(count);
  let bytes = new Uint8Array(block.length);
  let last = 0;
  let end = 0;
  for (let i = 0; cursor.next(); i++) {
    const { sharedBytes, suffixStart, suffixBytes } = cursor;
    const next = end + sharedBytes + suffixBytes;
    if (next > bytes.length) {
      const grown = new Uint8Array(Math.max(2 * bytes.length, next));
      grown.set(bytes);
      bytes = grown;
    }
    for (let k = 0; k < sharedBytes; k++) bytes[end + k] = bytes[last + k]!;
    const suffix = end + sharedBytes - suffixStart;
    for (let k = suffixStart; k < suffixStart + suffixBytes; k++) bytes[suffix + k] = block[k]!;
    flags[i] = cursor.flags;
    last = end;
    end = next;
    starts[i + 1] = end;
  }
  return new KeyRun(bytes, starts, flags);
}

/** A copy of the keys of the records at `offsets`, which are in the order of their keys. */
export function keysOf(image: SegmentImage, offsets: Uint32Array): KeyRun {
  const starts = new Uint32Array(offsets.length + 1);
  const flags = new Uint8Array(offsets.length);
  offsets.forEach((offset, i) => {
    starts[i + 1] = starts[i]! + recordKeyBytes(image, offset);
    flags[i] = recordFlags(image, offset);
  });
  const bytes = new Uint8Array(starts[offsets.length]!);
  offsets.forEach((offset, i) => {
    const start = offset + RECORD_HEADER_BYTES;
    bytes.set(image.bytes.subarray(start, start + recordKeyBytes(image, offset)), starts[i]);
  });
  return new KeyRun(bytes, starts, flags);
}

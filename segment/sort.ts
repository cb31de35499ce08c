import {
  RECORD_HEADER_BYTES,
  recordKeyBytes,
  recordSequence,
  type SegmentImage,
} from "../wal/mod.ts";

/** Below this many records a comparison sort is faster than counting digits. */
const RADIX_MINIMUM = 128;
const DIGIT_VALUES = 256;

/**
 * Brings the records at `offsets` into the order of their keys and keeps, of each key, only the one
 * with the highest sequence number.
 *
 * Radix sort (least significant digit first) over the eight bytes after the prefix that all keys
 * share, then comparisons among keys that agree in those eight: keys such as `user:000123` are
 * sorted without comparing any two of them. `pause` is called now and then.
 */
export function newestInKeyOrder(
  image: SegmentImage,
  offsets: Uint32Array,
  pause: () => void = () => {},
): Uint32Array {
  const { bytes } = image;
  const compare = (a: number, b: number) =>
    compareKeys(bytes, a, recordKeyBytes(image, a), b, recordKeyBytes(image, b)) ||
    recordSequence(image, a) - recordSequence(image, b);
  const sorted = offsets.length < RADIX_MINIMUM
    ? offsets.toSorted(compare)
    : radixSort(image, offsets, compare, pause);
  pause();
  return dropOlder(image, sorted);
}

function radixSort(
  image: SegmentImage,
  offsets: Uint32Array,
  compare: (a: number, b: number) => number,
  pause: () => void,
): Uint32Array {
  const { bytes } = image;
  const prefix = commonPrefixBytes(image, offsets);
  const count = offsets.length;
  const high = new Uint32Array(count);
  const low = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const key = offsets[i]! + RECORD_HEADER_BYTES;
    const keyEnd = key + recordKeyBytes(image, offsets[i]!);
    high[i] = bigEndianWord(bytes, key + prefix, keyEnd);
    low[i] = bigEndianWord(bytes, key + prefix + 4, keyEnd);
  }
  pause();
  let order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  let spare = new Uint32Array(count);
  for (const digits of [low, high]) {
    for (let shift = 0; shift < 32; shift += 8) {
      if (!countingPass(digits, shift, order, spare)) continue;
      [order, spare] = [spare, order];
      pause();
    }
  }
  const sorted = order.map((i) => offsets[i]!);
  for (let start = 0; start < count;) {
    let end = start + 1;
    const h = high[order[start]!];
    const l = low[order[start]!];
    while (end < count && high[order[end]!] === h && low[order[end]!] === l) end++;
    if (end - start > 1) sorted.subarray(start, end).sort(compare);
    start = end;
  }
  return sorted;
}

/** One stable pass over one byte of the digits. Returns false, having done nothing, if all agree in it. */
function countingPass(
  digits: Uint32Array,
  shift: number,
  order: Uint32Array,
  into: Uint32Array,
): boolean {
  const starts = new Uint32Array(DIGIT_VALUES);
  for (let i = 0; i < digits.length; i++) starts[(digits[i]! >>> shift) & 0xff]!++;
  if (starts[(digits[0]! >>> shift) & 0xff] === digits.length) return false;
  let sum = 0;
  for (let digit = 0; digit < DIGIT_VALUES; digit++) {
    const here = starts[digit]!;
    starts[digit] = sum;
    sum += here;
  }
  for (let i = 0; i < order.length; i++) {
    const item = order[i]!;
    into[starts[(digits[item]! >>> shift) & 0xff]!++] = item;
  }
  return true;
}

/** Four key bytes as a number that orders as they do; bytes past the key's end count as zero. */
function bigEndianWord(bytes: Uint8Array, at: number, keyEnd: number): number {
  let word = 0;
  for (let i = 0; i < 4; i++) word = (word << 8) | (at + i < keyEnd ? bytes[at + i]! : 0);
  return word >>> 0;
}

function commonPrefixBytes(image: SegmentImage, offsets: Uint32Array): number {
  const { bytes } = image;
  const first = offsets[0]! + RECORD_HEADER_BYTES;
  let shared = recordKeyBytes(image, offsets[0]!);
  for (const offset of offsets) {
    shared = Math.min(shared, recordKeyBytes(image, offset));
    const key = offset + RECORD_HEADER_BYTES;
    let same = 0;
    while (same < shared && bytes[first + same] === bytes[key + same]) same++;
    shared = same;
  }
  return shared;
}

function compareKeys(
  bytes: Uint8Array,
  a: number,
  aBytes: number,
  b: number,
  bBytes: number,
): number {
  const shared = Math.min(aBytes, bBytes);
  const aKey = a + RECORD_HEADER_BYTES;
  const bKey = b + RECORD_HEADER_BYTES;
  for (let i = 0; i < shared; i++) {
    const difference = bytes[aKey + i]! - bytes[bKey + i]!;
    if (difference !== 0) return difference;
  }
  return aBytes - bBytes;
}

/** Of neighbours with one key, keeps the last: sorting put the newest there. */
function dropOlder(image: SegmentImage, sorted: Uint32Array): Uint32Array {
  let kept = 0;
  for (let i = 0; i < sorted.length; i++) {
    const next = sorted[i + 1];
    if (next !== undefined) {
      const keyBytes = recordKeyBytes(image, next);
      if (
        compareKeys(image.bytes, sorted[i]!, recordKeyBytes(image, sorted[i]!), next, keyBytes) ===
          0
      ) {
        continue;
      }
    }
    sorted[kept++] = sorted[i]!;
  }
  return sorted.subarray(0, kept);
}

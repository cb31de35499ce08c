import { crc32 } from "node:zlib";
import {
  highWord,
  joinWords,
  RECORD_HEADER_BYTES,
  RECORD_UNCHECKED_BYTES,
  RecordFlag,
} from "./format.ts";
import type { SegmentImage } from "./image.ts";

/**
 * Fills everything of a record but its first word. Until {@linkcode publishRecord} stores that
 * word, no other thread looks at the record. Returns the record's length without padding.
 *
 * `key` and `keyWords` view the same memory, whose bytes past `keyBytes` are zero up to the next
 * multiple of four; the record's place must be zero but for what this call writes.
 */
export function fillRecord(
  image: SegmentImage,
  offset: number,
  kindAndFlags: number,
  sequence: number,
  syncedMark: number,
  keyWords: Int32Array,
  keyBytes: number,
  value: Uint8Array | undefined,
  salt: number,
): number {
  const { bytes, words } = image;
  const word = offset >> 2;
  words[word + 2] = sequence | 0;
  words[word + 3] = highWord(sequence);
  words[word + 4] = syncedMark;
  words[word + 5] = keyBytes | (kindAndFlags << 16);
  let length = RECORD_HEADER_BYTES + keyBytes;
  for (let from = 0, to = word + 6, end = (keyBytes + 3) >> 2; from < end; from++, to++) {
    words[to] = keyWords[from]!;
  }
  if (value !== undefined && value.length > 0) {
    bytes.set(value, offset + length);
    length += value.length;
  }
  words[word + 1] = checksumRecord(bytes, offset, length, salt);
  return length;
}

/** Kind and flags as {@linkcode fillRecord} takes them. */
export function kindAndFlags(kind: number, flags: number): number {
  return kind | (flags << 8);
}

/** Makes a filled record visible to every thread. */
export function publishRecord(image: SegmentImage, offset: number, length: number): void {
  Atomics.store(image.words, offset >> 2, length);
}

/**
 * CRC-32 (ISO-HDLC, as zlib has it) of a record from its sequence to its end. The segment's salt
 * and the length are mixed into the seed, so a record of another segment, or one with a changed
 * length, does not verify.
 */
export function checksumRecord(
  bytes: Uint8Array,
  offset: number,
  length: number,
  salt: number,
): number {
  return crc32(
    bytes.subarray(offset + RECORD_UNCHECKED_BYTES, offset + length),
    (salt ^ length) >>> 0,
  ) | 0;
}

/** True if the record at `offset`, whose length was checked against the image, is what was written. */
export function verifyRecord(
  image: SegmentImage,
  offset: number,
  length: number,
  salt: number,
): boolean {
  return checksumRecord(image.bytes, offset, length, salt) === recordChecksum(image, offset);
}

/** The record's checksum, as it stands there: a signed word. */
export function recordChecksum(image: SegmentImage, offset: number): number {
  return image.words[(offset >> 2) + 1]!;
}

/** The record's length without padding; 0 where none is published. */
export function recordLength(image: SegmentImage, offset: number): number {
  return image.words[offset >> 2]!;
}

/** The record's sequence number. */
export function recordSequence(image: SegmentImage, offset: number): number {
  const word = offset >> 2;
  return joinWords(image.words[word + 2]!, image.words[word + 3]!);
}

/** How far this segment was known to be durable when the record was written. */
export function recordSyncedMark(image: SegmentImage, offset: number): number {
  return image.words[(offset >> 2) + 4]!;
}

/** Length of the record's key. */
export function recordKeyBytes(image: SegmentImage, offset: number): number {
  return image.words[(offset >> 2) + 5]! & 0xffff;
}

/** One of `RecordKind`, for a record that verified. */
export function recordKind(image: SegmentImage, offset: number): number {
  return (image.words[(offset >> 2) + 5]! >>> 16) & 0xff;
}

/** Bits of `RecordFlag`. */
export function recordFlags(image: SegmentImage, offset: number): number {
  return image.words[(offset >> 2) + 5]! >>> 24;
}

/** True if the next record belongs to the same batch. */
export function batchContinues(image: SegmentImage, offset: number): boolean {
  return (recordFlags(image, offset) & RecordFlag.batchContinues) !== 0;
}

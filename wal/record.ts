import { crc32 } from "node:zlib";
import {
  EXPIRY_BYTES,
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
 * multiple of four; the record's place must be zero but for what this call writes. `expiresAt` comes
 * before the value unless it is 0; it goes with `RecordFlag.expires`.
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
  expiresAt: number = 0,
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
  if (expiresAt !== 0) {
    writeExpiry(bytes, offset + length, expiresAt);
    length += EXPIRY_BYTES;
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

/** Offset where the value begins that the user put, or its compressed form: behind key and expiry. */
export function recordValueStart(image: SegmentImage, offset: number): number {
  const start = offset + RECORD_HEADER_BYTES + recordKeyBytes(image, offset);
  return (recordFlags(image, offset) & RecordFlag.expires) === 0 ? start : start + EXPIRY_BYTES;
}

/** When the record's value ends, in ms since the epoch; 0 if it does not. */
export function recordExpiry(image: SegmentImage, offset: number): number {
  if ((recordFlags(image, offset) & RecordFlag.expires) === 0) return 0;
  return readExpiry(image.bytes, offset + RECORD_HEADER_BYTES + recordKeyBytes(image, offset));
}

/** Writes a time as records and footers have it. */
export function writeExpiry(bytes: Uint8Array, at: number, time: number): void {
  const high = highWord(time);
  for (let i = 0; i < 4; i++) {
    bytes[at + i] = time / 2 ** (8 * i);
    bytes[at + 4 + i] = high >>> (8 * i);
  }
}

/** Reads what {@linkcode writeExpiry} wrote: a number from 1 to 2^53 - 1, whatever is there. */
export function readExpiry(bytes: Uint8Array, at: number): number {
  let time = 0;
  for (let i = EXPIRY_BYTES - 1; i >= 0; i--) time = time * 256 + bytes[at + i]!;
  return Math.min(Math.max(time, 1), Number.MAX_SAFE_INTEGER);
}

/** True if the next record belongs to the same batch. */
export function batchContinues(image: SegmentImage, offset: number): boolean {
  return (recordFlags(image, offset) & RecordFlag.batchContinues) !== 0;
}

import { EXPIRY_BYTES, joinWords, readExpiry, RecordFlag } from "../wal/mod.ts";
import { ENTRY_HEADER_BYTES, FLAGS_SHIFT, SEQUENCE_HIGH_BITS } from "./format.ts";

/** Where one block of a footer is. */
export interface BlockHandle {
  /** Offset in the file. */
  readonly offset: number;
  /** Length in bytes. */
  readonly bytes: number;
  /** CRC-32 of the block, seeded with the segment's salt. */
  readonly checksum: number;
  /** Number of entries. */
  readonly entries: number;
  /** The block's first key. */
  readonly firstKey: Uint8Array;
}

/** The newest record of one key in a segment. */
export interface SegmentEntry {
  /** The key's bytes. */
  readonly key: Uint8Array;
  /** Offset of the record in the file. */
  readonly offset: number;
  /** Length of the record, without padding. */
  readonly length: number;
  /** The record's sequence number. */
  readonly sequence: number;
  /** `RecordKind.put` or `RecordKind.delete`. */
  readonly kind: number;
  /** Lasting bits of `RecordFlag`. */
  readonly flags: number;
  /** When the value ends, in ms since the epoch; 0 if it does not. */
  readonly expiresAt: number;
}

const SEQUENCE_HIGH_MASK = (1 << SEQUENCE_HIGH_BITS) - 1;
const KIND_MASK = 7;

/** Takes a block, whose checksum was verified, apart. */
export function decodeBlock(bytes: Uint8Array, count: number): SegmentEntry[] {
  const cursor = new EntryCursor(bytes, 0, count);
  const entries: SegmentEntry[] = [];
  let previous = new Uint8Array();
  while (cursor.next()) {
    const { sharedBytes, suffixStart, suffixBytes } = cursor;
    const key = new Uint8Array(sharedBytes + suffixBytes);
    if (sharedBytes > 0) key.set(previous.subarray(0, sharedBytes));
    key.set(bytes.subarray(suffixStart, suffixStart + suffixBytes), sharedBytes);
    const { offset, length, sequence, kind, flags, expiresAt } = cursor;
    entries.push({ key, offset, length, sequence, kind, flags, expiresAt });
    previous = key;
  }
  return entries;
}

/**
 * Walks over the entries of a block, whose checksum was verified, without allocating: recovery reads
 * millions of them. The key is that of the entry before, cut to `sharedBytes`, and then
 * `suffixBytes` bytes from `suffixStart` of `bytes`.
 */
export class EntryCursor {
  /** The memory that the block is in. */
  readonly bytes: Uint8Array;
  /** Bytes that the key shares with the one before it. */
  sharedBytes = 0;
  /** Where the rest of the key begins in `bytes`. */
  suffixStart = 0;
  /** Length of that rest. */
  suffixBytes = 0;
  /** See {@linkcode SegmentEntry}. */
  offset = 0;
  /** See {@linkcode SegmentEntry}. */
  length = 0;
  /** See {@linkcode SegmentEntry}. */
  sequence = 0;
  /** See {@linkcode SegmentEntry}. */
  kind = 0;
  /** See {@linkcode SegmentEntry}. */
  flags = 0;
  /** See {@linkcode SegmentEntry}. */
  expiresAt = 0;
  readonly #view: DataView;
  #left: number;

  /** Stands before the first of the `count` entries of the block at `start` of `bytes`. */
  constructor(bytes: Uint8Array, start: number, count: number) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#left = count;
    this.suffixStart = start;
  }

  /** Goes to the next entry. False if there is none. */
  next(): boolean {
    if (this.#left-- <= 0) return false;
    const view = this.#view;
    const at = this.suffixStart + this.suffixBytes;
    const tail = view.getUint32(at + 16, true);
    this.sharedBytes = view.getUint16(at, true);
    this.suffixBytes = view.getUint16(at + 2, true);
    this.suffixStart = at + ENTRY_HEADER_BYTES;
    this.offset = view.getUint32(at + 4, true);
    this.length = view.getUint32(at + 8, true);
    this.sequence = joinWords(view.getUint32(at + 12, true), tail & SEQUENCE_HIGH_MASK);
    this.kind = (tail >>> SEQUENCE_HIGH_BITS) & KIND_MASK;
    this.flags = tail >>> FLAGS_SHIFT;
    this.expiresAt = 0;
    if ((this.flags & RecordFlag.expires) !== 0) {
      this.expiresAt = readExpiry(this.bytes, this.suffixStart);
      this.suffixStart += EXPIRY_BYTES;
    }
    return true;
  }
}

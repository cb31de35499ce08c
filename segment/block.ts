import { joinWords } from "../wal/mod.ts";
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
}

const SEQUENCE_HIGH_MASK = (1 << SEQUENCE_HIGH_BITS) - 1;
const KIND_MASK = 7;

/** Takes a block, whose checksum was verified, apart. */
export function decodeBlock(bytes: Uint8Array, count: number): SegmentEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: SegmentEntry[] = [];
  let at = 0;
  let previous = new Uint8Array();
  for (let i = 0; i < count; i++) {
    const shared = view.getUint16(at, true);
    const suffixBytes = view.getUint16(at + 2, true);
    const tail = view.getUint32(at + 16, true);
    const suffixStart = at + ENTRY_HEADER_BYTES;
    const key = new Uint8Array(shared + suffixBytes);
    if (shared > 0) key.set(previous.subarray(0, shared));
    key.set(bytes.subarray(suffixStart, suffixStart + suffixBytes), shared);
    entries.push({
      key,
      offset: view.getUint32(at + 4, true),
      length: view.getUint32(at + 8, true),
      sequence: joinWords(view.getUint32(at + 12, true), tail & SEQUENCE_HIGH_MASK),
      kind: (tail >>> SEQUENCE_HIGH_BITS) & KIND_MASK,
      flags: tail >>> FLAGS_SHIFT,
    });
    previous = key;
    at = suffixStart + suffixBytes;
  }
  return entries;
}

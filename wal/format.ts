/**
 * The numbers of the on-disk log format, shared by whoever writes and whoever reads it.
 * docs/FORMAT.md explains each and holds a worked example.
 */

/** Version of the log and segment format that this code writes, and the newest that it reads. */
export const FORMAT_VERSION = 1;

/** First eight bytes of every log and segment file: "FLAGSLAB", as two little-endian words. */
export const FILE_MAGIC_LOW = 0x47414c46;
/** See {@linkcode FILE_MAGIC_LOW}. */
export const FILE_MAGIC_HIGH = 0x42414c53;

/** Records begin at multiples of this, in slab, log and segment alike. */
export const RECORD_ALIGNMENT_BYTES = 8;

/** length u32, checksum u32, sequence u64, synced mark u32, key length u16, kind u8, flags u8. */
export const RECORD_HEADER_BYTES = 4 + 4 + 8 + 4 + 2 + 1 + 1;

/** What the checksum of a record does not cover directly: its length (part of the seed) and itself. */
export const RECORD_UNCHECKED_BYTES = 4 + 4;

/** magic u64, version u32, header bytes u32, segment u32, capacity u32, store id 16, base sequence u64, nonce u64, reserved u32, checksum u32. */
export const FILE_HEADER_BYTES = 8 + 4 + 4 + 4 + 4 + 16 + 8 + 8 + 4 + 4;

/** Longest key, in bytes: what the u16 in a record's header can say. */
export const MAX_KEY_BYTES = 0xffff;

/** Largest slab, log or segment: offsets must stay positive as 32-bit integers. */
export const MAX_SEGMENT_BYTES = 0x7fff_0000;

/** What a record says. */
export const RecordKind = {
  /** The key has this value. */
  put: 1,
  /** The key has no value (a tombstone). */
  delete: 2,
  /** Nothing but its synced mark: evidence of how far the log was durable. */
  mark: 3,
  /** The segment ends here and is complete. */
  seal: 4,
} as const;

/** Bits of a record's flags byte. A reader refuses bits that it does not know. */
export const RecordFlag = {
  /** The next record belongs to the same batch: both are applied, or neither. */
  batchContinues: 1,
  /** The key was given as bytes, not as a string. */
  bytesKey: 2,
  /** Of a mark: the store was closed; nothing was accepted that is not in the log. */
  closed: 4,
  /** Of a put: the value is compressed, and says so in a header of its own. */
  compressed: 8,
  /** Of a put: the value begins with the time at which it ends. */
  expires: 16,
  /** Of a put: the value is in a file of its own; the record says which. */
  external: 32,
} as const;

/** In front of the value of a record that expires: its time, in ms since the epoch, u64. */
export const EXPIRY_BYTES = 8;

/** All flags that this version knows. */
export const KNOWN_FLAGS: number = RecordFlag.batchContinues | RecordFlag.bytesKey |
  RecordFlag.closed | RecordFlag.compressed | RecordFlag.expires | RecordFlag.external;

/** Rounds up to the alignment of records. */
export function alignRecord(bytes: number): number {
  return (bytes + (RECORD_ALIGNMENT_BYTES - 1)) & -RECORD_ALIGNMENT_BYTES;
}

/** Bytes that a record takes in a slab, padding included. */
export function recordSpace(keyBytes: number, valueBytes: number): number {
  return alignRecord(RECORD_HEADER_BYTES + keyBytes + valueBytes);
}

/** Space that every slab keeps free for its last record, the seal. */
export const SEAL_SPACE_BYTES = alignRecord(RECORD_HEADER_BYTES);

const TWO_32 = 0x1_0000_0000;

/** The low 32 bits of a number below 2^53. */
export function lowWord(value: number): number {
  return value >>> 0;
}

/** The bits above the low 32 of a number below 2^53. */
export function highWord(value: number): number {
  return Math.floor(value / TWO_32);
}

/** Joins what {@linkcode lowWord} and {@linkcode highWord} took apart; both may be signed. */
export function joinWords(low: number, high: number): number {
  return (high >>> 0) * TWO_32 + (low >>> 0);
}

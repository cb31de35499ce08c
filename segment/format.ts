/**
 * The numbers of a segment's footer, shared by writer and reader; docs/FORMAT.md explains them.
 */

/** First eight bytes of the trailer: "FLAGFOOT", as two little-endian words. */
export const TRAILER_MAGIC_LOW = 0x47414c46;
/** See {@linkcode TRAILER_MAGIC_LOW}. */
export const TRAILER_MAGIC_HIGH = 0x544f4f46;

/** Words of the trailer, in order; each is a u32, little-endian. */
export const TrailerWord = {
  magicLow: 0,
  magicHigh: 1,
  version: 2,
  salt: 3,
  recordsEnd: 4,
  blockIndexOffset: 5,
  blockIndexBytes: 6,
  blockIndexChecksum: 7,
  blocks: 8,
  puts: 9,
  deletes: 10,
  liveBytesLow: 11,
  liveBytesHigh: 12,
  lastSequenceLow: 13,
  lastSequenceHigh: 14,
  checksum: 15,
} as const;

/** Length of the trailer, at the very end of a segment. */
export const TRAILER_BYTES = Object.keys(TrailerWord).length * 4;

/** shared u16, suffix u16, offset u32, length u32, sequence low u32, sequence high 21 bits, kind and flags 11 bits. */
export const ENTRY_HEADER_BYTES = 2 + 2 + 4 + 4 + 4 + 4;

/** A block is closed once it has reached this size; a longer key makes a longer block. */
export const BLOCK_BYTES = 16 * 1024;

/** offset u32, bytes u32, checksum u32, entries u32, first key's length u32; the key follows. */
export const BLOCK_INDEX_ENTRY_BYTES = 5 * 4;

/** In an entry's last word: the sequence's high bits below, then kind (3 bits), then flags (8 bits). */
export const SEQUENCE_HIGH_BITS = 21;
/** Where the flags begin in an entry's last word. */
export const FLAGS_SHIFT = SEQUENCE_HIGH_BITS + 3;

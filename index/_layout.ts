/**
 * The bytes of the index in shared memory: what the one writer and the readers agree on. Everything
 * is a 32-bit word, and no word is an address, so the same bytes mean the same in another isolate
 * and, on a machine of the same byte order, after a trip through a file.
 *
 * ```
 * control    words of the table below, a version for each shard, the warp table
 * directory  2^depth cells of 4 words: number of pages, then the pages
 * chunk      padding, the pages, and in reverse order for each page its filter and counts
 * page       512 entries of 32 bytes, open addressing with linear probing, wrapping in the page
 * filter     128 words, in one of which each key of the page sets three bits (a Bloom filter)
 * ```
 *
 * A key's `h3` chooses the cell, `h2` page and place, and `h1` to `h3` are what is compared: 96 bits.
 */

/** Words of the control block. */
export const Control = {
  /** `MAGIC`. */
  magic: 0,
  /** `LAYOUT_VERSION`. */
  layout: 1,
  /** The directory has 2^depth cells. */
  depth: 2,
  /** Raised whenever the directory moves to new memory. */
  directoryGeneration: 3,
  /** Raised whenever the index takes new memory. */
  memoryGeneration: 4,
  /** Number of chunks. */
  chunks: 5,
  /** Pages of the last chunk that are in use; those of the others all are. */
  lastChunkPages: 6,
  /** Keys that have a value. */
  live: 7,
  /** Tombstones. */
  tombstones: 8,
  /** Flags that some key may have: see `HashIndex.mark`. */
  marked: 9,
  /** A version for each shard follows from here: odd while the writer changes something of it. */
  versions: 16,
  /** The warp table: see `cellPosition`. */
  warp: 16 + 256,
} as const;

/** "FSIX"; other bytes if the image is of a machine of the other byte order. */
export const MAGIC = 0x58495346;
export const LAYOUT_VERSION = 1;
/** Number of shards: each has a version word, so that a reader is held up only by what it reads. */
export const INDEX_SHARDS = 256;
/** So many top bits of a position are the shard. */
export const SHARD_BITS = 8;
export const CONTROL_WORDS = Control.warp + 2 * INDEX_SHARDS;

/** Words of an entry, relative to its first. */
export const Entry = {
  h1: 0,
  h2: 1,
  h3: 2,
  sequenceLow: 3,
  /** The sequence's 21 high bits, and the flags from bit 24. */
  tail: 4,
  segment: 5,
  offset: 6,
  /** 0 is an empty place, 1 a tombstone: no record is that short. */
  length: 7,
} as const;
/** An entry is 8 words, 32 bytes: two to a cache line. */
export const ENTRY_SHIFT = 3;
export const ENTRY_WORDS = 1 << ENTRY_SHIFT;
export const TOMBSTONE = 1;
export const TWO_32 = 0x1_0000_0000;
export const SEQUENCE_HIGH_MASK = (1 << 21) - 1;
export const FLAGS_SHIFT = 24;

export const PAGE_SHIFT = 9;
export const PAGE_ENTRIES = 1 << PAGE_SHIFT;
export const PAGE_WORDS = PAGE_ENTRIES << ENTRY_SHIFT;
/** A page is never filled beyond this: probing ends at an empty place. */
export const PAGE_LIMIT = Math.floor(PAGE_ENTRIES * 0.95);
/** A cell's pages together are filled up to this part of their places, then the cell grows. */
export const FULL = 0.88;

/** Pages of a cell: it begins with two, gets a third, and is then split in two cells of two. */
export const LEAST_PAGES = 2;
export const MOST_PAGES = 3;
/** Words of a cell: the number of pages with the cell's own depth above it, then the pages. */
export const CELL_SHIFT = 2;
export const CELL_WORDS = 1 << CELL_SHIFT;
export const CELL_PAGES_MASK = 0xff;
export const CELL_DEPTH_SHIFT = 8;

/**
 * Words of a chunk before its first page. Systems hand out large pieces of memory 16 bytes beyond a
 * multiple of their pages; with these 48, no entry is in two cache lines.
 */
export const CHUNK_HEAD_WORDS = 12;
/** Words of a page's filter: a byte for each entry. */
export const FILTER_WORDS = PAGE_ENTRIES / 4;
/** Words that a chunk has for a page at its end: filter, entries in use, entries removed since. */
export const PAGE_TAIL_WORDS = FILTER_WORDS + 2;
/** A page is named by its chunk and, in these low bits, its number in the chunk. */
export const CHUNK_SHIFT = 8;
export const CHUNK_MASK = (1 << CHUNK_SHIFT) - 1;
/** A new chunk is one part in so many of what is there, and so is the memory not yet in use. */
export const CHUNK_PART = 48;
export const LEAST_CHUNK_PAGES = 4;
/** A chunk is 4 MiB at most: should the system have to clear it, that takes less than 1 ms. */
export const MOST_CHUNK_PAGES = 256;

/** Bits of a cell position. */
export const POSITION_BITS = 24;
/** Beyond this depth, which random keys reach at some 10^9 keys, an index is full. */
export const MOST_DEPTH = 20;
/** Moving the directory to new memory makes room for so many doublings. */
export const DIRECTORY_STEP = 3;

/** What the index needs of a hash. */
export interface KeyHash {
  /** Compared only. */
  readonly h1: number;
  /** Chooses the page of a cell and the place in it. */
  readonly h2: number;
  /** Chooses the cell. */
  readonly h3: number;
}

/**
 * Where in the directory a key belongs, as a part of 2^24; its top bits are the cell, the top 8 the
 * shard.
 *
 * This is the base-2 logarithm of 1 + h3 / 2^32, in 256 straight pieces. Were it h3 itself, all cells
 * would grow at the same time, and memory would swing by half with each growth. So cells get
 * unequal parts of the keys, evenly spread over a factor of two (as in spiral storage, Martin 1979),
 * and at any time the same part of them is about to grow.
 */
export function cellPosition(warp: Int32Array, from: number, h3: number): number {
  const piece = from + ((h3 >>> 24) << 1);
  return warp[piece]! + (Math.imul((h3 >>> 10) & 0x3fff, warp[piece + 1]!) >>> 14);
}

/** Fills in the warp table: for each piece, where it begins and how long it is. */
export function fillWarp(control: Int32Array): void {
  const start = (piece: number) => Math.round(Math.log2(1 + piece / 256) * 2 ** POSITION_BITS);
  for (let piece = 0; piece < 256; piece++) {
    control[Control.warp + 2 * piece] = start(piece);
    control[Control.warp + 2 * piece + 1] = start(piece + 1) - start(piece);
  }
}

/** Which of a cell's pages has a key, by the top half of `h2`; its low bits choose the place there. */
export function pageInCell(h2: number, pages: number): number {
  return Math.imul(h2 >>> 16, pages) >>> 16;
}

/** First word of the page's entries in its chunk. */
export function pageBase(page: number): number {
  return CHUNK_HEAD_WORDS + ((page & CHUNK_MASK) << (PAGE_SHIFT + ENTRY_SHIFT));
}

/** First word of the page's filter in its chunk. */
export function filterBase(chunk: Int32Array, page: number): number {
  return chunk.length - ((page & CHUNK_MASK) + 1) * PAGE_TAIL_WORDS;
}

/** Word of the page's chunk that counts its entries. */
export function countWord(chunk: Int32Array, page: number): number {
  return filterBase(chunk, page) + FILTER_WORDS;
}

/** Word of the page's chunk that counts the removed entries of which the filter still has bits. */
export function removedWord(chunk: Int32Array, page: number): number {
  return filterBase(chunk, page) + FILTER_WORDS + 1;
}

/** Which word of a filter has a key's bits. */
export function filterWord(h1: number): number {
  return h1 & (FILTER_WORDS - 1);
}

/** The key's three bits in that word. */
export function filterBits(h1: number): number {
  return (1 << ((h1 >>> 7) & 31)) | (1 << ((h1 >>> 12) & 31)) | (1 << ((h1 >>> 17) & 31));
}

/** The key's first place in its page: the first of the two in a cache line. */
export function homeOf(h2: number): number {
  return (h2 << 1) & (PAGE_ENTRIES - 1);
}

/** First word of the key's entry in `page` of `chunk`, or of the empty place where it would go. */
export function probe(chunk: Int32Array, page: number, hash: KeyHash): number {
  const { h1, h2, h3 } = hash;
  const base = pageBase(page);
  for (let slot = homeOf(h2);; slot = (slot + 1) & (PAGE_ENTRIES - 1)) {
    const at = base + (slot << ENTRY_SHIFT);
    if (chunk[at + Entry.length] === 0) return at;
    if (chunk[at] === h1 && chunk[at + Entry.h2] === h2 && chunk[at + Entry.h3] === h3) return at;
  }
}

/** Counts an entry that `page` of `chunk` gets. */
export function note(chunk: Int32Array, page: number, h1: number): void {
  const filter = filterBase(chunk, page);
  chunk[filter + filterWord(h1)]! |= filterBits(h1);
  chunk[filter + FILTER_WORDS]!++;
}

/** The sequence number of the entry at `at`. */
export function sequenceAt(table: Int32Array, at: number): number {
  return (table[at + Entry.tail]! & SEQUENCE_HIGH_MASK) * TWO_32 +
    (table[at + Entry.sequenceLow]! >>> 0);
}

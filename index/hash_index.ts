import {
  CELL_DEPTH_SHIFT,
  CELL_PAGES_MASK,
  CELL_SHIFT,
  CELL_WORDS,
  cellPosition,
  CHUNK_SHIFT,
  Control,
  countWord,
  Entry,
  filterBase,
  filterBits,
  filterWord,
  FLAGS_SHIFT,
  FULL,
  type KeyHash,
  note,
  PAGE_ENTRIES,
  PAGE_LIMIT,
  pageInCell,
  POSITION_BITS,
  probe,
  SEQUENCE_HIGH_MASK,
  sequenceAt,
  SHARD_BITS,
  TOMBSTONE,
  TWO_32,
} from "./_layout.ts";
import { CellGrowth } from "./_growth.ts";
import { sweep, vacate } from "./_removal.ts";
import { eachCell, eachPage, eachPlace, readCells } from "./_walk.ts";
import { imageOf, memoryOf } from "./_image.ts";
import { type IndexHandle, IndexMemory } from "./_memory.ts";
import { IndexReader } from "./index_reader.ts";

/** Told by a write that found something newer. */
const STALE = -1;

/**
 * Where the newest record of each key is: a hash table in shared memory, made of pages of 16 KiB.
 *
 * Growth: a directory says which two or three pages have a key's cell. A cell that is full gets one
 * page more, or becomes two, and its 1350 entries or fewer are placed anew: that takes some 60 µs,
 * however large the index is. Cells are of unequal size, so that they do not grow at the same time
 * (see `cellPosition`): an entry of 32 bytes costs 44 to 48 bytes of memory at any size beyond 50 K
 * keys. Removing keys makes room for others, but gives no memory back.
 *
 * Filter: each page has a Bloom filter of a byte for each entry, which `find` asks first. It stays
 * because it won: on a busy machine a miss took 59, 100, 225 ns with it and 90, 274, 452 ns without, at
 * 100 K, 1 M, 10 M keys (hashing, some 40 ns, included); a hit took 5 % less to 14 % more. Tags of one
 * byte, which also say where the entry is, were slower: a hit at 10 M keys took 392 ns, not 269, as the
 * entry could only be read after its tag.
 *
 * Sequence: every put and tombstone carries one, and only replaces what is not newer, so that the
 * outcome does not depend on the order of arrival. `remove` leaves nothing behind, so it is only
 * for a deletion after which nothing older arrives; it does not remove what is newer, if it is told
 * its sequence.
 *
 * Threads: one isolate writes. Others read through {@linkcode IndexReader}s, which they make from
 * {@linkcode share}; until that is called, the writer does not pay for them.
 *
 * Hashes: 96 bits of a key's 128-bit hash are compared; that two of 100 M keys are equal in these has a
 * probability of 6e-14, and who does not know the secret cannot raise it.
 *
 * Looking up leaves what was found in the fields `segment`, `offset`, `length`, `sequence` and
 * `flags`, so that it allocates nothing.
 */
export class HashIndex {
  /** Segment of the entry found last. */
  segment = 0;
  /** Its record's offset in that segment. */
  offset = 0;
  /** Its record's length. */
  length = 0;
  /** Its sequence number. */
  sequence = 0;
  /** Its record's flags. */
  flags = 0;
  /** Set by a `put` that found something newer, whose place is then in `segment`; never cleared here. */
  stale = false;
  readonly #memory: IndexMemory;
  readonly #growth: CellGrowth;
  readonly #control: Int32Array;
  readonly #chunks: readonly Int32Array[];
  /** The directory, and how far a cell position is shifted to give the cell in it. */
  #directory: Int32Array;
  #shift: number;
  #shared = false;

  /** Makes an empty index. */
  constructor();
  /** Takes over memory. */
  constructor(memory: IndexMemory);
  constructor(memory: IndexMemory = IndexMemory.create()) {
    this.#memory = memory;
    this.#control = memory.control;
    this.#chunks = memory.chunks;
    this.#growth = new CellGrowth(memory);
    this.#directory = this.#memory.directory;
    this.#shift = POSITION_BITS - this.#control[Control.depth]!;
  }

  /** Attaches to the index of another isolate, to read it. */
  static attach(handle: IndexHandle): IndexReader {
    return new IndexReader(handle);
  }

  /**
   * An index out of the bytes that {@linkcode chunks} gave, which become its memory if each has a
   * SharedArrayBuffer to itself, else are copied. Throws a RangeError if they are not the bytes of an
   * index of this layout. That they are unharmed, and of the same secret, is for the caller to know.
   */
  static fromChunks(chunks: readonly Uint8Array[]): HashIndex {
    return new HashIndex(memoryOf(chunks));
  }

  /**
   * All memory of the index, a few dozen pieces a million keys, to be written to a file as it is. Views, not
   * copies: what is put afterwards changes them.
   */
  chunks(): Uint8Array[] {
    return imageOf(this.#memory);
  }

  /** What another isolate needs to read along. It can be posted; post it again when it has changed. */
  share(): IndexHandle {
    this.#shared = true;
    this.#memory.shared = true;
    return this.#memory.handle();
  }

  /** The readers have gone: until the next {@linkcode share}, the writer does not pay for them. */
  unshare(): void {
    this.#shared = false;
    this.#memory.shared = false;
  }

  /** Number that changes when the index has taken new memory, which readers then lack. */
  get memoryGeneration(): number {
    return this.#control[Control.memoryGeneration]!;
  }

  /** Number of keys that have a value. */
  get size(): number {
    return this.#control[Control.live]!;
  }

  /** Bytes that the index takes. */
  get memoryBytes(): number {
    return this.#memory.bytes;
  }

  /** Entries that growth has moved so far: some 2.5 for each key put in, 1400 at a time at most. */
  get entriesMoved(): number {
    return this.#growth.entriesMoved;
  }

  /** What the filter knows: false if the key has no value; true, of some 3 % of such keys, too. */
  mayHave(hash: KeyHash): boolean {
    const page = this.#page(this.#cell(hash.h3), hash.h2);
    const table = this.#chunks[page >>> CHUNK_SHIFT]!;
    const bits = filterBits(hash.h1);
    return (table[filterBase(table, page) + filterWord(hash.h1)]! & bits) === bits;
  }

  /** Looks up the key that `hash` hashed last. False if it has no value. */
  find(hash: KeyHash): boolean {
    const page = this.#page(this.#cell(hash.h3), hash.h2);
    const table = this.#chunks[page >>> CHUNK_SHIFT]!;
    const bits = filterBits(hash.h1);
    if ((table[filterBase(table, page) + filterWord(hash.h1)]! & bits) !== bits) return false;
    const at = probe(table, page, hash);
    const length = table[at + Entry.length]!;
    if (length <= TOMBSTONE) return false;
    this.segment = table[at + Entry.segment]!;
    this.offset = table[at + Entry.offset]!;
    this.length = length;
    const tail = table[at + Entry.tail]!;
    this.sequence = (tail & SEQUENCE_HIGH_MASK) * TWO_32 + (table[at + Entry.sequenceLow]! >>> 0);
    this.flags = tail >>> FLAGS_SHIFT;
    return true;
  }

  /**
   * Points the key that `hash` hashed last to its record, unless the index has a newer one. Returns
   * true if the key had an older value; the fields then tell which.
   */
  put(
    hash: KeyHash,
    sequence: number,
    segment: number,
    offset: number,
    length: number,
    flags: number,
  ): boolean {
    const before = this.#write(hash, sequence, segment, offset, length, flags);
    if (before > TOMBSTONE) return true;
    if (before === STALE) return false;
    this.#control[Control.live]!++;
    if (before === TOMBSTONE) this.#control[Control.tombstones]!--;
    return false;
  }

  /**
   * The record that the key has at `sequence` is now elsewhere. False if the key has another, or none:
   * then nothing changes. `segment`, `offset` and `length` tell what was found.
   */
  move(hash: KeyHash, sequence: number, segment: number, offset: number): boolean {
    if (!this.find(hash) || this.sequence !== sequence) return false;
    const page = this.#page(this.#cell(hash.h3), hash.h2);
    const table = this.#chunks[page >>> CHUNK_SHIFT]!;
    const at = probe(table, page, hash);
    const version = this.#shared ? this.#version(hash.h3) : 0;
    if (version !== 0) Atomics.add(this.#control, version, 1);
    table[at + Entry.segment] = segment;
    table[at + Entry.offset] = offset;
    if (version !== 0) Atomics.add(this.#control, version, 1);
    return true;
  }

  /**
   * Records that the key was deleted at `sequence`, unless the index has something newer, and keeps
   * the place so that an older record found later does not bring the key back. For recovery, where
   * segments are read in any order; {@linkcode dropTombstones} ends it. Returns true if the key had
   * a value; `segment`, `offset` and `length` then tell which.
   */
  putTombstone(hash: KeyHash, sequence: number): boolean {
    const before = this.#write(hash, sequence, 0, 0, TOMBSTONE, 0);
    if (before === STALE || before === TOMBSTONE) return false;
    this.#control[Control.tombstones]!++;
    if (before === 0) return false;
    this.#control[Control.live]!--;
    return true;
  }

  /**
   * Removes the key that `hash` hashed last, unless what the index has is newer than `sequence`. False
   * if it had no value or a newer one.
   */
  remove(hash: KeyHash, sequence = Infinity): boolean {
    if (!this.find(hash) || this.sequence > sequence) return false;
    const cell = this.#cell(hash.h3);
    const page = this.#page(cell, hash.h2);
    const at = probe(this.#chunks[page >>> CHUNK_SHIFT]!, page, hash);
    const position = cellPosition(this.#control, Control.warp, hash.h3);
    const depth = this.#directory[cell]! >>> CELL_DEPTH_SHIFT;
    // Entries that move may be of any shard that the cell has a part of.
    this.#memory.open(position, depth);
    vacate(this.#chunks[page >>> CHUNK_SHIFT]!, page, at);
    this.#memory.close(position, depth);
    this.#control[Control.live]!--;
    return true;
  }

  /**
   * Reads the part of the memory where the keys are whose `h3` has the same top byte, if that is worth
   * it for so many `writes`: in order it comes into the caches in a tenth of the time that it takes at
   * random. Returns a number that means nothing.
   */
  warm(h3: number, writes: number): number {
    const first = this.#cell(h3);
    const last = this.#cell(h3 | 0xffffff);
    if (((last - first) / CELL_WORDS + 1) * PAGE_ENTRIES > writes) return 0;
    return readCells(this.#directory, this.#chunks, first, last);
  }

  /** From now on keys may have `flag`: only then does {@linkcode eachFlagged} look for them. */
  mark(flag: number): void {
    this.#control[Control.marked]! |= flag;
  }

  /**
   * Calls `visit` for each key whose flags have `flag`, in no order; the fields tell where its record
   * is. Looks at every key, if `flag` was ever marked. `visit` must not change the index.
   */
  eachFlagged(flag: number, visit: () => void): void {
    if ((this.#control[Control.marked]! & flag) !== 0) this.#each(flag, visit);
  }

  /** As `eachFlagged`, for every key. */
  each(visit: () => void): void {
    this.#each(0, visit);
  }

  #each(flag: number, visit: () => void): void {
    eachCell(this.#directory, this.#shift, (first) => {
      eachPage(this.#directory, first, (page) => this.#visitPage(page, flag, visit));
    });
  }

  /** Frees the places of tombstones: nothing older will come. */
  dropTombstones(): void {
    if (this.#control[Control.tombstones] === 0) return;
    eachCell(this.#directory, this.#shift, (first, position) => {
      const depth = this.#directory[first]! >>> CELL_DEPTH_SHIFT;
      this.#memory.open(position, depth);
      eachPage(this.#directory, first, (page) => sweep(this.#chunks, page));
      this.#memory.close(position, depth);
    });
    this.#control[Control.tombstones] = 0;
  }

  /** Stores an entry. Returns the length that stood there (0 where nothing did), or `STALE`. */
  #write(
    hash: KeyHash,
    sequence: number,
    segment: number,
    offset: number,
    length: number,
    flags: number,
  ): number {
    const cell = this.#cell(hash.h3);
    const page = this.#page(cell, hash.h2);
    const table = this.#chunks[page >>> CHUNK_SHIFT]!;
    const at = probe(table, page, hash);
    const before = table[at + Entry.length]!;
    if (before === 0) {
      if (this.#isFull(cell, table[countWord(table, page)]!)) {
        this.#grow(hash.h3);
        return this.#write(hash, sequence, segment, offset, length, flags);
      }
      note(table, page, hash.h1);
    } else {
      const older = sequenceAt(table, at);
      if (older > sequence) {
        this.stale = true;
        this.segment = table[at + Entry.segment]!;
        return STALE;
      }
      this.segment = table[at + Entry.segment]!;
      this.offset = table[at + Entry.offset]!;
      this.length = before;
      this.sequence = older;
      this.flags = table[at + Entry.tail]! >>> FLAGS_SHIFT;
    }
    const version = this.#shared ? this.#version(hash.h3) : 0;
    if (version !== 0) Atomics.add(this.#control, version, 1);
    table[at + Entry.h1] = hash.h1;
    table[at + Entry.h2] = hash.h2;
    table[at + Entry.h3] = hash.h3;
    table[at + Entry.sequenceLow] = sequence | 0;
    table[at + Entry.tail] = ((sequence / TWO_32) | 0) | (flags << FLAGS_SHIFT);
    table[at + Entry.segment] = segment;
    table[at + Entry.offset] = offset;
    table[at + Entry.length] = length;
    if (version !== 0) Atomics.add(this.#control, version, 1);
    return before;
  }

  /** First word of the cell of a key. */
  #cell(h3: number): number {
    return (cellPosition(this.#control, Control.warp, h3) >>> this.#shift) << CELL_SHIFT;
  }

  /** The key's page among those of its cell. */
  #page(cell: number, h2: number): number {
    return this.#directory[cell + 1 + pageInCell(h2, this.#directory[cell]! & CELL_PAGES_MASK)]!;
  }

  /** Word of the version of a key's shard. */
  #version(h3: number): number {
    return Control.versions +
      (cellPosition(this.#control, Control.warp, h3) >>> (POSITION_BITS - SHARD_BITS));
  }

  /** True if the cell must grow before it takes one more entry, into a page that has `inPage`. */
  #isFull(cell: number, inPage: number): boolean {
    if (inPage >= PAGE_LIMIT) return true;
    const pages = this.#directory[cell]! & CELL_PAGES_MASK;
    let entries = 0;
    for (let i = 1; i <= pages; i++) {
      const page = this.#directory[cell + i]!;
      const table = this.#chunks[page >>> CHUNK_SHIFT]!;
      entries += table[countWord(table, page)]!;
    }
    return entries >= pages * PAGE_ENTRIES * FULL;
  }

  #grow(h3: number): void {
    this.#growth.grow(cellPosition(this.#control, Control.warp, h3));
    this.#directory = this.#memory.directory;
    this.#shift = POSITION_BITS - this.#control[Control.depth]!;
  }

  #visitPage(page: number, flag: number, visit: () => void): void {
    const table = this.#chunks[page >>> CHUNK_SHIFT]!;
    eachPlace(page, (at) => {
      if (flag !== 0 && ((table[at + Entry.tail]! >>> FLAGS_SHIFT) & flag) === 0) return;
      if (table[at + Entry.length]! <= TOMBSTONE) return;
      this.segment = table[at + Entry.segment]!;
      this.offset = table[at + Entry.offset]!;
      this.length = table[at + Entry.length]!;
      this.sequence = sequenceAt(table, at);
      this.flags = table[at + Entry.tail]! >>> FLAGS_SHIFT;
      visit();
    });
  }
}

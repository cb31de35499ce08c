import type { KeyHasher } from "./key_hash.ts";

/** Number of shards: each grows on its own, so that no growth moves more than 1/256 of the keys. */
export const INDEX_SHARDS = 256;

/** Words of an entry, relative to its first: 96 bits of the hash, then what the key's record is. */
const Entry = { h1: 0, h2: 1, h3: 2, sequenceLow: 3, tail: 4, segment: 5, offset: 6, length: 7 };
/** An entry is this many words: two to a cache line. */
const ENTRY_WORDS = 8;
const ENTRY_SHIFT = 3;
const FIRST_ENTRIES = 32;
const TWO_32 = 0x1_0000_0000;
const SEQUENCE_HIGH_MASK = (1 << 21) - 1;
const FLAGS_SHIFT = 24;
/** A length of 0 is an empty place, one of 1 a tombstone: no record is that short. */
const TOMBSTONE = 1;
/** Told by a write that found something newer. */
const STALE = -1;

/**
 * Where the newest record of each key is: open addressing with linear probing, in shared memory,
 * one table a shard. An entry is 32 bytes; the tables are at most 3/4 full.
 *
 * Looking up leaves what was found in the fields `segment`, `offset`, `length`, `sequence` and
 * `flags`, so that it allocates nothing. One thread at a time may use an instance.
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
  readonly #tables: Int32Array[] = [];
  readonly #used = new Int32Array(INDEX_SHARDS);
  #live = 0;
  #tombstones = 0;

  /** Makes an empty index. */
  constructor() {
    for (let shard = 0; shard < INDEX_SHARDS; shard++) this.#tables.push(newTable(FIRST_ENTRIES));
  }

  /** Number of keys that have a value. */
  get size(): number {
    return this.#live;
  }

  /** Bytes that the tables take. */
  get memoryBytes(): number {
    return this.#tables.reduce((sum, table) => sum + table.byteLength, 0);
  }

  /** Looks up the key that `hash` hashed last. False if it has no value. */
  find(hash: KeyHasher): boolean {
    const table = this.#tables[hash.h3 & (INDEX_SHARDS - 1)]!;
    const at = place(table, hash);
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
   * true if the key had an older value; `segment`, `offset` and `length` then tell which.
   */
  put(
    hash: KeyHasher,
    sequence: number,
    segment: number,
    offset: number,
    length: number,
    flags: number,
  ): boolean {
    const before = this.#write(hash, sequence, segment, offset, length, flags);
    if (before > TOMBSTONE) return true;
    if (before === STALE) return false;
    this.#live++;
    this.#tombstones -= before;
    return false;
  }

  /**
   * Records that the key was deleted at `sequence`, unless the index has something newer, and keeps
   * the place so that an older record found later does not bring the key back. For recovery, where
   * segments are read in any order; {@linkcode dropTombstones} ends it.
   */
  putTombstone(hash: KeyHasher, sequence: number): void {
    const before = this.#write(hash, sequence, 0, 0, TOMBSTONE, 0);
    if (before === STALE || before === TOMBSTONE) return;
    this.#tombstones++;
    if (before > TOMBSTONE) this.#live--;
  }

  /** Stores an entry. Returns the length that stood there (0 where nothing did), or `STALE`. */
  #write(
    hash: KeyHasher,
    sequence: number,
    segment: number,
    offset: number,
    length: number,
    flags: number,
  ): number {
    const shard = hash.h3 & (INDEX_SHARDS - 1);
    let table = this.#tables[shard]!;
    let at = place(table, hash);
    const before = table[at + Entry.length]!;
    if (before === 0) {
      if (++this.#used[shard]! * 4 > (table.length / ENTRY_WORDS) * 3) {
        table = this.#grow(shard);
        at = place(table, hash);
      }
    } else {
      if (sequenceAt(table, at) > sequence) return STALE;
      this.segment = table[at + Entry.segment]!;
      this.offset = table[at + Entry.offset]!;
      this.length = before;
    }
    table[at + Entry.h1] = hash.h1;
    table[at + Entry.h2] = hash.h2;
    table[at + Entry.h3] = hash.h3;
    table[at + Entry.sequenceLow] = sequence | 0;
    table[at + Entry.tail] = ((sequence / TWO_32) | 0) | (flags << FLAGS_SHIFT);
    table[at + Entry.segment] = segment;
    table[at + Entry.offset] = offset;
    table[at + Entry.length] = length;
    return before;
  }

  /** Removes the key that `hash` hashed last. False if it had no value. */
  remove(hash: KeyHasher): boolean {
    if (!this.find(hash)) return false;
    const shard = hash.h3 & (INDEX_SHARDS - 1);
    this.#vacate(shard, place(this.#tables[shard]!, hash));
    this.#live--;
    return true;
  }

  /** Frees the places of tombstones: nothing older will come. */
  dropTombstones(): void {
    if (this.#tombstones === 0) return;
    for (let shard = 0; shard < INDEX_SHARDS; shard++) {
      const table = this.#tables[shard]!;
      for (let at = 0; at < table.length;) {
        // Vacating may move another entry here, so the place is looked at again.
        if (table[at + Entry.length] === TOMBSTONE) this.#vacate(shard, at);
        else at += ENTRY_WORDS;
      }
    }
    this.#tombstones = 0;
  }

  /** Empties a place and moves back the entries that only passed over it (no markers stay behind). */
  #vacate(shard: number, vacant: number): void {
    const table = this.#tables[shard]!;
    const capacity = table.length / ENTRY_WORDS;
    const mask = capacity - 1;
    let hole = vacant / ENTRY_WORDS;
    for (let next = (hole + 1) & mask;; next = (next + 1) & mask) {
      const at = next * ENTRY_WORDS;
      if (table[at + Entry.length] === 0) break;
      const home = (table[at + Entry.h3]! >>> 8) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      table.copyWithin(hole * ENTRY_WORDS, at, at + ENTRY_WORDS);
      hole = next;
    }
    table.fill(0, hole * ENTRY_WORDS, (hole + 1) * ENTRY_WORDS);
    this.#used[shard]!--;
  }

  #grow(shard: number): Int32Array {
    const old = this.#tables[shard]!;
    const table = newTable(old.length / ENTRY_WORDS * 2);
    const mask = table.length / ENTRY_WORDS - 1;
    for (let from = 0; from < old.length; from += ENTRY_WORDS) {
      if (old[from + Entry.length] === 0) continue;
      let slot = (old[from + Entry.h3]! >>> 8) & mask;
      while (table[slot * ENTRY_WORDS + Entry.length] !== 0) slot = (slot + 1) & mask;
      const to = slot * ENTRY_WORDS;
      for (let word = 0; word < ENTRY_WORDS; word++) table[to + word] = old[from + word]!;
    }
    this.#tables[shard] = table;
    return table;
  }
}

function newTable(entries: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(entries * ENTRY_WORDS * 4));
}

function sequenceAt(table: Int32Array, at: number): number {
  return (table[at + Entry.tail]! & SEQUENCE_HIGH_MASK) * TWO_32 +
    (table[at + Entry.sequenceLow]! >>> 0);
}

/** First word of the key's entry, or of the empty place where it would go. */
function place(table: Int32Array, hash: KeyHasher): number {
  const mask = (table.length >> ENTRY_SHIFT) - 1;
  const { h1, h2, h3 } = hash;
  for (let slot = (h3 >>> 8) & mask;; slot = (slot + 1) & mask) {
    const at = slot << ENTRY_SHIFT;
    if (table[at + Entry.length] === 0) return at;
    if (table[at] === h1 && table[at + Entry.h2] === h2 && table[at + Entry.h3] === h3) return at;
  }
}

import {
  CELL_PAGES_MASK,
  CELL_SHIFT,
  cellPosition,
  CHUNK_SHIFT,
  Control,
  Entry,
  ENTRY_SHIFT,
  filterBase,
  filterBits,
  filterWord,
  FLAGS_SHIFT,
  homeOf,
  type KeyHash,
  PAGE_ENTRIES,
  pageBase,
  pageInCell,
  POSITION_BITS,
  SEQUENCE_HIGH_MASK,
  SHARD_BITS,
  TOMBSTONE,
  TWO_32,
} from "./_layout.ts";
import { type IndexHandle, IndexMemory } from "./_memory.ts";

/**
 * What a reader found: the key's record; that it has no value; that the answer is in memory which the
 * reader lacks, so that it must ask the writer for `share()` anew and call `refresh`; or that the
 * writer has been changing that shard all the time, or has died in the middle of a change.
 */
export type Lookup = "found" | "absent" | "behind" | "busy";

/**
 * Tries until a lookup gives up with "busy", a few ms. A change takes the writer 60 µs at most, but
 * the system may take the processor from it in the middle of one.
 */
const TRIES = 2_000_000;

/**
 * Reads the index of another isolate, while that writes. What was found is in `segment`, `offset`,
 * `length`, `sequence` and `flags`, all of one and the same entry.
 *
 * A sequence lock: the writer makes the shard's version odd, changes words, makes it even. A lookup
 * between two equal, even versions has seen no change. Its loads are atomic so that none is done
 * before or after these two.
 */
export class IndexReader {
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
  #memory: IndexMemory;
  #directoryGeneration: number;

  /** Attaches to what `HashIndex.share` gave. */
  constructor(handle: IndexHandle) {
    this.#memory = new IndexMemory(handle);
    this.#directoryGeneration = handle.directoryGeneration;
  }

  /** Takes a newer handle of the same index. */
  refresh(handle: IndexHandle): void {
    this.#memory = new IndexMemory(handle);
    this.#directoryGeneration = handle.directoryGeneration;
  }

  /** Number of keys that have a value, at this moment. */
  get size(): number {
    return Atomics.load(this.#memory.control, Control.live);
  }

  /** Looks up the key that `hash` hashed last. */
  find(hash: KeyHash): Lookup {
    const { control } = this.#memory;
    const position = cellPosition(control, Control.warp, hash.h3);
    const shard = Control.versions + (position >>> (POSITION_BITS - SHARD_BITS));
    for (let tries = 0; tries < TRIES; tries++) {
      const version = Atomics.load(control, shard);
      if ((version & 1) !== 0) continue;
      const result = this.#look(position, hash);
      if (Atomics.load(control, shard) === version) return result;
    }
    return "busy";
  }

  /** Looks once. If the writer is at work, the result may be anything, but it comes soon. */
  #look(position: number, hash: KeyHash): Lookup {
    const { control, directory, chunks } = this.#memory;
    if (Atomics.load(control, Control.directoryGeneration) !== this.#directoryGeneration) {
      return "behind";
    }
    const depth = Atomics.load(control, Control.depth);
    const cell = position >>> (POSITION_BITS - depth) << CELL_SHIFT;
    if (cell >= directory.length) return "behind";
    const pages = Atomics.load(directory, cell) & CELL_PAGES_MASK;
    const page = Atomics.load(directory, cell + 1 + pageInCell(hash.h2, pages));
    const table = chunks[page >>> CHUNK_SHIFT];
    if (table === undefined) return "behind";
    const bits = filterBits(hash.h1);
    const filter = filterBase(table, page) + filterWord(hash.h1);
    if ((Atomics.load(table, filter) & bits) !== bits) return "absent";
    const base = pageBase(page);
    for (let i = 0; i < PAGE_ENTRIES; i++) {
      const at = base + (((homeOf(hash.h2) + i) & (PAGE_ENTRIES - 1)) << ENTRY_SHIFT);
      if (Atomics.load(table, at + Entry.length) === 0) return "absent";
      if (Atomics.load(table, at + Entry.h1) !== hash.h1) continue;
      if (Atomics.load(table, at + Entry.h2) !== hash.h2) continue;
      if (Atomics.load(table, at + Entry.h3) !== hash.h3) continue;
      return this.#take(table, at);
    }
    return "absent";
  }

  #take(table: Int32Array, at: number): Lookup {
    const length = Atomics.load(table, at + Entry.length);
    if (length === TOMBSTONE) return "absent";
    const tail = Atomics.load(table, at + Entry.tail);
    const low = Atomics.load(table, at + Entry.sequenceLow) >>> 0;
    this.sequence = (tail & SEQUENCE_HIGH_MASK) * TWO_32 + low;
    this.flags = tail >>> FLAGS_SHIFT;
    this.segment = Atomics.load(table, at + Entry.segment);
    this.offset = Atomics.load(table, at + Entry.offset);
    this.length = length;
    return "found";
  }
}

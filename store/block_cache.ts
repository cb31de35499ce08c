/** Bytes of a block: a page of the system's own cache, which costs hardly more to read than one record. */
export const CACHE_BLOCK_BYTES = 4096;
const BLOCK_SHIFT = 12;
/** Blocks of a set; a block may be in any place of its set. */
const WAYS = 8;
/** Records up to this length are read by way of the cache: of larger ones a block holds too few. */
export const MOST_CACHED_BYTES = CACHE_BLOCK_BYTES;
/** So many records are read before it is decided anew whether the cache is worth it. */
const WINDOW = 4096;
/** With fewer hits in a window, loading blocks costs more than their hits save: a third of a read each. */
const LEAST_HITS = WINDOW / 4;
/** Then one block in so many is loaded, so that a change is noticed. */
const SAMPLED = 16;

/** What blocks are read from: a sealed segment. */
export interface BlockSource {
  readonly fileBytes: number;
  /** Fills `into` from `offset`, or throws. */
  readAt(into: Uint8Array, offset: number): void;
}

/**
 * Blocks of sealed segments in memory, for small records: a system call costs several times as much
 * as the rest of a get. What comes out is verified like what comes from the disk.
 *
 * The cache is 8-way set associative, as those of processors are, so that looking up is a few
 * comparisons and nothing has to be moved or removed. In each set, CLOCK chooses what goes. Segment
 * numbers are never given twice and sealed segments never change, so nothing in it becomes wrong.
 *
 * While few of the reads find their block, as with keys at random from far more than fits, most
 * records are read by themselves, and what is in the cache stays there.
 */
export class BlockCache {
  readonly #sets: number;
  /** Segment and number of the block in each place, interleaved; 0 is no segment, compacted ones are negative. */
  readonly #tags: Int32Array;
  /** 1 = used since the hand was there. */
  readonly #used: Uint8Array;
  readonly #hands: Uint8Array;
  #blocks: Uint8Array | undefined;
  /** Reads of this window, and how many of them found their block. */
  #reads = 0;
  #hits = 0;
  /** Blocks loaded so far: few hits mean nothing before it was full. */
  #loads = 0;
  /** One block in so many is loaded, and how many were not since the last one that was. */
  #every = 1;
  #passed = 0;

  /** A cache of `bytes`; less than one set is none. Its memory is taken when it is first used. */
  constructor(bytes: number) {
    const sets = Math.floor(bytes / (CACHE_BLOCK_BYTES * WAYS));
    // A power of two, so that the set is a few bits of a hash.
    this.#sets = sets === 0 ? 0 : 2 ** Math.floor(Math.log2(sets));
    this.#tags = new Int32Array(this.#sets * WAYS * 2);
    this.#used = new Uint8Array(this.#sets * WAYS);
    this.#hands = new Uint8Array(this.#sets);
  }

  /** Bytes of blocks that it has memory for. */
  get memoryBytes(): number {
    return this.#blocks?.length ?? 0;
  }

  /** Copies `[offset, offset + length)` of a segment to `start` in `into`. Throws what `reader` throws. */
  read(
    reader: BlockSource,
    segment: number,
    offset: number,
    into: Uint8Array,
    start: number,
    length: number,
  ): void {
    if (this.#sets === 0 || length > MOST_CACHED_BYTES) {
      return reader.readAt(into.subarray(start, start + length), offset);
    }
    if (++this.#reads > WINDOW) this.#decide();
    const end = offset + length;
    let at = offset;
    while (at < end) {
      const block = at >>> BLOCK_SHIFT;
      const blockStart = block * CACHE_BLOCK_BYTES;
      const set = this.#setOf(segment, block);
      let place = this.#place(segment, block, set);
      if (place === -1) {
        if (++this.#passed < this.#every) {
          return reader.readAt(into.subarray(start + at - offset, start + length), at);
        }
        this.#passed = 0;
        place = this.#load(reader, segment, block, set);
      } else if (at === offset) {
        this.#hits++;
      }
      const from = place * CACHE_BLOCK_BYTES + at - blockStart;
      const part = Math.min(end, blockStart + CACHE_BLOCK_BYTES) - at;
      into.set(this.#blocks!.subarray(from, from + part), start + at - offset);
      at += part;
    }
  }

  #decide(): void {
    this.#every = this.#loads > this.#used.length && this.#hits < LEAST_HITS ? SAMPLED : 1;
    this.#reads = 0;
    this.#hits = 0;
  }

  #setOf(segment: number, block: number): number {
    const hash = Math.imul(Math.imul(segment, 0x9e3779b1) ^ block, 0x85ebca6b);
    return (hash ^ (hash >>> 15)) & (this.#sets - 1);
  }

  /** The place of a block in its set; -1 if it is not there. */
  #place(segment: number, block: number, set: number): number {
    const tags = this.#tags;
    const first = set * WAYS;
    for (let place = first; place < first + WAYS; place++) {
      if (tags[2 * place + 1] === block && tags[2 * place] === segment) {
        this.#used[place] = 1;
        return place;
      }
    }
    return -1;
  }

  #load(reader: BlockSource, segment: number, block: number, set: number): number {
    const blocks = this.#blocks ??= new Uint8Array(this.#sets * WAYS * CACHE_BLOCK_BYTES);
    const place = set * WAYS + this.#victim(set);
    const at = place * CACHE_BLOCK_BYTES;
    const offset = block * CACHE_BLOCK_BYTES;
    const bytes = Math.min(CACHE_BLOCK_BYTES, reader.fileBytes - offset);
    this.#loads++;
    // Should the read fail, the place must not be taken for what it was, or will be.
    this.#tags[2 * place] = 0;
    reader.readAt(blocks.subarray(at, at + bytes), offset);
    this.#tags[2 * place] = segment;
    this.#tags[2 * place + 1] = block;
    this.#used[place] = 0;
    return place;
  }

  /** CLOCK: the first way from the hand on that was not used since the hand was there. */
  #victim(set: number): number {
    for (;;) {
      const way = this.#hands[set]!;
      this.#hands[set] = (way + 1) % WAYS;
      const place = set * WAYS + way;
      if (this.#used[place] === 0) return way;
      this.#used[place] = 0;
    }
  }
}

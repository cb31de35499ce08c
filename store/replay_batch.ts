import type { HashIndex, KeyHash } from "../index/mod.ts";

/** Words of a record in the batch. */
const Field = {
  h1: 0,
  h2: 1,
  h3: 2,
  sequenceLow: 3,
  /** The sequence's 21 high bits, the kind, and from bit 24 the flags. */
  tail: 4,
  offset: 5,
  length: 6,
  segment: 7,
  /** Place of its time in the list of those, plus 1; 0 if it does not expire. */
  time: 8,
} as const;
const RECORD_WORDS = Object.keys(Field).length;
const KIND_SHIFT = 21;
const FLAGS_SHIFT = 24;
const SEQUENCE_HIGH_MASK = (1 << KIND_SHIFT) - 1;
const KIND_MASK = (1 << (FLAGS_SHIFT - KIND_SHIFT)) - 1;
const TWO_32 = 0x1_0000_0000;
/** Records are put in so many heaps, by the top of the hash that says where in the index they belong. */
const PARTS = 256;
const PART_SHIFT = 24;
/** Records of a block: of such is a heap made. */
const BLOCK_RECORDS = 64;
const BLOCK_WORDS = BLOCK_RECORDS * RECORD_WORDS;
/** Memory is taken for so many blocks at a time: 1.1 MiB. */
const PIECE_BLOCKS = 512;
const PIECE_SHIFT = 9;
/** With fewer records of a heap, it is not worth it to read all of the index's part. */
const LEAST_WARMED = 256;
/** These take 36 MiB. */
const MOST_RECORDS = 2 ** 20;

/**
 * Records of logs and segments on their way into the index, which are brought there in the order of its memory. A
 * record's place in the index is in no cache, and its page in no table of the processor; so one
 * record after the other would wait for memory, half of the time that a replay takes. Here, the part of
 * the index for a 256th of all keys is read in one go, and then their records are put there. What is
 * more, records can be looked at before there is an index.
 */
export class ReplayBatch implements KeyHash {
  /** Hash of the key of the record that `drain` speaks of. */
  h1 = 0;
  /** See `h1`. */
  h2 = 0;
  /** See `h1`. */
  h3 = 0;
  /** What the record is. */
  kind = 0;
  /** Its flags that last. */
  flags = 0;
  /** Its sequence number. */
  sequence = 0;
  /** Where it is. */
  segment = 0;
  /** Its offset there. */
  offset = 0;
  /** Its length. */
  length = 0;
  /** When its value ends, or 0. */
  expiresAt = 0;
  #size = 0;
  #blocks = 0;
  readonly #pieces: Int32Array[] = [];
  /** For each block, the one that follows in its heap. */
  readonly #next: number[] = [];
  readonly #first = new Int32Array(PARTS);
  readonly #last = new Int32Array(PARTS);
  readonly #counts = new Int32Array(PARTS);
  readonly #times: number[] = [];
  /** What `warm` returned is kept: else a compiler might see that its reading serves nothing. */
  #warmed = 0;

  /** True if it has as many records as it may, or more: drain it. */
  get isFull(): boolean {
    return this.#size >= MOST_RECORDS;
  }

  /** Adds a record. */
  add(
    { h1, h2, h3 }: KeyHash,
    kind: number,
    flags: number,
    sequence: number,
    segment: number,
    offset: number,
    length: number,
    expiresAt: number,
  ): void {
    const part = h3 >>> PART_SHIFT;
    const inBlock = this.#counts[part]!++ % BLOCK_RECORDS;
    if (inBlock === 0) this.#extend(part);
    this.#size++;
    const block = this.#last[part]!;
    const words = this.#pieces[block >>> PIECE_SHIFT]!;
    const at = (block % PIECE_BLOCKS) * BLOCK_WORDS + inBlock * RECORD_WORDS;
    words[at + Field.h1] = h1;
    words[at + Field.h2] = h2;
    words[at + Field.h3] = h3;
    words[at + Field.sequenceLow] = sequence | 0;
    words[at + Field.tail] = ((sequence / TWO_32) | 0) | (kind << KIND_SHIFT) |
      (flags << FLAGS_SHIFT);
    words[at + Field.segment] = segment;
    words[at + Field.offset] = offset;
    words[at + Field.length] = length;
    words[at + Field.time] = expiresAt === 0 ? 0 : this.#times.push(expiresAt);
  }

  /** Takes all records out and shows each to `visit`, which puts it into `index`; those of one key in the order in which they came. */
  drain(index: HashIndex, visit: () => void): void {
    for (let part = 0; part < PARTS && this.#size > 0; part++) {
      const count = this.#counts[part]!;
      if (count >= LEAST_WARMED) this.#warmed ^= index.warm(part << PART_SHIFT, count);
      let block = this.#first[part]!;
      for (let i = 0; i < count; i++) {
        const inBlock = i % BLOCK_RECORDS;
        if (inBlock === 0 && i > 0) block = this.#next[block]!;
        this.#show(block, inBlock);
        visit();
      }
    }
    this.clear();
  }

  /** Forgets all records. */
  clear(): void {
    this.#counts.fill(0);
    this.#times.length = 0;
    this.#next.length = 0;
    this.#size = this.#blocks = 0;
  }

  #extend(part: number): void {
    const block = this.#blocks++;
    if (block >>> PIECE_SHIFT === this.#pieces.length) {
      this.#pieces.push(new Int32Array(PIECE_BLOCKS * BLOCK_WORDS));
    }
    if (this.#counts[part] === 1) this.#first[part] = block;
    else this.#next[this.#last[part]!] = block;
    this.#last[part] = block;
    this.#next[block] = 0;
  }

  #show(block: number, inBlock: number): void {
    const words = this.#pieces[block >>> PIECE_SHIFT]!;
    const at = (block % PIECE_BLOCKS) * BLOCK_WORDS + inBlock * RECORD_WORDS;
    this.h1 = words[at + Field.h1]!;
    this.h2 = words[at + Field.h2]!;
    this.h3 = words[at + Field.h3]!;
    const tail = words[at + Field.tail]!;
    this.kind = (tail >>> KIND_SHIFT) & KIND_MASK;
    this.flags = tail >>> FLAGS_SHIFT;
    this.sequence = (tail & SEQUENCE_HIGH_MASK) * TWO_32 + (words[at + Field.sequenceLow]! >>> 0);
    this.segment = words[at + Field.segment]!;
    this.offset = words[at + Field.offset]!;
    this.length = words[at + Field.length]!;
    const time = words[at + Field.time]!;
    this.expiresAt = time === 0 ? 0 : this.#times[time - 1]!;
  }
}

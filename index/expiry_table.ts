import { ItemList } from "./_item_list.ts";
import { type KeyHash, TWO_32 } from "./_layout.ts";
import { type Step, TimeField, TimeTrie } from "./_time_trie.ts";

/** Words of an entry. Those before `next` and its time are what an image has of it. */
const Field = {
  h1: 0,
  h2: 1,
  h3: 2,
  sequenceLow: 3,
  sequenceHigh: 4,
  /** Those of {@linkcode TimeField}; the time is 0 while the entry is free. */
  time: 5,
  /** The next entry of its bucket, or the next free one; plus 1, so that 0 is none. */
  next: 9,
} as const;
const ENTRY_WORDS = Field.next + 1;
/** Pieces of 160 KiB. */
const ENTRY_PIECE_SHIFT = 12;
/** Pieces of 128 KiB. */
const BUCKET_PIECE_SHIFT = 15;
/** An image of the table has key, sequence number and time of an entry. */
const IMAGE_WORDS = Field.time + 2;
/** Length of one entry of an image, in bytes. */
export const EXPIRY_IMAGE_BYTES = IMAGE_WORDS * 4;
const LEAST_BUCKETS = 64;

/**
 * When the keys that expire do so: a map from key to time, which also finds those whose time has come.
 * 44 bytes for each key that was ever in it at the same time: 40 for its entry, 4 in the buckets. All
 * of it grows by pieces, and the buckets one at a time (linear hashing, Litwin 1980), so that no put
 * waits for it.
 */
export class ExpiryTable implements KeyHash {
  /** The key that `step` or `sweep` speaks of. */
  h1 = 0;
  /** See `h1`. */
  h2 = 0;
  /** See `h1`. */
  h3 = 0;
  /** Sequence number of its record. */
  sequence = 0;
  /** Its time, in ms since the epoch. */
  time = 0;
  readonly #entries = new ItemList(ENTRY_WORDS, ENTRY_PIECE_SHIFT);
  readonly #times = new TimeTrie(this.#entries, Field.time);
  readonly #buckets = new ItemList(1, BUCKET_PIECE_SHIFT);
  /** Entries that were ever in use, the free ones included. */
  #made = 0;
  #free = 0;
  #size = 0;
  #bucketCount = LEAST_BUCKETS;
  /** The largest power of two that is not above the number of buckets. */
  #round = LEAST_BUCKETS;

  /** An empty table. */
  constructor() {
    this.#buckets.reserve(LEAST_BUCKETS - 1);
  }

  /** Number of keys. */
  get size(): number {
    return this.#size;
  }

  /** Memory, in bytes. */
  get memoryBytes(): number {
    return this.#entries.bytes + this.#times.bytes + this.#buckets.bytes;
  }

  /** No key's time comes before this one; Infinity if there is none. */
  get nextTime(): number {
    return this.#times.nextTime;
  }

  /** When the key expires, or 0 if it does not. */
  timeOf(hash: KeyHash): number {
    const entry = this.#find(hash);
    return entry === -1 ? 0 : this.#times.timeOf(entry);
  }

  /** Has the key of the record `sequence` expire at `time`, unless a newer record of it is known. */
  set(hash: KeyHash, sequence: number, time: number): void {
    const entry = this.#find(hash);
    if (entry === -1) return this.add(hash, sequence, time);
    if (this.#sequenceOf(entry) > sequence) return;
    this.#times.remove(entry);
    this.#setRecord(entry, sequence, time);
  }

  /** As `set`, for a key that is not in the table: it is not looked for. */
  add(hash: KeyHash, sequence: number, time: number): void {
    if (this.#size >= this.#bucketCount) this.#splitBucket();
    this.#setRecord(this.#insert(hash), sequence, time);
  }

  /** The key does not expire any more. False if it did not. */
  delete(hash: KeyHash): boolean {
    const entry = this.#find(hash);
    if (entry === -1) return false;
    this.#remove(entry);
    return true;
  }

  /**
   * Looks for a key whose time is not after `now`, and shows it in `h1` to `time` if it has found one
   * ("due"). What it does is little, however many keys there are; "again" says that there is more to do.
   */
  step(now: number): Step {
    const step = this.#times.step(now);
    if (step === "due") this.#show(this.#times.item);
    return step;
  }

  /** Removes the key that `step` has found. */
  removeFound(): void {
    this.#remove(this.#times.item);
  }

  /** Shows every key, and removes it unless `keep` says true. */
  sweep(keep: () => boolean): void {
    for (let entry = 0; entry < this.#made; entry++) {
      if (this.#times.timeOf(entry) === 0) continue;
      this.#show(entry);
      if (!keep()) this.#remove(entry);
    }
  }

  /** All keys, {@linkcode EXPIRY_IMAGE_BYTES} each, in pieces of up to `mostBytes`. */
  *image(mostBytes: number): Generator<Uint8Array> {
    const most = Math.max(1, Math.floor(mostBytes / EXPIRY_IMAGE_BYTES));
    let entry = 0;
    for (let left = this.#size; left > 0;) {
      const count = Math.min(most, left);
      const image = new Int32Array(count * IMAGE_WORDS);
      for (let to = 0; to < image.length; entry++) {
        if (this.#times.timeOf(entry) === 0) continue;
        const at = this.#entries.offset(entry);
        image.set(this.#entries.piece(entry).subarray(at, at + IMAGE_WORDS), to);
        to += IMAGE_WORDS;
      }
      left -= count;
      yield new Uint8Array(image.buffer);
    }
  }

  /** Takes in a piece of an image. */
  load(piece: Uint8Array): void {
    const words = new Int32Array(piece.slice().buffer);
    for (let at = 0; at + IMAGE_WORDS <= words.length; at += IMAGE_WORDS) {
      const hash = { h1: words[at]!, h2: words[at + 1]!, h3: words[at + 2]! };
      const sequence = join(words[at + Field.sequenceLow]!, words[at + Field.sequenceHigh]!);
      const time = at + Field.time;
      this.set(
        hash,
        sequence,
        join(words[time + TimeField.timeLow]!, words[time + TimeField.timeHigh]!),
      );
    }
  }

  #insert({ h1, h2, h3 }: KeyHash): number {
    let entry = this.#free - 1;
    if (entry === -1) {
      entry = this.#made++;
      this.#entries.reserve(entry);
    } else {
      this.#free = this.#nextOf(entry);
    }
    const words = this.#entries.piece(entry);
    const at = this.#entries.offset(entry);
    words[at + Field.h1] = h1;
    words[at + Field.h2] = h2;
    words[at + Field.h3] = h3;
    this.#link(entry, this.#bucketOf(h1));
    this.#size++;
    return entry;
  }

  #setRecord(entry: number, sequence: number, time: number): void {
    const words = this.#entries.piece(entry);
    const at = this.#entries.offset(entry);
    words[at + Field.sequenceLow] = sequence | 0;
    words[at + Field.sequenceHigh] = sequence / TWO_32;
    this.#times.add(entry, time);
  }

  #remove(entry: number): void {
    const bucket = this.#bucketOf(
      this.#entries.piece(entry)[this.#entries.offset(entry) + Field.h1]!,
    );
    const following = this.#nextOf(entry);
    let before = this.#firstOf(bucket) - 1;
    if (before === entry) {
      this.#setFirst(bucket, following);
    } else {
      for (let next; (next = this.#nextOf(before) - 1) !== entry;) before = next;
      this.#setNext(before, following);
    }
    this.#times.remove(entry);
    this.#setNext(entry, this.#free);
    this.#free = entry + 1;
    this.#size--;
  }

  #find({ h1, h2, h3 }: KeyHash): number {
    if (this.#size === 0) return -1;
    for (let next = this.#firstOf(this.#bucketOf(h1)); next !== 0;) {
      const entry = next - 1;
      const words = this.#entries.piece(entry);
      const at = this.#entries.offset(entry);
      if (
        words[at + Field.h1] === h1 && words[at + Field.h2] === h2 && words[at + Field.h3] === h3
      ) return entry;
      next = words[at + Field.next]!;
    }
    return -1;
  }

  #bucketOf(h1: number): number {
    const bucket = h1 & (2 * this.#round - 1);
    return bucket < this.#bucketCount ? bucket : bucket - this.#round;
  }

  /** One bucket more: it gets its share of one that is there. */
  #splitBucket(): void {
    const source = this.#bucketCount - this.#round;
    let next = this.#firstOf(source);
    this.#setFirst(source, 0);
    this.#buckets.reserve(this.#bucketCount);
    this.#setFirst(this.#bucketCount++, 0);
    while (next !== 0) {
      const entry = next - 1;
      next = this.#nextOf(entry);
      this.#link(entry, this.#bucketOf(this.#entries.piece(entry)[this.#entries.offset(entry)]!));
    }
    if (this.#bucketCount === 2 * this.#round) this.#round *= 2;
  }

  #link(entry: number, bucket: number): void {
    this.#setNext(entry, this.#firstOf(bucket));
    this.#setFirst(bucket, entry + 1);
  }

  #firstOf(bucket: number): number {
    return this.#buckets.piece(bucket)[this.#buckets.offset(bucket)]!;
  }

  #setFirst(bucket: number, next: number): void {
    this.#buckets.piece(bucket)[this.#buckets.offset(bucket)] = next;
  }

  #nextOf(entry: number): number {
    return this.#entries.piece(entry)[this.#entries.offset(entry) + Field.next]!;
  }

  #setNext(entry: number, next: number): void {
    this.#entries.piece(entry)[this.#entries.offset(entry) + Field.next] = next;
  }

  #show(entry: number): void {
    const words = this.#entries.piece(entry);
    const at = this.#entries.offset(entry);
    this.h1 = words[at + Field.h1]!;
    this.h2 = words[at + Field.h2]!;
    this.h3 = words[at + Field.h3]!;
    this.sequence = this.#sequenceOf(entry);
    this.time = this.#times.timeOf(entry);
  }

  #sequenceOf(entry: number): number {
    const words = this.#entries.piece(entry);
    const at = this.#entries.offset(entry);
    return join(words[at + Field.sequenceLow]!, words[at + Field.sequenceHigh]!);
  }
}

function join(low: number, high: number): number {
  return high * TWO_32 + (low >>> 0);
}

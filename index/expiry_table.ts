import { type KeyHash, TWO_32 } from "./_layout.ts";
import { WordList } from "./_word_list.ts";

/** Words of an entry. */
const Field = {
  h1: 0,
  h2: 1,
  h3: 2,
  sequenceLow: 3,
  sequenceHigh: 4,
  timeLow: 5,
  timeHigh: 6,
  /** Its place in the heap; -1 while the entry is free. */
  place: 7,
  /** The next entry of its bucket, or the next free one; plus 1, so that 0 is none. */
  next: 8,
} as const;
const ENTRY_WORDS = Object.keys(Field).length;
/** Of these, an image of the table has the first seven. */
const IMAGE_WORDS = Field.place;
/** Length of one entry of an image, in bytes. */
export const EXPIRY_IMAGE_BYTES = IMAGE_WORDS * 4;
/** Children of a place in the heap: half the levels of a binary one, and they are neighbours in memory. */
const HEAP_ARITY = 4;
const LEAST_BUCKETS = 64;

/**
 * When the keys that expire do so: a map from key to time, which also knows the next time of all. 44
 * bytes for each key that was ever in it at the same time: 36 for its entry, 4 each in the heap and
 * in the buckets. All of it grows by pieces, and the buckets one at a time (linear hashing, Litwin
 * 1980), so that no put waits for it.
 *
 * It is a heap of four children rather than a timing wheel: with one time to live for all, which is
 * the rule, a new entry is the last and stays where it is put; the next time is exact; and an entry
 * whose key is written anew leaves at once, however far away its time is.
 */
export class ExpiryTable implements KeyHash {
  /** The key that `first` or `sweep` speaks of. */
  h1 = 0;
  /** See `h1`. */
  h2 = 0;
  /** See `h1`. */
  h3 = 0;
  /** Sequence number of its record. */
  sequence = 0;
  /** Its time, in ms since the epoch. */
  time = 0;
  readonly #entries = new WordList();
  readonly #heap = new WordList();
  readonly #buckets = new WordList();
  /** Entries that were ever in use, the free ones included. */
  #made = 0;
  #free = 0;
  #size = 0;
  #bucketCount = LEAST_BUCKETS;
  /** The largest power of two that is not above the number of buckets. */
  #round = LEAST_BUCKETS;

  /** Number of keys. */
  get size(): number {
    return this.#size;
  }

  /** Memory, in bytes. */
  get memoryBytes(): number {
    return this.#entries.bytes + this.#heap.bytes + this.#buckets.bytes;
  }

  /** The time that comes next, or Infinity. */
  get nextTime(): number {
    return this.#size === 0 ? Infinity : this.#timeAt(this.#heap.get(0));
  }

  /** When the key expires, or 0 if it does not. */
  timeOf(hash: KeyHash): number {
    const entry = this.#find(hash);
    return entry === -1 ? 0 : this.#timeAt(entry);
  }

  /** Has the key of the record `sequence` expire at `time`, unless a newer record of it is known. */
  set(hash: KeyHash, sequence: number, time: number): void {
    let entry = this.#find(hash);
    if (entry === -1) {
      entry = this.#add(hash);
    } else if (this.#sequenceAt(entry) > sequence) {
      return;
    }
    this.#store(entry, Field.sequenceLow, sequence);
    this.#store(entry, Field.timeLow, time);
    this.#settle(this.#word(entry, Field.place), entry);
  }

  /** The key does not expire any more. False if it did not. */
  delete(hash: KeyHash): boolean {
    const entry = this.#find(hash);
    if (entry === -1) return false;
    this.#remove(entry);
    return true;
  }

  /** Shows the key that expires next in `h1` to `time`. False if there is none. */
  first(): boolean {
    if (this.#size === 0) return false;
    this.#show(this.#heap.get(0));
    return true;
  }

  /** Shows every key, and removes it unless `keep` says true. */
  sweep(keep: () => boolean): void {
    for (let entry = 0; entry < this.#made; entry++) {
      if (this.#word(entry, Field.place) === -1) continue;
      this.#show(entry);
      if (!keep()) this.#remove(entry);
    }
  }

  /** All keys, {@linkcode EXPIRY_IMAGE_BYTES} each, in pieces of up to `mostBytes`. */
  *image(mostBytes: number): Generator<Uint8Array> {
    const most = Math.max(1, Math.floor(mostBytes / EXPIRY_IMAGE_BYTES));
    for (let from = 0; from < this.#size; from += most) {
      const count = Math.min(most, this.#size - from);
      const words = new Int32Array(count * IMAGE_WORDS);
      for (let i = 0; i < count; i++) {
        const entry = this.#heap.get(from + i);
        for (let word = 0; word < IMAGE_WORDS; word++) {
          words[i * IMAGE_WORDS + word] = this.#word(entry, word);
        }
      }
      yield new Uint8Array(words.buffer);
    }
  }

  /** Takes in a piece of an image. */
  load(piece: Uint8Array): void {
    const words = new Int32Array(piece.slice().buffer);
    for (let at = 0; at + IMAGE_WORDS <= words.length; at += IMAGE_WORDS) {
      const hash = { h1: words[at]!, h2: words[at + 1]!, h3: words[at + 2]! };
      const sequence = join(words[at + Field.sequenceLow]!, words[at + Field.sequenceHigh]!);
      this.set(hash, sequence, join(words[at + Field.timeLow]!, words[at + Field.timeHigh]!));
    }
  }

  #add({ h1, h2, h3 }: KeyHash): number {
    if (this.#size >= this.#bucketCount) this.#splitBucket();
    let entry = this.#free - 1;
    if (entry === -1) entry = this.#made++;
    else this.#free = this.#word(entry, Field.next);
    const at = entry * ENTRY_WORDS;
    this.#entries.set(at + Field.h1, h1);
    this.#entries.set(at + Field.h2, h2);
    this.#entries.set(at + Field.h3, h3);
    this.#link(entry, this.#bucketOf(h1));
    // Last, as if it expired later than all others; the caller says when.
    this.#store(entry, Field.timeLow, Number.MAX_SAFE_INTEGER);
    this.#place(this.#size++, entry);
    return entry;
  }

  #remove(entry: number): void {
    const bucket = this.#bucketOf(this.#word(entry, Field.h1));
    const following = this.#word(entry, Field.next);
    let before = this.#buckets.get(bucket) - 1;
    if (before === entry) {
      this.#buckets.set(bucket, following);
    } else {
      while (this.#word(before, Field.next) - 1 !== entry) {
        before = this.#word(before, Field.next) - 1;
      }
      this.#entries.set(before * ENTRY_WORDS + Field.next, following);
    }
    const place = this.#word(entry, Field.place);
    const last = this.#heap.get(--this.#size);
    if (last !== entry) this.#settle(place, last);
    this.#entries.set(entry * ENTRY_WORDS + Field.place, -1);
    this.#entries.set(entry * ENTRY_WORDS + Field.next, this.#free);
    this.#free = entry + 1;
  }

  #find({ h1, h2, h3 }: KeyHash): number {
    if (this.#size === 0) return -1;
    for (let next = this.#buckets.get(this.#bucketOf(h1)); next !== 0;) {
      const entry = next - 1;
      if (
        this.#word(entry, Field.h1) === h1 && this.#word(entry, Field.h2) === h2 &&
        this.#word(entry, Field.h3) === h3
      ) return entry;
      next = this.#word(entry, Field.next);
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
    let next = this.#buckets.get(source);
    this.#buckets.set(source, 0);
    this.#buckets.set(this.#bucketCount++, 0);
    while (next !== 0) {
      const entry = next - 1;
      next = this.#word(entry, Field.next);
      this.#link(entry, this.#bucketOf(this.#word(entry, Field.h1)));
    }
    if (this.#bucketCount === 2 * this.#round) this.#round *= 2;
  }

  #link(entry: number, bucket: number): void {
    this.#entries.set(entry * ENTRY_WORDS + Field.next, this.#buckets.get(bucket));
    this.#buckets.set(bucket, entry + 1);
  }

  /** Puts `entry` into the heap, at `place` or above or below it, wherever its time belongs. */
  #settle(place: number, entry: number): void {
    const time = this.#timeAt(entry);
    const start = place;
    while (place > 0) {
      const parent = Math.floor((place - 1) / HEAP_ARITY);
      const above = this.#heap.get(parent);
      if (this.#timeAt(above) <= time) break;
      this.#place(place, above);
      place = parent;
    }
    if (place === start) place = this.#sink(place, time);
    this.#place(place, entry);
  }

  /** Moves those below `place` up that expire before `time`; returns the place that is free then. */
  #sink(place: number, time: number): number {
    for (;;) {
      const child = this.#firstChild(place);
      if (child === -1) return place;
      const below = this.#heap.get(child);
      if (this.#timeAt(below) >= time) return place;
      this.#place(place, below);
      place = child;
    }
  }

  /** Of the children of `place`, the one that expires first; -1 if there are none. */
  #firstChild(place: number): number {
    let first = -1;
    let least = Infinity;
    const from = place * HEAP_ARITY + 1;
    for (let child = from; child < Math.min(from + HEAP_ARITY, this.#size); child++) {
      const time = this.#timeAt(this.#heap.get(child));
      if (time >= least) continue;
      least = time;
      first = child;
    }
    return first;
  }

  #place(place: number, entry: number): void {
    this.#heap.set(place, entry);
    this.#entries.set(entry * ENTRY_WORDS + Field.place, place);
  }

  #show(entry: number): void {
    this.h1 = this.#word(entry, Field.h1);
    this.h2 = this.#word(entry, Field.h2);
    this.h3 = this.#word(entry, Field.h3);
    this.sequence = this.#sequenceAt(entry);
    this.time = this.#timeAt(entry);
  }

  #word(entry: number, field: number): number {
    return this.#entries.get(entry * ENTRY_WORDS + field);
  }

  #sequenceAt(entry: number): number {
    return join(this.#word(entry, Field.sequenceLow), this.#word(entry, Field.sequenceHigh));
  }

  #timeAt(entry: number): number {
    return join(this.#word(entry, Field.timeLow), this.#word(entry, Field.timeHigh));
  }

  /** Stores a number below 2^53 in the word `field` and the one after it. */
  #store(entry: number, field: number, value: number): void {
    this.#entries.set(entry * ENTRY_WORDS + field, value | 0);
    this.#entries.set(entry * ENTRY_WORDS + field + 1, Math.floor(value / TWO_32));
  }
}

function join(low: number, high: number): number {
  return high * TWO_32 + (low >>> 0);
}

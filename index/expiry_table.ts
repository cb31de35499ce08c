import { type KeyHash, TWO_32 } from "./_layout.ts";
import { WordList } from "./_word_list.ts";

/** Words of an entry. */
const Field = {
  h1: 0,
  h2: 1,
  h3: 2,
  sequenceLow: 3,
  sequenceHigh: 4,
  /** Its place in the heap; -1 while the entry is free. */
  place: 5,
  /** The next entry of its bucket, or the next free one; plus 1, so that 0 is none. */
  next: 6,
} as const;
const ENTRY_WORDS = Object.keys(Field).length;
/** Words of a place in the heap. The times are here, where they are compared, and not with the entries, which are all over the memory. */
const HeapField = { entry: 0, timeLow: 1, timeHigh: 2 } as const;
const HEAP_WORDS = Object.keys(HeapField).length;
/** An image of the table has key and sequence number of an entry, and then its time. */
const IMAGE_ENTRY_WORDS = Field.place;
const IMAGE_WORDS = IMAGE_ENTRY_WORDS + 2;
/** Length of one entry of an image, in bytes. */
export const EXPIRY_IMAGE_BYTES = IMAGE_WORDS * 4;
/** Children of a place in the heap: half the levels of a binary one, and they are neighbours in memory. */
const HEAP_ARITY = 4;
const LEAST_BUCKETS = 64;

/**
 * When the keys that expire do so: a map from key to time, which also knows the next time of all. 44
 * bytes for each key that was ever in it at the same time: 28 for its entry, 12 in the heap, 4 in
 * the buckets. All of it grows by pieces, and the buckets one at a time (linear hashing, Litwin
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
    return this.#size === 0 ? Infinity : this.#timeIn(0);
  }

  /** When the key expires, or 0 if it does not. */
  timeOf(hash: KeyHash): number {
    const entry = this.#find(hash);
    return entry === -1 ? 0 : this.#timeIn(this.#word(entry, Field.place));
  }

  /** Has the key of the record `sequence` expire at `time`, unless a newer record of it is known. */
  set(hash: KeyHash, sequence: number, time: number): void {
    let entry = this.#find(hash);
    if (entry === -1) {
      entry = this.#add(hash);
    } else if (this.#sequenceAt(entry) > sequence) {
      return;
    }
    const at = entry * ENTRY_WORDS;
    this.#entries.set(at + Field.sequenceLow, sequence | 0);
    this.#entries.set(at + Field.sequenceHigh, Math.floor(sequence / TWO_32));
    this.#settle(this.#word(entry, Field.place), entry, time);
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
    this.#show(this.#entryIn(0));
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
        const entry = this.#entryIn(from + i);
        for (let word = 0; word < IMAGE_ENTRY_WORDS; word++) {
          words[i * IMAGE_WORDS + word] = this.#word(entry, word);
        }
        const time = i * IMAGE_WORDS + IMAGE_ENTRY_WORDS;
        const at = (from + i) * HEAP_WORDS;
        words[time] = this.#heap.get(at + HeapField.timeLow);
        words[time + 1] = this.#heap.get(at + HeapField.timeHigh);
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
      const time = at + IMAGE_ENTRY_WORDS;
      this.set(hash, sequence, join(words[time]!, words[time + 1]!));
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
    this.#place(this.#size++, entry, Number.MAX_SAFE_INTEGER);
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
    const last = this.#entryIn(--this.#size);
    if (last !== entry) this.#settle(place, last, this.#timeIn(this.#size));
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
  #settle(place: number, entry: number, time: number): void {
    const start = place;
    while (place > 0) {
      const parent = Math.floor((place - 1) / HEAP_ARITY);
      const above = this.#timeIn(parent);
      if (above <= time) break;
      this.#place(place, this.#entryIn(parent), above);
      place = parent;
    }
    if (place === start) place = this.#sink(place, time);
    this.#place(place, entry, time);
  }

  /** Moves those below `place` up that expire before `time`; returns the place that is free then. */
  #sink(place: number, time: number): number {
    for (;;) {
      const from = place * HEAP_ARITY + 1;
      const end = Math.min(from + HEAP_ARITY, this.#size);
      let first = -1;
      let least = time;
      for (let child = from; child < end; child++) {
        const below = this.#timeIn(child);
        if (below >= least) continue;
        least = below;
        first = child;
      }
      if (first === -1) return place;
      this.#place(place, this.#entryIn(first), least);
      place = first;
    }
  }

  #place(place: number, entry: number, time: number): void {
    const at = place * HEAP_WORDS;
    this.#heap.set(at + HeapField.entry, entry);
    this.#heap.set(at + HeapField.timeLow, time | 0);
    this.#heap.set(at + HeapField.timeHigh, Math.floor(time / TWO_32));
    this.#entries.set(entry * ENTRY_WORDS + Field.place, place);
  }

  #entryIn(place: number): number {
    return this.#heap.get(place * HEAP_WORDS + HeapField.entry);
  }

  #timeIn(place: number): number {
    const at = place * HEAP_WORDS;
    return join(
      this.#heap.get(at + HeapField.timeLow),
      this.#heap.get(at + HeapField.timeHigh),
    );
  }

  #show(entry: number): void {
    this.h1 = this.#word(entry, Field.h1);
    this.h2 = this.#word(entry, Field.h2);
    this.h3 = this.#word(entry, Field.h3);
    this.sequence = this.#sequenceAt(entry);
    this.time = this.#timeIn(this.#word(entry, Field.place));
  }

  #word(entry: number, field: number): number {
    return this.#entries.get(entry * ENTRY_WORDS + field);
  }

  #sequenceAt(entry: number): number {
    return join(this.#word(entry, Field.sequenceLow), this.#word(entry, Field.sequenceHigh));
  }
}

function join(low: number, high: number): number {
  return high * TWO_32 + (low >>> 0);
}

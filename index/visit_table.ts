/** Slots for each key: with eight, another key has the same one with a probability of 12 % at most. */
const SLOTS_PER_KEY = 8;
const LEAST_SLOTS_SHIFT = 16;
/** 2^30 slots are 128 MiB; more keys than 134 M share them. */
const MOST_SLOTS_SHIFT = 30;

/**
 * Which keys were read of late: a bit for each, found by the key's hash, in shared memory. It is a
 * hint: keys that share a bit look read when the other was, and unread once the other was looked at.
 *
 * One isolate sets bits and makes the table larger; another one looks at them and clears them.
 */
export class VisitTable {
  #words: Int32Array<SharedArrayBuffer>;
  /** How far a hash is shifted to give its slot. */
  #shift: number;

  /** Makes a table for few keys, or looks at the memory of another isolate's. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(2 ** LEAST_SLOTS_SHIFT / 8)) {
    this.#words = new Int32Array(memory);
    this.#shift = 32 - Math.log2(memory.byteLength * 8);
  }

  /** The bits; another memory after `fit`. */
  get memory(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  /** The key of this hash was read. */
  visit(h1: number): void {
    const slot = h1 >>> this.#shift;
    const words = this.#words;
    const bit = 1 << (slot & 31);
    // A key that is read again and again costs no more than a look.
    if ((words[slot >>> 5]! & bit) === 0) Atomics.or(words, slot >>> 5, bit);
  }

  /** True if the key of this hash was read, or one that shares its bit. */
  wasVisited(h1: number): boolean {
    const slot = h1 >>> this.#shift;
    return (Atomics.load(this.#words, slot >>> 5) & (1 << (slot & 31))) !== 0;
  }

  /** From now on the key of this hash counts as not read. */
  clear(h1: number): void {
    const slot = h1 >>> this.#shift;
    Atomics.and(this.#words, slot >>> 5, ~(1 << (slot & 31)));
  }

  /** Makes the table large enough for `keys`, if it is not. Nobody else may look at it meanwhile. */
  fit(keys: number): void {
    let shift = 32 - this.#shift;
    while (shift < MOST_SLOTS_SHIFT && 2 ** shift < keys * SLOTS_PER_KEY) {
      this.#double();
      shift++;
    }
  }

  /** Each slot becomes two, as one more bit of the hash counts. */
  #double(): void {
    const old = this.#words;
    const words = new Int32Array(new SharedArrayBuffer(2 * old.byteLength));
    for (let i = 0; i < old.length; i++) {
      if (old[i] === 0) continue;
      words[2 * i] = twice(old[i]! & 0xffff);
      words[2 * i + 1] = twice(old[i]! >>> 16);
    }
    this.#words = words;
    this.#shift--;
  }
}

/** 16 bits, each of them twice. */
function twice(half: number): number {
  let bits = half;
  bits = (bits | (bits << 8)) & 0x00ff00ff;
  bits = (bits | (bits << 4)) & 0x0f0f0f0f;
  bits = (bits | (bits << 2)) & 0x33333333;
  bits = (bits | (bits << 1)) & 0x55555555;
  return bits | (bits << 1);
}

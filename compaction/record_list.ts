import { highWord, joinWords, lowWord } from "../wal/mod.ts";
import { MOVE_WORDS, MoveWord, Over } from "./job.ts";

/** Records by their places and hashes, as words: there may be a million of them. */
export class RecordList {
  /** How many there are. */
  length = 0;
  #words = new Int32Array(256 * MOVE_WORDS);

  /** Adds one at the end. */
  push(
    hash: { readonly h1: number; readonly h2: number; readonly h3: number },
    sequence: number,
    offset: number,
    length: number,
    over: number = Over.not,
  ): void {
    const at = this.length * MOVE_WORDS;
    if (at === this.#words.length) {
      const grown = new Int32Array(2 * at);
      grown.set(this.#words);
      this.#words = grown;
    }
    const words = this.#words;
    words[at + MoveWord.h1] = hash.h1;
    words[at + MoveWord.h2] = hash.h2;
    words[at + MoveWord.h3] = hash.h3;
    words[at + MoveWord.sequenceLow] = lowWord(sequence);
    words[at + MoveWord.sequenceHigh] = highWord(sequence);
    words[at + MoveWord.offset] = offset;
    words[at + MoveWord.length] = length;
    words[at + MoveWord.over] = over;
    this.length++;
  }

  /** Adds record `i` of another list at the end. */
  take(from: RecordList, i: number): void {
    const hash = {
      h1: from.get(i, MoveWord.h1),
      h2: from.get(i, MoveWord.h2),
      h3: from.get(i, MoveWord.h3),
    };
    const [offset, length] = [from.get(i, MoveWord.offset), from.get(i, MoveWord.length)];
    this.push(hash, from.sequence(i), offset, length, from.get(i, MoveWord.over));
  }

  /** Takes over all that is in another list, instead of its own; that is not to be used any more. */
  become(other: RecordList): void {
    this.#words = other.#words;
    this.length = other.length;
  }

  /** A word of record `i`. */
  get(i: number, word: number): number {
    return this.#words[i * MOVE_WORDS + word]!;
  }

  /** Changes a word of record `i`. */
  set(i: number, word: number, value: number): void {
    this.#words[i * MOVE_WORDS + word] = value;
  }

  /** Sequence number of record `i`. */
  sequence(i: number): number {
    return joinWords(this.get(i, MoveWord.sequenceLow), this.get(i, MoveWord.sequenceHigh));
  }

  /** A number that equal hashes share, and hardly any others. */
  code(i: number): number {
    return hashCode(this.get(i, MoveWord.h1), this.get(i, MoveWord.h2));
  }

  /** Numbers of the records, in the order of their offsets. */
  byOffset(): Uint32Array {
    // Offset and number in one float: half as long as a sort that compares by a function.
    const keys = new Float64Array(this.length);
    for (let i = 0; i < this.length; i++) {
      keys[i] = (this.get(i, MoveWord.offset) >>> 3) * 2 ** 25 + i;
    }
    return Uint32Array.from(keys.sort(), (key) => key % 2 ** 25);
  }

  /** The words of all, in an array of their own. */
  words(): Int32Array<ArrayBuffer> {
    return this.#words.slice(0, this.length * MOVE_WORDS);
  }
}

/** Two words of a hash as one number: 53 bits. */
export function hashCode(h1: number, h2: number): number {
  return (h1 >>> 0) + (h2 & 0x1f_ffff) * 2 ** 32;
}

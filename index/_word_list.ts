const PIECE_SHIFT = 15;
const PIECE_WORDS = 1 << PIECE_SHIFT;
const FIRST_PIECE_WORDS = 1024;

/**
 * An array of words that grows piece by piece: nothing that is in it is ever moved, but for its first
 * 4 KiB, and at most 128 KiB of memory are taken at once. What was never set is 0.
 */
export class WordList {
  readonly #pieces: Int32Array[] = [];
  #words = 0;

  /** Memory, in bytes. */
  get bytes(): number {
    return this.#words * 4;
  }

  /** The word at `index`. */
  get(index: number): number {
    return index < this.#words ? this.#pieces[index >>> PIECE_SHIFT]![index & PIECE_WORDS - 1]! : 0;
  }

  /** Sets the word at `index`; the list grows up to there. */
  set(index: number, value: number): void {
    while (index >= this.#words) this.#grow();
    this.#pieces[index >>> PIECE_SHIFT]![index & PIECE_WORDS - 1] = value;
  }

  #grow(): void {
    const [first] = this.#pieces;
    if (this.#words === 0) {
      this.#pieces.push(new Int32Array(FIRST_PIECE_WORDS));
    } else if (first!.length < PIECE_WORDS) {
      const larger = new Int32Array(PIECE_WORDS);
      larger.set(first!);
      this.#pieces[0] = larger;
    } else {
      this.#pieces.push(new Int32Array(PIECE_WORDS));
    }
    this.#words = (this.#pieces.length - 1) * PIECE_WORDS + this.#pieces.at(-1)!.length;
  }
}

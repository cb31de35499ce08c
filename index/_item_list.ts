const LEAST_ITEMS = 64;

/**
 * An array of items of some words each that grows piece by piece: nothing that is in it is ever moved,
 * but for its first piece, and no more than one piece of memory is taken at once. An item's words are in
 * one piece, next to each other; they are 0 until they are set.
 */
export class ItemList {
  readonly #itemWords: number;
  readonly #shift: number;
  readonly #mask: number;
  readonly #pieces: Int32Array[] = [];
  #items = 0;

  /** An empty list of items of `itemWords` words; pieces of 2^`pieceShift` items. */
  constructor(itemWords: number, pieceShift: number) {
    this.#itemWords = itemWords;
    this.#shift = pieceShift;
    this.#mask = 2 ** pieceShift - 1;
  }

  /** Memory, in bytes. */
  get bytes(): number {
    return this.#items * this.#itemWords * 4;
  }

  /** Makes room for the item; of those before it, too. */
  reserve(item: number): void {
    while (item >= this.#items) this.#grow();
  }

  /** The words in which the item is, from `offset` on. */
  piece(item: number): Int32Array {
    return this.#pieces[item >>> this.#shift]!;
  }

  /** See `piece`. */
  offset(item: number): number {
    return (item & this.#mask) * this.#itemWords;
  }

  #grow(): void {
    const most = this.#mask + 1;
    if (this.#items === 0 || this.#items >= most) {
      const items = this.#items === 0 ? Math.min(LEAST_ITEMS, most) : most;
      this.#pieces.push(new Int32Array(items * this.#itemWords));
      this.#items += items;
    } else {
      const larger = new Int32Array(2 * this.#items * this.#itemWords);
      larger.set(this.#pieces[0]!);
      this.#pieces[0] = larger;
      this.#items *= 2;
    }
  }
}

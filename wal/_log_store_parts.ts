/** Takes parts that lie one after another apart at other places. */
export class PartsReader {
  readonly #parts: readonly Uint8Array[];
  #at = 0;
  #taken = 0;

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts;
  }

  /** The next `count` bytes, as views. */
  take(count: number): Uint8Array[] {
    const views: Uint8Array[] = [];
    while (count > 0) {
      const part = this.#parts[this.#at]!;
      const view = part.subarray(this.#taken, this.#taken + count);
      if (view.length > 0) views.push(view);
      count -= view.length;
      this.#taken += view.length;
      if (this.#taken < part.length) continue;
      this.#at++;
      this.#taken = 0;
    }
    return views;
  }
}

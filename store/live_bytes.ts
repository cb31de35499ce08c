import { alignRecord } from "../wal/mod.ts";

const LEAST_SEGMENTS = 64;

/**
 * How much of each segment is dead: the space of puts that were the newest of their keys in it, and
 * have been overwritten or deleted since from elsewhere. One addition where the index replaces an
 * entry that points to another segment; what a segment itself overwrote is never in its footer.
 *
 * A log and what becomes of it have their number as name, a compacted segment the negative of its own.
 */
export class LiveBytes {
  #logged = new Float64Array(LEAST_SEGMENTS);
  #compacted = new Float64Array(LEAST_SEGMENTS);

  /** A record of `length`, in `segment`, is no longer the newest of its key. */
  lost(segment: number, length: number): void {
    const at = segment < 0 ? -segment : segment;
    let table = segment < 0 ? this.#compacted : this.#logged;
    if (at >= table.length) table = this.#grow(segment, at);
    table[at]! += alignRecord(length);
  }

  /** It is again: a record that had been given up for lost is in `segment`. */
  found(segment: number, length: number): void {
    (segment < 0 ? this.#compacted : this.#logged)[Math.abs(segment)]! -= alignRecord(length);
  }

  /** Dead bytes of `segment`. */
  deadOf(segment: number): number {
    return (segment < 0 ? this.#compacted[-segment] : this.#logged[segment]) ?? 0;
  }

  /** What an earlier session knew: `bytes` of `segment` are dead. */
  set(segment: number, bytes: number): void {
    this.lost(segment, 0);
    (segment < 0 ? this.#compacted : this.#logged)[Math.abs(segment)] = bytes;
  }

  #grow(segment: number, at: number): Float64Array<ArrayBuffer> {
    const old = segment < 0 ? this.#compacted : this.#logged;
    const table = new Float64Array(Math.max(2 * old.length, at + LEAST_SEGMENTS));
    table.set(old);
    if (segment < 0) this.#compacted = table;
    else this.#logged = table;
    return table;
  }
}

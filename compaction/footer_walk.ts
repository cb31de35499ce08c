import { KeyHasher } from "../index/mod.ts";
import type { EntryCursor, SegmentReader } from "../segment/mod.ts";
import { MAX_KEY_BYTES } from "../wal/mod.ts";

/** Puts keys of footers together and hashes them, one at a time, without allocating. */
export class FooterKeys {
  /** Hash of the key taken last. */
  readonly hash: KeyHasher;
  readonly #words = new Int32Array((MAX_KEY_BYTES + 1) / 4 + 1);
  readonly #bytes = new Uint8Array(this.#words.buffer);

  /** Hashes with `secret`. */
  constructor(secret: Uint8Array) {
    this.hash = new KeyHasher(secret);
  }

  /** Takes the key of the entry at which `cursor` stands; the entry before it in its block was the one taken before. */
  take(cursor: EntryCursor): void {
    const { bytes, sharedBytes, suffixStart, suffixBytes } = cursor;
    const key = this.#bytes;
    for (let i = 0; i < suffixBytes; i++) key[sharedBytes + i] = bytes[suffixStart + i]!;
    const length = sharedBytes + suffixBytes;
    key[length] = key[length + 1] = key[length + 2] = 0;
    this.hash.hash(this.#words, length);
  }
}

/** A file to walk through: `open` is called when its turn has come. */
export interface WalkedFile {
  readonly open: () => SegmentReader;
  /** The walk is through with it. */
  readonly done: (reader: SegmentReader) => void;
}

/** Goes through the blocks of one footer after another. */
export class FooterWalk {
  readonly #files: readonly WalkedFile[];
  #file = 0;
  #block = 0;
  #reader: SegmentReader | undefined;

  /** Will go through the footers of `files`, in their order. */
  constructor(files: readonly WalkedFile[]) {
    this.#files = files;
  }

  /**
   * Calls `visit` for each entry of the next block, with the number of its file. If it says false, the
   * block is visited again next time. False once there is no block left.
   */
  step(visit: (cursor: EntryCursor, file: number) => boolean): boolean {
    const file = this.#files[this.#file];
    if (file === undefined) return false;
    const reader = this.#reader ??= file.open();
    if (this.#block === reader.blocks.length) {
      this.close();
      this.#file++;
      this.#block = 0;
      return true;
    }
    const cursor = reader.cursor(reader.blocks[this.#block]!);
    while (cursor.next()) if (!visit(cursor, this.#file)) return true;
    this.#block++;
    return true;
  }

  /** Ends the walk. */
  close(): void {
    if (this.#reader !== undefined) this.#files[this.#file]!.done(this.#reader);
    this.#reader = undefined;
  }
}

/**
 * A way to make values smaller, to be registered with `open(directory, { codecs })`. It belongs to
 * one thread and must not keep what it is given. What it wrote must be readable for ever: a changed
 * format is another codec, with another `id`.
 */
export interface Codec {
  /** How options name it: not `none`, and no name of another codec. */
  readonly name: string;
  /** How records name it: 1 is zstd, 2 deflate, 3 to 127 are Flagstone's to come, 128 to 255 are yours. */
  readonly id: number;
  /** Levels that it knows, and the one that it uses unless told. */
  readonly levels: { readonly least: number; readonly most: number; readonly usual: number };
  /** Made ready by `open`, which waits for it; once per `open`. */
  init?(): Promise<void>;
  /**
   * The compressed form of `raw`, or `undefined` if that is longer than `maxBytes`: the sooner it
   * notices, the better. `raw` may be shared memory.
   */
  compress(raw: Uint8Array, level: number, maxBytes: number): Uint8Array | undefined;
  /**
   * What `compress` was given, which was `rawBytes` long. Throws if `compressed` is anything else;
   * it may be hostile, so no more than `rawBytes` may be allocated on its word. `compressed` may be
   * shared memory. The result is the caller's.
   */
  decompress(compressed: Uint8Array, rawBytes: number): Uint8Array<ArrayBuffer>;
}

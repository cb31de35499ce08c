import { FlagstoneError } from "../errors/mod.ts";

if (new Uint8Array(new Uint32Array([1]).buffer)[0] !== 1) {
  throw new FlagstoneError(
    "UNSUPPORTED",
    "Flagstone's formats are little-endian and it reads them as words; this machine is big-endian.",
  );
}

/**
 * The bytes of one segment, in memory: the same offsets as in its file. `words` views the same
 * bytes as 32-bit integers, which is what headers are read and written through.
 */
export class SegmentImage {
  /** The memory: shared for slabs, private for what a scan reads. */
  readonly bytes: Uint8Array;
  /** The same memory as 32-bit words. */
  readonly words: Int32Array;

  /** Views `buffer`, whose length must be a multiple of 8. */
  constructor(buffer: ArrayBufferLike) {
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
  }
}

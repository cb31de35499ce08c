import { FlagstoneError } from "../errors/mod.ts";
import type { SegmentReader } from "../segment/mod.ts";
import {
  alignRecord,
  RECORD_HEADER_BYTES,
  recordLength,
  SegmentImage,
  verifyRecord,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import type { Entry, Key } from "./types.ts";

/** Small values are handed out of chunks of this size: an allocation of its own would cost more than the read. */
const CHUNK_BYTES = 64 * 1024;
/** Values up to this size come out of a chunk. */
const SMALL_BYTES = 4 * 1024;
/** Records up to this size are read without leaving the thread, even by `get`: a trip to another thread costs more. */
const SYNC_READ_BYTES = 64 * 1024;

/**
 * The way of a read: writes that wait, index, then the slab if the segment is in memory, else one
 * positional read of the file, whose checksum and key are verified.
 */
export class ReadPath {
  readonly #core: StoreCore;
  #chunk = new SegmentImage(new ArrayBuffer(CHUNK_BYTES));
  #chunkUsed = 0;

  /** Reads from `core`. */
  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** See `Store.getSync`. */
  getSync(key: Key): Uint8Array | undefined {
    const core = this.#core;
    core.assertOpen();
    const { keys, index } = core;
    keys.set(key);
    const pending = core.pending.find(keys);
    if (pending !== undefined) {
      return pending.value === undefined ? undefined : new Uint8Array(pending.value);
    }
    if (!index.find(keys.hash)) return undefined;
    const { segment, offset, length } = index;
    const slab = core.log.pool.resident(segment);
    if (slab !== undefined) return this.#fromSlab(slab.image, offset, length);
    const reader = core.segments.reader(segment);
    const at = this.#room(length);
    const image = at === -1 ? new SegmentImage(new ArrayBuffer(alignRecord(length))) : this.#chunk;
    const start = Math.max(at, 0);
    reader.readAt(image.bytes.subarray(start, start + length), offset);
    return this.#verified(image, start, offset, length, reader);
  }

  /** See `Store.get`. */
  get(key: Key): Promise<Uint8Array | undefined> {
    const core = this.#core;
    core.assertOpen();
    const { keys, index } = core;
    keys.set(key);
    const large = core.pending.size === 0 && index.find(keys.hash) &&
      index.length > SYNC_READ_BYTES && core.log.pool.resident(index.segment) === undefined;
    return large
      ? this.#getLarge(index.segment, index.offset, index.length)
      : Promise.resolve(this.getSync(key));
  }

  /** See `Store.has`. */
  has(key: Key): boolean {
    const core = this.#core;
    core.assertOpen();
    core.keys.set(key);
    const pending = core.pending.find(core.keys);
    if (pending !== undefined) return pending.value !== undefined;
    return core.index.find(core.keys.hash);
  }

  /** See `Store.getEntry`. */
  async getEntry(key: Key): Promise<Entry | undefined> {
    const core = this.#core;
    core.assertOpen();
    core.keys.set(key);
    // What waits has no version yet. After the newest write that waits now, the index has the truth.
    const settled = core.pending.settledOf(core.keys);
    if (settled === undefined) return await this.getCommitted(key);
    const own: Key = typeof key === "string" ? key : core.keys.copy();
    await settled;
    core.assertOpen();
    return await this.getCommitted(own);
  }

  /** What the index says, whatever waits: for who holds the key's lock. */
  async getCommitted(key: Key): Promise<Entry | undefined> {
    const core = this.#core;
    const { keys, index } = core;
    keys.set(key);
    if (!index.find(keys.hash)) return undefined;
    const { segment, offset, length, sequence } = index;
    const slab = core.log.pool.resident(segment);
    const value = slab === undefined
      ? await this.#getLarge(segment, offset, length)
      : this.#fromSlab(slab.image, offset, length);
    return value === undefined ? undefined : { value, version: sequence };
  }

  /** Reads a record of the key in `keys`, whose bytes are the caller's to change once this waits. */
  async #getLarge(
    segment: number,
    offset: number,
    length: number,
  ): Promise<Uint8Array | undefined> {
    const { keys } = this.#core;
    const key = keys.copy();
    const reader = this.#core.segments.reader(segment);
    const image = new SegmentImage(new ArrayBuffer(alignRecord(length)));
    await reader.readAtAsync(image.bytes.subarray(0, length), offset);
    keys.load(key, 0);
    return this.#verified(image, 0, offset, length, reader);
  }

  #fromSlab(image: SegmentImage, offset: number, length: number): Uint8Array | undefined {
    const { keys } = this.#core;
    if (!keys.matches(image, offset)) return undefined;
    const from = offset + RECORD_HEADER_BYTES + keys.length;
    const size = length - RECORD_HEADER_BYTES - keys.length;
    const at = this.#room(size);
    const value = at === -1
      ? new Uint8Array(size)
      : new Uint8Array(this.#chunk.bytes.buffer, at, size);
    value.set(image.bytes.subarray(from, from + size));
    return value;
  }

  /** The value of a record that was read from a file to `start` in `image`, once it is known to be right. */
  #verified(
    image: SegmentImage,
    start: number,
    offset: number,
    length: number,
    reader: SegmentReader,
  ): Uint8Array | undefined {
    const { salt } = reader.header;
    if (recordLength(image, start) !== length || !verifyRecord(image, start, length, salt)) {
      throw new FlagstoneError(
        "CORRUPT",
        `Cannot read a value from ${reader.path}: the record at offset ${offset} does not match ` +
          `its checksum. The file was damaged after it was written; restore it from a copy.`,
        { path: reader.path, offset },
      );
    }
    const { keys } = this.#core;
    if (!keys.matches(image, start)) return undefined;
    const skip = RECORD_HEADER_BYTES + keys.length;
    return new Uint8Array(image.bytes.buffer as ArrayBuffer, start + skip, length - skip);
  }

  /** A place for `bytes` in the current chunk, starting a new one if need be; -1 for more than belongs in a chunk. */
  #room(bytes: number): number {
    if (bytes > SMALL_BYTES) return -1;
    const at = this.#chunkUsed;
    if (at + bytes <= CHUNK_BYTES) {
      this.#chunkUsed = alignRecord(at + bytes);
      return at;
    }
    this.#chunk = new SegmentImage(new ArrayBuffer(CHUNK_BYTES));
    this.#chunkUsed = alignRecord(bytes);
    return 0;
  }
}

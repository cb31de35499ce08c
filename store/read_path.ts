import type { BlobReference } from "../blobs/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { VisitTable } from "../index/mod.ts";
import type { Slab } from "../memtable/mod.ts";
import type { SegmentReader } from "../segment/mod.ts";
import {
  alignRecord,
  logName,
  RecordFlag,
  recordFlags,
  recordLength,
  recordValueStart,
  SegmentImage,
  verifyRecord,
} from "../wal/mod.ts";
import type { ValuePlace } from "../codec/mod.ts";
import { joinPath } from "../vfs/mod.ts";
import { partOf } from "./stream_options.ts";
import { sizesOf } from "./value_sizes.ts";
import { blobBytes, bytesOf } from "./value_stream.ts";
import { readBlob, readBlobSync } from "./blob_values.ts";
import type { StoreCore } from "./core.ts";
import type { PreparedWrite } from "./pending_writes.ts";
import type { Entry, Key, StreamOptions } from "./types.ts";

/** Small values are handed out of chunks of this size: an allocation of its own would cost more than the read. */
const CHUNK_BYTES = 64 * 1024;
/** Values up to this size come out of a chunk. */
const SMALL_BYTES = 4 * 1024;
/**
 * Records up to this size are read without leaving the thread, even by `get`: a trip to another thread
 * costs more. A value of 64 KiB, which many have, and its header and key.
 */
const SYNC_READ_BYTES = 68 * 1024;

/** What a read looks at: the store as it is, or as it was. What is found is told by the fields of `core.index`. */
export interface View {
  /** The write of the key in `core.keys` that waits for its place, if it is to be seen. */
  pendingWrite(): PreparedWrite | undefined;
  /** Looks up the key in `core.keys`: false if it has no value. */
  find(): boolean;
  /** When the value that was found ends, in ms since the epoch; 0 if it does not. */
  foundExpiry(): number;
}

/**
 * The way of a read: writes that wait, index, then the slab if the segment is in memory, else one
 * positional read of the file, whose checksum and key are verified.
 */
export class ReadPath {
  readonly #core: StoreCore;
  readonly #view: View;
  /** Told of each value that is read, if the store evicts. */
  readonly #visits: VisitTable | undefined;
  #chunk = new SegmentImage(new ArrayBuffer(CHUNK_BYTES));
  #chunkUsed = 0;

  /** Reads from `core` what `view` shows. */
  constructor(core: StoreCore, view: View = core) {
    this.#core = core;
    this.#view = view;
    this.#visits = view === core ? core.eviction?.visits : undefined;
  }

  /** See `Store.getSync`. */
  getSync(key: Key): Uint8Array | undefined {
    const core = this.#core;
    core.assertOpen();
    const { keys, index } = core;
    keys.set(key);
    const pending = this.#view.pendingWrite();
    if (pending !== undefined) return this.#fromPending(pending);
    if (!this.#view.find()) return undefined;
    if (this.#visits !== undefined) this.#visits.visit(keys.hash.h1);
    const { segment, offset, length } = index;
    const slab = core.log.pool.resident(segment);
    if (slab !== undefined) return this.#fromSlab(slab, offset, length);
    const reader = core.segments.reader(segment);
    const at = this.#room(length);
    const image = at === -1 ? new SegmentImage(new ArrayBuffer(alignRecord(length))) : this.#chunk;
    const start = Math.max(at, 0);
    core.blocks.read(reader, segment, offset, image.bytes, start, length);
    const stored = this.verified(image, start, offset, length, reader);
    if (stored === undefined) return undefined;
    if (isExternal(image, start)) return readBlobSync(core.blobs, core.blobs.decode(stored));
    if (!isCompressed(image, start)) return stored;
    return core.compressor.decompress(stored, { path: reader.path, offset });
  }

  /** See `Store.get`. */
  get(key: Key): Promise<Uint8Array | undefined> {
    const core = this.#core;
    core.assertOpen();
    const { keys, index } = core;
    keys.set(key);
    const slow = this.#view.pendingWrite() === undefined && this.#view.find() &&
      ((index.flags & (RecordFlag.compressed | RecordFlag.external)) !== 0 ||
        (index.length > SYNC_READ_BYTES && core.log.pool.resident(index.segment) === undefined));
    if (!slow) return Promise.resolve(this.getSync(key));
    this.#visits?.visit(keys.hash.h1);
    return this.#getSlowly();
  }

  /** See `Store.stream`. */
  stream(
    key: Key,
    options: StreamOptions | undefined,
  ): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
    const core = this.#core;
    core.assertOpen();
    const { keys, index, streams } = core;
    keys.set(key);
    const pending = this.#view.pendingWrite();
    if (pending !== undefined) {
      const value = this.#fromPending(pending);
      if (value === undefined) return undefined;
      const part = partOf(options, value.length);
      return streams.stream(bytesOf(Promise.resolve(value)), part);
    }
    if (!this.#view.find()) {
      partOf(options, Infinity);
      return undefined;
    }
    this.#visits?.visit(keys.hash.h1);
    if ((index.flags & RecordFlag.external) !== 0) {
      const reference = this.#reference();
      if (reference === undefined) return undefined;
      const part = partOf(options, reference.length);
      return streams.stream(blobBytes(core.blobs, reference), part);
    }
    const part = partOf(options, sizesOf(core, keys.length).size);
    // Begun at once: the slab may serve something else, and the file be gone, when the first byte is asked for.
    return streams.stream(bytesOf(this.#getSlowly()), part);
  }

  /**
   * True if the value of `key` is in a segment's file, and in no slab: `index` then says where.
   * The key is in `keys`.
   */
  placeInFile(key: Key): boolean {
    const core = this.#core;
    core.keys.set(key);
    const inFile = this.#view.pendingWrite() === undefined && this.#view.find() &&
      (core.index.flags & RecordFlag.external) === 0 &&
      core.log.pool.resident(core.index.segment) === undefined;
    // Else it is read by `get`.
    if (inFile) this.#visits?.visit(core.keys.hash.h1);
    return inFile;
  }

  /** See `Store.has`. */
  has(key: Key): boolean {
    const core = this.#core;
    core.assertOpen();
    core.keys.set(key);
    const pending = this.#view.pendingWrite();
    if (pending !== undefined) return pending.value !== undefined && !this.#isOver(pending);
    return this.#view.find();
  }

  /** See `Store.getEntry`. */
  async getEntry(key: Key): Promise<Entry | undefined> {
    const core = this.#core;
    core.assertOpen();
    core.keys.set(key);
    // What waits has no version yet. After the newest write that waits now, the index has the truth.
    const settled = this.#view === core ? core.pending.settledOf(core.keys) : undefined;
    if (settled === undefined) return await this.getCommitted(key);
    const own: Key = typeof key === "string" ? key : core.keys.copy();
    await settled;
    core.assertOpen();
    return await this.getCommitted(own);
  }

  /** What the index says, whatever waits: for who holds the key's lock. */
  async getCommitted(key: Key): Promise<Entry | undefined> {
    const core = this.#core;
    core.keys.set(key);
    if (!this.#view.find()) return undefined;
    this.#visits?.visit(core.keys.hash.h1);
    const version = core.index.sequence;
    const expiresAt = this.#view.foundExpiry();
    const value = await this.#getSlowly();
    if (value === undefined) return undefined;
    return expiresAt === 0 ? { value, version } : { value, version, expiresAt };
  }

  /**
   * The value of the key in `keys`, of which `index` has just found the record; large reads and large
   * decompressions do not block. Once this waits, `keys` may have another key.
   */
  async #getSlowly(): Promise<Uint8Array | undefined> {
    const { blobs, keys, index, compressor, log, segments } = this.#core;
    const { segment, offset, length } = index;
    const slab = log.pool.resident(segment);
    if (slab !== undefined) {
      const external = isExternal(slab.image, offset);
      if (!external && !isCompressed(slab.image, offset)) {
        return this.#fromSlab(slab, offset, length);
      }
      const stored = this.#storedIn(slab.image, offset, length);
      if (stored === undefined) return undefined;
      if (external) return await readBlob(blobs, blobs.decode(stored));
      return await compressor.decompressAsync(stored, this.#placeIn(slab, offset));
    }
    const key = keys.copy();
    const reader = segments.reader(segment);
    const image = new SegmentImage(new ArrayBuffer(alignRecord(length)));
    const into = image.bytes.subarray(0, length);
    if (length > SYNC_READ_BYTES) await reader.readAtAsync(into, offset);
    else reader.readAt(into, offset);
    keys.load(key, 0);
    const stored = this.verified(image, 0, offset, length, reader);
    if (stored === undefined) return undefined;
    if (isExternal(image, 0)) return await readBlob(blobs, blobs.decode(stored));
    if (!isCompressed(image, 0)) return stored;
    return await compressor.decompressAsync(stored, { path: reader.path, offset });
  }

  /** Where the value is of the key in `keys`, whose record, which `index` has just found, points at a file. */
  #reference(): BlobReference | undefined {
    const { blobs, index, log, segments } = this.#core;
    const { segment, offset, length } = index;
    const slab = log.pool.resident(segment);
    let stored: Uint8Array | undefined;
    if (slab !== undefined) {
      stored = this.#storedIn(slab.image, offset, length);
    } else {
      const reader = segments.reader(segment);
      const image = new SegmentImage(new ArrayBuffer(alignRecord(length)));
      reader.readAt(image.bytes.subarray(0, length), offset);
      stored = this.verified(image, 0, offset, length, reader);
    }
    return stored && blobs.decode(stored);
  }

  #isOver({ expiresAt }: PreparedWrite): boolean {
    return expiresAt !== 0 && expiresAt <= this.#core.expiry.now();
  }

  #fromPending(write: PreparedWrite): Uint8Array | undefined {
    const { value, flags } = write;
    if (value === undefined || this.#isOver(write)) return undefined;
    if ((flags & RecordFlag.compressed) === 0) return new Uint8Array(value);
    return this.#core.compressor.decompress(value, { path: this.#core.directory, offset: 0 });
  }

  #fromSlab(slab: Slab, offset: number, length: number): Uint8Array | undefined {
    const stored = this.#storedIn(slab.image, offset, length);
    if (stored === undefined) return undefined;
    if (isExternal(slab.image, offset)) {
      const { blobs } = this.#core;
      return readBlobSync(blobs, blobs.decode(stored));
    }
    if (isCompressed(slab.image, offset)) {
      return this.#core.compressor.decompress(stored, this.#placeIn(slab, offset));
    }
    const size = stored.length;
    const at = this.#room(size);
    const value = at === -1
      ? new Uint8Array(size)
      : new Uint8Array(this.#chunk.bytes.buffer, at, size);
    value.set(stored);
    return value;
  }

  /** A view of the value in a slab, if the record is of the key in `keys`. */
  #storedIn(image: SegmentImage, offset: number, length: number): Uint8Array | undefined {
    const { keys } = this.#core;
    if (!keys.matches(image, offset)) return undefined;
    return image.bytes.subarray(recordValueStart(image, offset), offset + length);
  }

  #placeIn(slab: Slab, offset: number): ValuePlace {
    return { path: joinPath(this.#core.directory, logName(slab.segment)), offset };
  }

  /** The stored value of a record that was read from a file to `start` in `image`, once it is known to be right. */
  verified(
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
    const valueStart = recordValueStart(image, start);
    const buffer = image.bytes.buffer as ArrayBuffer;
    return new Uint8Array(buffer, valueStart, start + length - valueStart);
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

function isExternal(image: SegmentImage, offset: number): boolean {
  return (recordFlags(image, offset) & RecordFlag.external) !== 0;
}

function isCompressed(image: SegmentImage, offset: number): boolean {
  return (recordFlags(image, offset) & RecordFlag.compressed) !== 0;
}

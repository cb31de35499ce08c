import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import type { File, Fs } from "../vfs/mod.ts";
import {
  FILE_HEADER_BYTES,
  type FileHeader,
  FORMAT_VERSION,
  joinWords,
  readFileHeader,
} from "../wal/mod.ts";
import { compareBytes } from "./bytes.ts";
import { decodeKeys, type KeyRun } from "./key_run.ts";
import { type BlockHandle, decodeBlock, EntryCursor, type SegmentEntry } from "./block.ts";
import {
  BLOCK_INDEX_ENTRY_BYTES,
  TRAILER_BYTES,
  TRAILER_MAGIC_HIGH,
  TRAILER_MAGIC_LOW,
  TrailerWord,
} from "./format.ts";

/** Counts that a segment's trailer tells. */
export interface SegmentSummary {
  /** Offset where the records end and the footer begins. */
  readonly recordsEnd: number;
  /** Keys whose newest record here is a put. */
  readonly puts: number;
  /** Keys whose newest record here is a delete. */
  readonly deletes: number;
  /** Space of the puts counted in `puts`, in bytes. */
  readonly liveBytes: number;
  /** Highest sequence number in the segment. */
  readonly lastSequence: number;
}

/**
 * Reads a sealed segment. Opening reads its header and trailer only; the block index is read when
 * first needed, blocks as they are asked for. Every piece is checked against its checksum.
 */
export class SegmentReader implements Disposable {
  /** Path of the file. */
  readonly path: string;
  /** Length of the file in bytes. */
  readonly fileBytes: number;
  /** What the file's first bytes say. */
  readonly header: FileHeader;
  /** What its last bytes say. */
  readonly summary: SegmentSummary;
  readonly #file: File;
  readonly #trailer: Uint32Array;
  #blocks: BlockHandle[] | undefined;
  /** Asynchronous reads under way. */
  #reading = 0;
  #closing = false;

  private constructor(file: File, fileBytes: number, header: FileHeader, trailer: Uint32Array) {
    this.#file = file;
    this.path = file.path;
    this.fileBytes = fileBytes;
    this.header = header;
    this.#trailer = trailer;
    const word = (index: number) => trailer[index]!;
    this.summary = {
      recordsEnd: word(TrailerWord.recordsEnd),
      puts: word(TrailerWord.puts),
      deletes: word(TrailerWord.deletes),
      liveBytes: joinWords(word(TrailerWord.liveBytesLow), word(TrailerWord.liveBytesHigh)),
      lastSequence: joinWords(
        word(TrailerWord.lastSequenceLow),
        word(TrailerWord.lastSequenceHigh),
      ),
    };
  }

  /** Opens the sealed file at `path`. Throws `CORRUPT` or `NEWER_FORMAT` if it cannot be trusted. */
  static open(fs: Fs, path: string): SegmentReader {
    const file = fs.open(path);
    try {
      const fileBytes = file.stat().size;
      const head = new Uint8Array(FILE_HEADER_BYTES);
      const verdict = readFileHeader(head, file.readAt(head, 0), path);
      if (!verdict.ok) throw corrupt(path, 0, "its header does not match its checksum");
      const trailer = readTrailer(file, fileBytes, verdict.header.salt);
      return new SegmentReader(file, fileBytes, verdict.header, trailer);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Fills `into` from `offset`; a file that ends before throws `CORRUPT`. */
  readAt(into: Uint8Array, offset: number): void {
    if (this.#file.readAt(into, offset) === into.length) return;
    throw corrupt(this.path, offset, `it ends before ${offset + into.length}`);
  }

  /** As `readAt`, without blocking the thread. */
  async readAtAsync(into: Uint8Array, offset: number): Promise<void> {
    this.#reading++;
    try {
      if (await this.#file.readAtAsync(into, offset) === into.length) return;
    } finally {
      this.#reading--;
      if (this.#closing) this.close();
    }
    throw corrupt(this.path, offset, `it ends before ${offset + into.length}`);
  }

  /** The blocks of the footer, in key order. */
  get blocks(): readonly BlockHandle[] {
    return this.#blocks ??= this.#readBlockIndex();
  }

  /** The entries of one block, in key order. */
  readBlock(block: BlockHandle): SegmentEntry[] {
    return decodeBlock(this.#readVerified(block), block.entries);
  }

  /** The keys of one block. */
  readKeys(block: BlockHandle): KeyRun {
    return decodeKeys(this.#readVerified(block), block.entries);
  }

  /** A cursor that stands before the first entry of one block. */
  cursor(block: BlockHandle): EntryCursor {
    const bytes = new Uint8Array(block.bytes);
    this.readAt(bytes, block.offset);
    this.#verifyBlock(block, bytes);
    return new EntryCursor(bytes, 0, block.entries);
  }

  /**
   * Calls `visit` for every entry, in key order; the cursor goes on with the next call, so
   * what is wanted of it must be taken at once. Reads all blocks with one call.
   */
  eachEntry(visit: (entry: EntryCursor) => void): void {
    const { blocks } = this;
    const first = blocks[0];
    if (first === undefined) return;
    const end = blocks.reduce((most, { offset, bytes }) => Math.max(most, offset + bytes), 0);
    const bytes = new Uint8Array(end - first.offset);
    this.readAt(bytes, first.offset);
    for (const block of blocks) {
      const start = block.offset - first.offset;
      this.#verifyBlock(block, bytes.subarray(start, start + block.bytes));
      const cursor = new EntryCursor(bytes, start, block.entries);
      while (cursor.next()) visit(cursor);
    }
  }

  /** The blocks that may hold keys from `start` on and below `end`, in key order. */
  blocksBetween(start: Uint8Array | undefined, end: Uint8Array | undefined): BlockHandle[] {
    const { blocks } = this;
    const first = start === undefined ? 0 : this.#blockOf(start);
    const last = end === undefined ? blocks.length - 1 : this.#blockOf(end);
    return blocks.slice(first, last + 1);
  }

  /** Closes the file, as soon as no read is under way. Idempotent, and never throws. */
  close(): void {
    this.#closing = true;
    if (this.#reading > 0) return;
    try {
      this.#file.close();
    } catch {
      // It was only read from.
    }
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #readVerified(block: BlockHandle): Uint8Array {
    const bytes = new Uint8Array(block.bytes);
    this.readAt(bytes, block.offset);
    this.#verifyBlock(block, bytes);
    return bytes;
  }

  #verifyBlock(block: BlockHandle, bytes: Uint8Array): void {
    if (crc32(bytes, this.header.salt >>> 0) === block.checksum) return;
    throw corrupt(this.path, block.offset, "a footer block does not match its checksum");
  }

  /** Index of the last block whose first key is not above `key`, or 0. */
  #blockOf(key: Uint8Array): number {
    const blocks = this.blocks;
    let low = 0;
    let high = blocks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (compareBytes(blocks[middle]!.firstKey, key) <= 0) low = middle;
      else high = middle;
    }
    return low;
  }

  #readBlockIndex(): BlockHandle[] {
    const offset = this.#trailer[TrailerWord.blockIndexOffset]!;
    const bytes = new Uint8Array(this.#trailer[TrailerWord.blockIndexBytes]!);
    this.readAt(bytes, offset);
    if (crc32(bytes, this.header.salt >>> 0) !== this.#trailer[TrailerWord.blockIndexChecksum]) {
      throw corrupt(this.path, offset, "its block index does not match its checksum");
    }
    const view = new DataView(bytes.buffer);
    const blocks: BlockHandle[] = [];
    for (let at = 0; at < bytes.length;) {
      const keyBytes = view.getUint32(at + 16, true);
      const keyStart = at + BLOCK_INDEX_ENTRY_BYTES;
      blocks.push({
        offset: view.getUint32(at, true),
        bytes: view.getUint32(at + 4, true),
        checksum: view.getUint32(at + 8, true),
        entries: view.getUint32(at + 12, true),
        firstKey: bytes.subarray(keyStart, keyStart + keyBytes),
      });
      at = keyStart + keyBytes;
    }
    return blocks;
  }
}

function readTrailer(file: File, fileBytes: number, salt: number): Uint32Array {
  const offset = fileBytes - TRAILER_BYTES;
  if (offset < FILE_HEADER_BYTES) throw corrupt(file.path, fileBytes, "it is too short");
  const bytes = new Uint8Array(TRAILER_BYTES);
  file.readAt(bytes, offset);
  const words = new Uint32Array(bytes.buffer);
  const checksum = crc32(bytes.subarray(0, TrailerWord.checksum * 4), salt >>> 0);
  if (
    words[TrailerWord.magicLow] !== TRAILER_MAGIC_LOW ||
    words[TrailerWord.magicHigh] !== TRAILER_MAGIC_HIGH ||
    words[TrailerWord.checksum] !== checksum
  ) {
    throw corrupt(file.path, offset, "its trailer does not match its checksum");
  }
  if (words[TrailerWord.version]! > FORMAT_VERSION) {
    throw new FlagstoneError(
      "NEWER_FORMAT",
      `Cannot read ${file.path}: its footer has format version ${words[TrailerWord.version]}, ` +
        `this Flagstone knows up to ${FORMAT_VERSION}. Open the store with a newer Flagstone.`,
      { path: file.path, offset },
    );
  }
  const indexEnd = words[TrailerWord.blockIndexOffset]! + words[TrailerWord.blockIndexBytes]!;
  if (indexEnd !== offset || words[TrailerWord.recordsEnd]! > offset) {
    throw corrupt(file.path, offset, "its trailer points outside the file");
  }
  return words;
}

function corrupt(path: string, offset: number, found: string): FlagstoneError {
  return new FlagstoneError(
    "CORRUPT",
    `Cannot read ${path} at offset ${offset}: ${found}. The file was damaged after it was ` +
      `written; restore it from a copy.`,
    { path, offset },
  );
}

import { blobFileBytes, type BlobReference } from "../blobs/mod.ts";
import { type ErrorCode, FlagstoneError } from "../errors/mod.ts";
import { compareBytes, keyedRecords, newestInKeyOrder, SegmentReader } from "../segment/mod.ts";
import { type File, joinPath } from "../vfs/mod.ts";
import {
  alignRecord,
  FILE_HEADER_BYTES,
  logName,
  RECORD_HEADER_BYTES,
  recordExpiry,
  RecordFlag,
  recordFlags,
  recordKeyBytes,
  RecordKind,
  recordKind,
  recordLength,
  recordSequence,
  recordValueStart,
  SegmentImage,
  SlotState,
  SlotWord,
  verifyRecord,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { checkLongOptions, refuseAborted } from "./long_options.ts";
import type { VerifyOptions, VerifyProblem, VerifyReport } from "./maintenance_types.ts";
import { IndexCheck } from "./verify_index.ts";

const PIECE_BYTES = 4 * 1024 * 1024;
/** What ends a verification; anything else is a problem that it has found. */
const PASSED_ON: readonly ErrorCode[] = ["ABORTED", "CLOSED"];

/** See `Store.verify`. */
export async function verifyStore(core: StoreCore, options: VerifyOptions): Promise<VerifyReport> {
  checkLongOptions(options);
  core.assertOpen();
  const { signal } = options;
  refuseAborted(signal, "The verification", core.directory);
  await core.flush();
  await core.completed();
  return await new Verification(core, options).run();
}

/**
 * Reads every file of the store and checks every checksum: each record's, each footer's, and each
 * footer and the index against the records that they speak of. Changes nothing; reads one file into
 * memory at a time.
 */
class Verification {
  readonly #core: StoreCore;
  readonly #options: VerifyOptions;
  readonly #index: IndexCheck;
  readonly #problems: VerifyProblem[] = [];
  #isEnded = false;
  #files = 0;
  #bytes = 0;
  #records = 0;

  /** Will check the files of `core`. */
  constructor(core: StoreCore, options: VerifyOptions) {
    this.#core = core;
    this.#options = options;
    this.#index = new IndexCheck(core);
  }

  /** Does it. */
  async run(): Promise<VerifyReport> {
    const seen = new Set<number>();
    const unseen = () => this.#core.segments.files.filter((segment) => !seen.has(segment));
    // Compaction makes others meanwhile, and removes some.
    for (let left = unseen(); left.length > 0; left = unseen()) {
      await this.#checkSegments(left, seen);
    }
    for (const slab of this.#core.log.pool.residents) {
      const state = this.#core.log.control.get(slab.slot, SlotWord.state);
      if (state !== SlotState.active && state !== SlotState.sealed) continue;
      const path = joinPath(this.#core.directory, logName(slab.segment));
      const durable = this.#core.log.control.get(slab.slot, SlotWord.synced);
      if (durable === 0) continue;
      await this.#guard(path, () => this.#checkLog(path, durable, slab.salt));
    }
    for (const [version, reference] of [...this.#core.blobs.live]) {
      this.#core.assertOpen();
      // It may have been replaced meanwhile.
      if (!this.#core.blobs.live.has(version)) continue;
      await this.#guard(this.#core.blobs.pathOf(reference), () => this.#checkBlob(reference));
    }
    this.#index.finish((message) => this.#problem(this.#core.directory, 0, message));
    return {
      files: this.#files,
      bytes: this.#bytes,
      records: this.#records,
      indexEntries: this.#core.index.size,
      problems: this.#problems,
    };
  }

  async #checkSegments(segments: readonly number[], seen: Set<number>): Promise<void> {
    for (const segment of segments) {
      seen.add(segment);
      this.#core.assertOpen();
      const { segments } = this.#core;
      if (!segments.has(segment) || segments.isGoing(segment)) continue;
      const path = segments.pathOf(segment);
      await this.#guard(path, () => this.#checkSegment(segment, path));
    }
  }

  /** A file that cannot be read at all is a problem like any other. */
  async #guard(path: string, check: () => Promise<void>): Promise<void> {
    try {
      this.#files++;
      this.#step();
      await check();
    } catch (error) {
      const isProblem = error instanceof FlagstoneError && !PASSED_ON.includes(error.code);
      if (!isProblem || this.#isEnded) throw error;
      this.#problem(error.path ?? path, error.offset ?? 0, error.message);
    }
  }

  async #checkSegment(segment: number, path: string): Promise<void> {
    using reader = SegmentReader.open(this.#core.options.fs, path);
    const { recordsEnd } = reader.summary;
    const image = await this.#load(recordsEnd, (into, at) => reader.readAtAsync(into, at));
    const end = this.#checkRecords(image, path, recordsEnd, reader.header.salt);
    this.#bytes += reader.fileBytes - recordsEnd;
    if (end !== recordsEnd) return;
    const expected = newestInKeyOrder(image, keyedRecords(image, recordsEnd));
    let at = 0;
    for (const block of reader.blocks) {
      for (const entry of reader.readBlock(block)) {
        const offset = expected[at++];
        const agrees = offset === entry.offset &&
          recordLength(image, offset) === entry.length &&
          recordSequence(image, offset) === entry.sequence &&
          recordExpiry(image, offset) === entry.expiresAt &&
          compareBytes(entry.key, keyAt(image, offset)) === 0;
        if (!agrees) this.#problem(path, block.offset, `entry ${at - 1} is not that of its record`);
      }
    }
    if (at !== expected.length) {
      this.#problem(path, recordsEnd, `the footer has ${at} entries for ${expected.length} keys`);
    }
    // Compaction may have removed it meanwhile; then nothing points to it.
    this.#index.check(segment, image, expected, (at, message) => this.#problem(path, at, message));
  }

  async #checkLog(path: string, durable: number, salt: number): Promise<void> {
    using file: File = this.#core.options.fs.open(path);
    const image = await this.#load(durable, async (into, at) => {
      const got = await file.readAtAsync(into, at);
      if (got < into.length) this.#problem(path, at + got, "the file ends before its durable part");
    });
    this.#checkRecords(image, path, durable, salt);
  }

  async #checkBlob(reference: BlobReference): Promise<void> {
    const { length } = reference;
    await this.#core.blobs.using(reference, async (reader) => {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, length));
      for (let at = 0; at < length; at += PIECE_BYTES) {
        await reader.readAtAsync(piece.subarray(0, length - at), at);
        this.#bytes += Math.min(PIECE_BYTES, length - at);
        this.#step();
      }
    });
    this.#bytes += blobFileBytes(length) - length;
  }

  async #load(
    bytes: number,
    read: (into: Uint8Array, at: number) => Promise<void>,
  ): Promise<SegmentImage> {
    const image = new SegmentImage(new ArrayBuffer(alignRecord(bytes)));
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      const part = image.bytes.subarray(at, Math.min(at + PIECE_BYTES, bytes));
      await read(part, at);
      this.#bytes += part.length;
      this.#step();
    }
    return image;
  }

  /** Returns where the walk ended: at `recordsEnd` if all is well. */
  #checkRecords(image: SegmentImage, path: string, recordsEnd: number, salt: number): number {
    let offset = FILE_HEADER_BYTES;
    while (offset < recordsEnd) {
      const length = recordLength(image, offset);
      const whole = length >= RECORD_HEADER_BYTES && length <= recordsEnd - offset;
      if (!whole || !verifyRecord(image, offset, length, salt)) {
        this.#problem(path, offset, "a record does not match its checksum");
        return offset;
      }
      this.#records++;
      this.#checkValue(image, path, offset, length);
      offset += alignRecord(length);
    }
    return offset;
  }

  /** A compressed value is decompressed: that is the only way to know that it can be. */
  #checkValue(image: SegmentImage, path: string, offset: number, length: number): void {
    if (recordKind(image, offset) !== RecordKind.put) return;
    const flags = recordFlags(image, offset);
    if ((flags & (RecordFlag.compressed | RecordFlag.external)) === 0) return;
    const start = recordValueStart(image, offset);
    try {
      const stored = image.bytes.subarray(start, offset + length);
      if ((flags & RecordFlag.external) !== 0) this.#core.blobs.decode(stored);
      else this.#core.compressor.decompress(stored, { path, offset });
    } catch (error) {
      if (!(error instanceof FlagstoneError)) throw error;
      this.#problem(path, offset, error.message);
    }
  }

  /** Something was read. */
  #step(): void {
    this.#core.assertOpen();
    const { signal, onProgress } = this.#options;
    refuseAborted(signal, "The verification", this.#core.directory);
    if (onProgress === undefined) return;
    const { blobs, segments } = this.#core;
    const totalBytes = Math.max(this.#bytes, segments.totalBytes + blobs.bytes);
    const problems = this.#problems.length;
    // What it throws is not of a file.
    this.#isEnded = true;
    onProgress({ files: this.#files, bytes: this.#bytes, totalBytes, problems });
    this.#isEnded = false;
  }

  #problem(path: string, offset: number, message: string): void {
    this.#problems.push({ path, offset, message });
  }
}

function keyAt(image: SegmentImage, offset: number): Uint8Array {
  const start = offset + RECORD_HEADER_BYTES;
  return image.bytes.subarray(start, start + recordKeyBytes(image, offset));
}

import { FlagstoneError } from "../errors/mod.ts";
import type { SlabPool } from "../memtable/mod.ts";
import { type Fs, joinPath } from "../vfs/mod.ts";
import {
  alignRecord,
  batchContinues,
  type Control,
  FILE_HEADER_BYTES,
  logName,
  RECORD_HEADER_BYTES,
  RecordKind,
  recordKind,
  recordLength,
  recordSequence,
  SegmentImage,
  SlotState,
  SlotWord,
  verifyRecord,
} from "../wal/mod.ts";
import type { WalSegment } from "./wal_files.ts";
import type { Codec, CorruptionPolicy } from "./wal_types.ts";

/** How much is read at once; a longer record is read whole. */
const PIECE_BYTES = 1024 * 1024;

/** One record of a log. */
export class WalRecord<T = Uint8Array> {
  /** Its log sequence number: its position in the log, in bytes. Never given twice. */
  readonly lsn: number;
  /** Its bytes: a view on the piece that was read, up to 1 MiB, which lives as long as one of its records. */
  readonly bytes: Uint8Array;
  /** True if the next record belongs to the same batch. */
  readonly batchContinues: boolean;
  readonly #codec: Codec<T>;

  /** Not for users: a log makes records. */
  constructor(lsn: number, bytes: Uint8Array, batchContinues: boolean, codec: Codec<T>) {
    this.lsn = lsn;
    this.bytes = bytes;
    this.batchContinues = batchContinues;
    this.#codec = codec;
  }

  /** Its value, decoded each time it is asked for. Throws what the codec throws. */
  get value(): T {
    return this.#codec.decode(this.bytes);
  }
}

/** Reads one segment, from memory while it is there, else from its file. */
export class WalSegmentReader {
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #control: Control;
  readonly #pool: SlabPool;

  /** Reads segments in `directory`, or in slabs of `pool`. */
  constructor(fs: Fs, directory: string, control: Control, pool: SlabPool) {
    this.#fs = fs;
    this.#directory = directory;
    this.#control = control;
    this.#pool = pool;
  }

  /**
   * The records of `segment` from offset `from` on, up to where `limitOf` says that they end now, or
   * to where nothing is published yet. What is read is copied first, so a slab may be reused
   * meanwhile, and the segment completed.
   */
  *read<T>(
    { segment, base, salt }: WalSegment,
    from: number,
    limitOf: () => number,
    codec: Codec<T>,
    policy: CorruptionPolicy,
  ): Generator<WalRecord<T>, boolean> {
    let offset = from;
    let wanted = PIECE_BYTES;
    for (;;) {
      const limit = limitOf();
      if (offset + RECORD_HEADER_BYTES > limit) return true;
      const { image, isMemory } = this.#piece(segment, offset, Math.min(wanted, limit - offset));
      wanted = PIECE_BYTES;
      const { length: available } = image.bytes;
      let at = 0;
      while (at + RECORD_HEADER_BYTES <= available) {
        const length = recordLength(image, at);
        if (length === 0 && isMemory) return true;
        if (length < 0 && isMemory) {
          // The gap of a writer that died.
          at -= length;
          continue;
        }
        const fits = length >= RECORD_HEADER_BYTES && offset + at + length <= limit;
        if (fits && at + length > available) {
          if (at === 0) wanted = length;
          break;
        }
        const whole = fits && verifyRecord(image, at, length, salt) &&
          this.#isInPlace(image, at, base + offset + at);
        if (!whole) {
          if (policy === "stop") return false;
          if (policy === "throw") throw corrupt(this.#directory, segment, offset + at);
          at += 8;
          continue;
        }
        const kind = recordKind(image, at);
        if (kind === RecordKind.seal) return true;
        if (kind === RecordKind.put) {
          const bytes = image.bytes.subarray(at + RECORD_HEADER_BYTES, at + length);
          if (offset + at >= limitOf()) return true;
          yield new WalRecord(base + offset + at, bytes, batchContinues(image, at), codec);
        }
        at += alignRecord(length);
      }
      if (at === 0 && wanted <= available) return true;
      offset += at;
    }
  }

  /** Marks and seals of a log that was reopened after a crash carry higher numbers. */
  #isInPlace(image: SegmentImage, at: number, lsn: number): boolean {
    return recordKind(image, at) !== RecordKind.put || recordSequence(image, at) === lsn;
  }

  /** `isMemory` says that it may end, or have gaps, where writers are not ready yet. */
  #piece(
    segment: number,
    offset: number,
    bytes: number,
  ): { image: SegmentImage; isMemory: boolean } {
    const image = new SegmentImage(new ArrayBuffer(alignRecord(bytes)));
    const slab = this.#pool.resident(segment);
    const state = slab === undefined ? -1 : this.#control.get(slab.slot, SlotWord.state);
    if (slab !== undefined && state >= SlotState.active && state <= SlotState.logged) {
      const end = publishedEnd(slab.image, offset, offset + bytes);
      image.bytes.set(slab.image.bytes.subarray(offset, Math.min(end, offset + bytes)));
      return { image, isMemory: true };
    }
    using file = this.#fs.open(joinPath(this.#directory, logName(segment)));
    file.readAt(image.bytes.subarray(0, bytes), offset);
    return { image, isMemory: false };
  }
}

/** Up to where records are published, from `offset` on; about `limit` at most. */
function publishedEnd({ words }: SegmentImage, offset: number, limit: number): number {
  let end = offset;
  while (end < limit) {
    const length = Atomics.load(words, end >> 2);
    if (length === 0) break;
    end += length < 0 ? -length : alignRecord(length);
  }
  return end;
}

/** Offset of a segment's first record. */
export const FIRST_OFFSET: number = FILE_HEADER_BYTES;

function corrupt(directory: string, segment: number, offset: number): FlagstoneError {
  const path = joinPath(directory, logName(segment));
  return new FlagstoneError(
    "CORRUPT",
    `Cannot read ${path}: the record at offset ${offset} does not match its checksum. The file was ` +
      `damaged after it was written; restore it from a copy, or iterate with onCorruption.`,
    { path, offset },
  );
}

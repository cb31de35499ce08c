import { FlagstoneError } from "../errors/mod.ts";
import type { FileHeader } from "./file_header.ts";
import {
  alignRecord,
  FILE_HEADER_BYTES,
  KNOWN_FLAGS,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_UNCHECKED_BYTES,
  RecordFlag,
  RecordKind,
} from "./format.ts";
import type { SegmentImage } from "./image.ts";
import { RangeChecksums } from "./range_checksums.ts";
import {
  batchContinues,
  recordChecksum,
  recordFlags,
  recordKind,
  recordLength,
  recordSequence,
  recordSyncedMark,
  recordValueStart,
  verifyRecord,
} from "./record.ts";

/** What a scan of a log found. */
export interface LogScan {
  /** Offset after the last whole record or batch: the log is good up to here. */
  readonly end: number;
  /** Records in `[header, end)`, marks and seal included. */
  readonly records: number;
  /** True if the last record is a seal: the segment is complete. */
  readonly sealed: boolean;
  /** True if the last record is the mark of a close: nothing was accepted that is not in the log. */
  readonly closed: boolean;
  /** Some record says that the log was durable up to here. */
  readonly durableEnd: number;
  /** Highest sequence number, or the header's base. */
  readonly lastSequence: number;
  /** Bytes after `end` that are not zero padding: what a torn write left. 0 after a seal. */
  readonly tornBytes: number;
}

/** Told of a put or delete that counts. */
export type RecordVisitor = (offset: number, length: number) => void;

/** How much of a log is in memory, while it is still being read. */
export interface LogReading {
  /** All before this is there. */
  loaded: number;
  /** Once everything is: from here on, all is zeros. */
  dataEnd: number | undefined;
}

/**
 * Walks the records of a log, oldest first, calling `visit` for each put and delete whose checksum
 * holds and whose batch is whole. Everything from `dataEnd` on is zeros.
 *
 * The first bad record ends the log, if it is torn: if no later record carries a synced mark beyond
 * it. Otherwise its bytes were once durable and have changed since: that throws `CORRUPT`, with
 * path and offset. (The rule is that of Pebble's WAL, whose chunks carry the synced offset.)
 */
export function scanLog(
  image: SegmentImage,
  header: FileHeader,
  path: string,
  visit: RecordVisitor,
  dataEnd: number = image.bytes.length,
): LogScan {
  return finishScan(scanInSteps(image, header, path, visit, { loaded: dataEnd, dataEnd }));
}

/** Ends a scan whose log is in memory by now. */
export function finishScan(steps: Iterator<void, LogScan>): LogScan {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/**
 * As `scanLog`, in steps: each goes as far as the log is `loaded`. The last one has to wait until `reading`
 * says where the data ends.
 */
export function* scanInSteps(
  image: SegmentImage,
  header: FileHeader,
  path: string,
  visit: RecordVisitor,
  reading: LogReading,
): Generator<void, LogScan> {
  const limit = header.capacityBytes;
  let offset = FILE_HEADER_BYTES;
  let end = offset;
  let records = 0;
  let sealed = false;
  let closed = false;
  let durableEnd = 0;
  let lastSequence = header.baseSequence;
  let base = header.baseSequence;
  while (!sealed) {
    while (!isLoaded(image, offset, reading)) yield;
    if (!isRecord(image, offset, limit, header.salt)) break;
    refuseUnknown(image, offset, path);
    const length = recordLength(image, offset);
    const kind = recordKind(image, offset);
    const ownBase = recordSequence(image, offset) - offset;
    if (!mayHaveBase(kind, ownBase, base)) break;
    base = ownBase;
    const continues = batchContinues(image, offset);
    offset += alignRecord(length);
    if (continues) continue;
    // A batch, mostly of one, is whole.
    while (end < offset) {
      const startLength = recordLength(image, end);
      const startKind = recordKind(image, end);
      if (startKind === RecordKind.put || startKind === RecordKind.delete) visit(end, startLength);
      lastSequence = Math.max(lastSequence, recordSequence(image, end));
      durableEnd = Math.max(durableEnd, recordSyncedMark(image, end));
      closed = kind === RecordKind.mark && (recordFlags(image, end) & RecordFlag.closed) !== 0;
      end += alignRecord(startLength);
      records++;
    }
    sealed = kind === RecordKind.seal;
  }
  while (reading.dataEnd === undefined) yield;
  const tornEnd = sealed ? end : lastNonZero(image, end, reading.dataEnd);
  if (tornEnd > end) {
    const witness = findSyncedBeyond(image, offset, tornEnd, limit, header.salt);
    if (witness !== -1) {
      throw new FlagstoneError(
        "CORRUPT",
        `Cannot read ${path}: the record at offset ${offset} does not match its checksum, though ` +
          `the record at ${witness} says that it was durable. The file was damaged after it was ` +
          `written; restore it from a copy.`,
        { path, offset },
      );
    }
  }
  const tornBytes = Math.max(0, tornEnd - end);
  return { end, records, sealed, closed, durableEnd, lastSequence, tornBytes };
}

/** True if whatever record is at `offset` was read, or nothing more will be. */
function isLoaded(image: SegmentImage, offset: number, { loaded, dataEnd }: LogReading): boolean {
  if (dataEnd !== undefined) return true;
  return offset + RECORD_HEADER_BYTES <= loaded && offset + recordLength(image, offset) <= loaded;
}

/** True if a whole record with a matching checksum stands at `offset`. */
function isRecord(image: SegmentImage, offset: number, limit: number, salt: number): boolean {
  return fits(image, offset, limit) &&
    verifyRecord(image, offset, recordLength(image, offset), salt);
}

/**
 * Numbers follow the place in the log. After a crash some are skipped: the mark that recovery leaves,
 * or the seal, tells. Anything else is a record that does not belong here, such as an older copy.
 */
function mayHaveBase(kind: number, base: number, expected: number): boolean {
  if (base === expected) return true;
  return base > expected && (kind === RecordKind.mark || kind === RecordKind.seal);
}

/** True if a record of a possible length begins at `offset`: what it says may be looked at. */
function fits(image: SegmentImage, offset: number, limit: number): boolean {
  if (offset + RECORD_HEADER_BYTES > limit) return false;
  const length = recordLength(image, offset);
  return length >= recordValueStart(image, offset) - offset && length <= limit - offset;
}

/** A record that verifies but says what this version has no word for was written by a newer one. */
function refuseUnknown(image: SegmentImage, offset: number, path: string): void {
  const kind = recordKind(image, offset);
  const known = kind >= RecordKind.put && kind <= RecordKind.seal;
  if (known && (recordFlags(image, offset) & ~KNOWN_FLAGS) === 0) return;
  throw new FlagstoneError(
    "NEWER_FORMAT",
    `Cannot read ${path}: the record at offset ${offset} is of kind ${kind} with flags ` +
      `${recordFlags(image, offset)}, which this Flagstone does not know. Open the store with a ` +
      `newer Flagstone.`,
    { path, offset },
  );
}

/** Offset after the last byte that is not zero, or `from`; there is none from `dataEnd` on. */
function lastNonZero(image: SegmentImage, from: number, dataEnd: number): number {
  const { words } = image;
  let word = (dataEnd + 3) >> 2;
  const first = from >> 2;
  while (word > first && words[word - 1] === 0) word--;
  return word === first ? from : word * 4;
}

/**
 * Looks between the bad record at `bad` and `tornEnd`, from where on there are zeros, for a whole
 * record whose synced mark covers `bad`. What lies there may be a user's bytes, made to look like records: so the checksum of a candidate must not
 * cost its length.
 */
function findSyncedBeyond(
  image: SegmentImage,
  bad: number,
  tornEnd: number,
  limit: number,
  salt: number,
): number {
  const last = Math.min(tornEnd, limit - RECORD_HEADER_BYTES);
  let checksums: RangeChecksums | undefined;
  for (
    let offset = bad + RECORD_ALIGNMENT_BYTES;
    offset <= last;
    offset += RECORD_ALIGNMENT_BYTES
  ) {
    if (recordLength(image, offset) === 0) continue;
    const mark = recordSyncedMark(image, offset);
    if (mark <= bad || mark > offset) continue;
    const kind = recordKind(image, offset);
    if (kind < RecordKind.put || kind > RecordKind.seal) continue;
    if ((recordFlags(image, offset) & ~KNOWN_FLAGS) !== 0) continue;
    if (!fits(image, offset, limit)) continue;
    checksums ??= new RangeChecksums(image.bytes, bad);
    const length = recordLength(image, offset);
    const start = offset + RECORD_UNCHECKED_BYTES;
    const checksum = checksums.checksum(start, offset + length, salt ^ length);
    if (checksum === recordChecksum(image, offset)) return offset;
  }
  return -1;
}

import { FlagstoneError } from "../errors/mod.ts";
import {
  alignRecord,
  FILE_HEADER_BYTES,
  KNOWN_FLAGS,
  RangeChecksums,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_UNCHECKED_BYTES,
  recordChecksum,
  recordFlags,
  RecordKind,
  recordKind,
  recordLength,
  recordSequence,
  recordValueStart,
  type SegmentImage,
  verifyRecord,
} from "../wal/mod.ts";

/** What can be read of a damaged file. */
export interface GoodRecords {
  /** Offsets of the records that verify, marks and seal included. */
  readonly offsets: readonly number[];
  /** Bytes between them, and behind them, that are no records. */
  readonly lostBytes: number;
  /** Highest sequence number of a record; 0 without any. */
  readonly lastSequence: number;
  /** True if the last record is a seal. */
  readonly sealed: boolean;
}

/**
 * Finds every record of `image` up to `end` whose checksum holds, also behind damage, where each place is
 * tried at which one can begin. Of a log, or what became of one, a record must have the number of its
 * place, above `base`: a copy of a record that somebody stored as a value is none. `base` is
 * `undefined` for a compacted segment.
 */
export function findGoodRecords(
  image: SegmentImage,
  salt: number,
  end: number,
  base: number | undefined,
  path: string,
): GoodRecords {
  const offsets: number[] = [];
  let offset = FILE_HEADER_BYTES;
  let lowest = base;
  let lostBytes = 0;
  let lastSequence = 0;
  let sealed = false;
  let lost: RangeChecksums | undefined;
  let lostFrom = 0;
  while (offset + RECORD_HEADER_BYTES <= end && !sealed) {
    const isGood = fits(image, offset, end) && verifies(image, offset, salt, lost) &&
      isInPlace(image, offset, lowest);
    if (!isGood) {
      if (lost === undefined) {
        if (lastNonZero(image, offset, end) === offset) break;
        lost = new RangeChecksums(image.bytes.subarray(0, end), offset);
        lostFrom = offset;
      }
      offset += RECORD_ALIGNMENT_BYTES;
      continue;
    }
    refuseUnknown(image, offset, path);
    if (lost !== undefined) lostBytes += offset - lostFrom;
    lost = undefined;
    offsets.push(offset);
    const sequence = recordSequence(image, offset);
    lastSequence = Math.max(lastSequence, sequence);
    sealed = recordKind(image, offset) === RecordKind.seal;
    if (lowest !== undefined) lowest = sequence - offset;
    offset += alignRecord(recordLength(image, offset));
  }
  if (lost !== undefined) lostBytes += lastNonZero(image, lostFrom, end) - lostFrom;
  return { offsets, lostBytes, lastSequence, sealed };
}

/** What lies behind damage may be made to look like records: then a checksum must not cost its length. */
function verifies(
  image: SegmentImage,
  offset: number,
  salt: number,
  lost: RangeChecksums | undefined,
): boolean {
  const length = recordLength(image, offset);
  if (lost === undefined) return verifyRecord(image, offset, length, salt);
  const kind = recordKind(image, offset);
  if (kind < RecordKind.put || kind > RecordKind.seal) return false;
  const start = offset + RECORD_UNCHECKED_BYTES;
  return lost.checksum(start, offset + length, salt ^ length) === recordChecksum(image, offset);
}

function fits(image: SegmentImage, offset: number, end: number): boolean {
  const length = recordLength(image, offset);
  return length >= recordValueStart(image, offset) - offset && length <= end - offset;
}

/** Numbers follow the place; after a crash some were skipped, never the other way. */
function isInPlace(image: SegmentImage, offset: number, lowest: number | undefined): boolean {
  return lowest === undefined || recordSequence(image, offset) - offset >= lowest;
}

/** Offset behind the last byte below `end` that is not zero, or `from`. */
function lastNonZero({ bytes }: SegmentImage, from: number, end: number): number {
  let last = end;
  while (last > from && bytes[last - 1] === 0) last--;
  return last;
}

function refuseUnknown(image: SegmentImage, offset: number, path: string): void {
  const kind = recordKind(image, offset);
  const flags = recordFlags(image, offset);
  const known = kind >= RecordKind.put && kind <= RecordKind.seal;
  if (known && (flags & ~KNOWN_FLAGS) === 0) return;
  throw new FlagstoneError(
    "NEWER_FORMAT",
    `Cannot read ${path}: the record at offset ${offset} is of kind ${kind} with flags ${flags}, ` +
      `which this Flagstone does not know. Use a newer Flagstone.`,
    { path, offset },
  );
}

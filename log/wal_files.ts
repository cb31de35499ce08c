import { FlagstoneError } from "../errors/mod.ts";
import { type File, type Fs, joinPath } from "../vfs/mod.ts";
import {
  FILE_HEADER_BYTES,
  type FileHeader,
  logName,
  LogRecovery,
  parseFileName,
  readFileHeader,
  RECORD_HEADER_BYTES,
  RecordKind,
  recordKind,
  recordLength,
  recordSequence,
  SegmentImage,
  trimLog,
  UNKNOWN_SEQUENCES,
  verifyRecord,
} from "../wal/mod.ts";
import { LOG_KIND, readBeginning } from "./identity.ts";
import type { LogPosition } from "./start_log.ts";
import type { WalRecovery } from "./wal_types.ts";

/** One segment of a standalone log. A record at offset `o` has the LSN `base + o`. */
export interface WalSegment {
  readonly segment: number;
  readonly base: number;
  /** Records end here; `undefined` while it takes some. */
  readonly end: number | undefined;
  readonly salt: number;
}

/** What {@linkcode recoverWal} found. */
export interface RecoveredWal extends LogPosition {
  readonly segments: WalSegment[];
  readonly report: WalRecovery;
}

/**
 * Brings the directory of a standalone log back to the longest prefix of what was appended. Complete
 * segments, cut to their length, are known by their last record and not read any further; the ones
 * after them are replayed. `isNew` says that no LSN was ever given.
 */
export function recoverWal(
  fs: Fs,
  directory: string,
  storeId: Uint8Array,
  isNew: boolean,
): RecoveredWal {
  const startedMs = performance.now();
  const files = fs.list(directory).map(parseFileName).filter((file) => file?.kind === "log");
  const numbers = files.map((file) => file!.segment).sort((a, b) => a - b);
  refuseGaps(directory, numbers);
  const segments: WalSegment[] = [];
  const open: number[] = [];
  let lastSequence = readBeginning(fs, directory, LOG_KIND).sequenceFloor;
  for (const segment of numbers) {
    const trimmed = readTrimmed(fs, directory, segment, storeId);
    if (trimmed === undefined) open.push(segment);
    else {
      segments.push(trimmed);
      lastSequence = Math.max(lastSequence, trimmed.lastSequence);
    }
  }
  const newestTrimmed = segments.at(-1)?.segment ?? 0;
  const found = new LogRecovery(fs, directory, {
    checkOwner: (header, segment, path) => checkOwner(header, segment, path, storeId),
    record: () => {},
    complete: (_image, segment, end, salt) => {
      trimLog(fs, directory, segment, end);
      const { baseSequence: base } = readHeader(fs, directory, segment, storeId)!;
      segments.push({ segment, base, end, salt });
    },
  }).run(open, newestTrimmed);
  const { active } = found;
  lastSequence = Math.max(lastSequence, found.lastSequence);
  if (active !== undefined) {
    const { segment, salt } = active;
    const { baseSequence: base } = readHeader(fs, directory, segment, storeId)!;
    segments.push({ segment, base, end: undefined, salt });
  }
  segments.sort((a, b) => a.segment - b.segment);
  const newest = segments.at(-1)?.segment ?? 0;
  const last = Math.max(
    lastSequence,
    active === undefined ? 0 : active.baseSequence + active.image.bytes.length,
  );
  const skipped = active === undefined && !isNew ? UNKNOWN_SEQUENCES : 0;
  return {
    active,
    segments,
    nextSegment: newest + 1,
    nextSequence: Math.ceil(last / 8) * 8 + skipped,
    report: {
      durationMs: performance.now() - startedMs,
      segments: numbers.length - open.length,
      replayedSegments: found.logs,
      tornBytes: found.tornBytes,
      cut: found.cut,
    },
  };
}

/** Reads a log's header, if it has one. */
export function readHeader(
  fs: Fs,
  directory: string,
  segment: number,
  storeId: Uint8Array,
): FileHeader | undefined {
  const path = joinPath(directory, logName(segment));
  using file = fs.open(path);
  const head = new Uint8Array(FILE_HEADER_BYTES);
  const verdict = readFileHeader(head, file.readAt(head, 0), path);
  if (!verdict.ok) return undefined;
  checkOwner(verdict.header, segment, path, storeId);
  return verdict.header;
}

/** A log whose file ends with a seal record; `undefined` for any other. */
function readTrimmed(
  fs: Fs,
  directory: string,
  segment: number,
  storeId: Uint8Array,
): WalSegment & { readonly lastSequence: number } | undefined {
  const header = readHeader(fs, directory, segment, storeId);
  if (header === undefined) return undefined;
  using file: File = fs.open(joinPath(directory, logName(segment)));
  const end = file.stat().size;
  const offset = end - RECORD_HEADER_BYTES;
  // A log of full length may have its seal at its very end, too, and not be durable.
  if (end >= header.capacityBytes || offset < FILE_HEADER_BYTES || end % 8 !== 0) return undefined;
  const image = new SegmentImage(new ArrayBuffer(RECORD_HEADER_BYTES));
  file.readAt(image.bytes, offset);
  const { salt, baseSequence: base } = header;
  const isSeal = recordLength(image, 0) === RECORD_HEADER_BYTES &&
    verifyRecord(image, 0, RECORD_HEADER_BYTES, salt) &&
    recordKind(image, 0) === RecordKind.seal;
  return isSeal ? { segment, base, end, salt, lastSequence: recordSequence(image, 0) } : undefined;
}

function checkOwner(
  header: FileHeader,
  segment: number,
  path: string,
  storeId: Uint8Array,
): void {
  const ours = header.storeId.every((byte, i) => byte === storeId[i]);
  if (ours && header.segment === segment) return;
  throw new FlagstoneError(
    "CORRUPT",
    `Cannot read ${path}: it is segment ${header.segment} of ${
      ours ? "this" : "another"
    } log. Was ` +
      `it renamed or copied here? Take it away and restore the right file.`,
    { path, offset: 0 },
  );
}

/** Segments are dropped at the front only, one after another. */
function refuseGaps(directory: string, numbers: readonly number[]): void {
  for (let i = 1; i < numbers.length; i++) {
    const missing = numbers[i - 1]! + 1;
    if (numbers[i] === missing) continue;
    const path = joinPath(directory, logName(missing));
    throw new FlagstoneError(
      "CORRUPT",
      `Cannot open the log in ${directory}: ${path} is missing, though there are older and newer ` +
        `segments. Restore it from a copy.`,
      { path },
    );
  }
}

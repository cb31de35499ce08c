import { FlagstoneError } from "../errors/mod.ts";
import type { HashIndex } from "../index/mod.ts";
import { sealSegment, SegmentReader } from "../segment/mod.ts";
import { type File, type Fs, joinPath, syncDirectory } from "../vfs/mod.ts";
import {
  FILE_HEADER_BYTES,
  type FileHeader,
  fillRecord,
  logName,
  type LogScan,
  parseFileName,
  publishRecord,
  readFileHeader,
  RECORD_HEADER_BYTES,
  recordFlags,
  recordKeyBytes,
  RecordKind,
  recordKind,
  recordSequence,
  scanLog,
  SEAL_SPACE_BYTES,
  SegmentImage,
  segmentName,
} from "../wal/mod.ts";
import type { Identity } from "./identity.ts";
import type { KeyBuffer } from "./keys.ts";
import type { SegmentSet } from "./segment_set.ts";
import type { RecoveryReport } from "./types.ts";

const NO_KEY = new Int32Array(0);

/** The log that goes on taking records. */
export interface RecoveredLog {
  readonly image: SegmentImage;
  readonly segment: number;
  readonly salt: number;
  /** Its records end here; the rest of the image, and of the file, is zeros. */
  readonly end: number;
  /** Added to an offset, gives a sequence number that was never given out. */
  readonly baseSequence: number;
  /** Its last record is the mark of a close. */
  readonly closed: boolean;
}

/** What the files of a store add up to. */
export interface Recovered {
  readonly active: RecoveredLog | undefined;
  readonly nextSegment: number;
  readonly nextSequence: number;
  readonly report: RecoveryReport;
}

/**
 * Brings a directory back to what was acknowledged. Segments are read by their footers, oldest
 * first; then the logs, of which only the newest may end torn: the log worker makes a segment
 * durable to its end before it creates the next one's file. Older logs are sealed; the newest, its
 * tail cut and made durable, goes on.
 */
export class Recovery {
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #identity: Identity;
  readonly #keys: KeyBuffer;
  readonly #index: HashIndex;
  readonly #segments: SegmentSet;
  #lastSequence = 0;
  #records = 0;
  #logs = 0;
  #tornBytes = 0;
  #cut: { path: string; offset: number } | undefined;

  /** Will fill `index` and `segments` from the files in `directory`. */
  constructor(
    fs: Fs,
    directory: string,
    identity: Identity,
    keys: KeyBuffer,
    index: HashIndex,
    segments: SegmentSet,
  ) {
    this.#fs = fs;
    this.#directory = directory;
    this.#identity = identity;
    this.#keys = keys;
    this.#index = index;
    this.#segments = segments;
  }

  /** Does it. Throws `CORRUPT` or `NEWER_FORMAT` with the place, and then has changed no byte of what it could not read. */
  run(): Recovered {
    const startedMs = performance.now();
    const names = this.#fs.list(this.#directory).map(parseFileName);
    const files = names.filter((file) => file !== undefined);
    const numbers = (kind: "log" | "seg") =>
      files.filter((file) => file.kind === kind).map((file) => file.segment).sort((a, b) => a - b);
    const sealed = numbers("seg");
    const logs = numbers("log");
    const newest = Math.max(0, ...sealed, ...logs);

    for (const segment of sealed) this.#loadSegment(segment);
    let active: RecoveredLog | undefined;
    for (const segment of logs) {
      if (sealed.includes(segment)) this.#removeLog(segment);
      else active = this.#loadLog(segment, segment < newest) ?? active;
    }
    // The names of the logs may not be durable yet: the last owner may have ended before it saw to that.
    if (logs.length > 0) syncDirectory(this.#fs, this.#directory);
    this.#index.dropTombstones();
    const next = active === undefined
      ? this.#lastSequence + UNKNOWN_SEQUENCES
      : active.baseSequence + active.image.bytes.length;
    return {
      active,
      nextSegment: newest + 1,
      nextSequence: nextAligned(next),
      report: {
        durationMs: performance.now() - startedMs,
        segments: sealed.length,
        logs: this.#logs,
        records: this.#records,
        tornBytes: this.#tornBytes,
        cut: this.#cut,
      },
    };
  }

  #loadSegment(segment: number): void {
    const path = joinPath(this.#directory, segmentName(segment));
    const reader = SegmentReader.open(this.#fs, path);
    const { fileBytes } = reader;
    try {
      this.#checkOwner(reader.header, segment, path);
      for (const block of reader.blocks) {
        for (const entry of reader.readBlock(block)) {
          this.#keys.load(entry.key, entry.flags);
          this.#apply(entry.kind, entry.sequence, segment, entry.offset, entry.length);
        }
      }
      this.#lastSequence = Math.max(this.#lastSequence, reader.summary.lastSequence);
    } finally {
      reader.close();
    }
    this.#segments.add(segment, fileBytes);
  }

  /** Replays a log. Returns it if it goes on taking records; a sealed one becomes a segment. */
  #loadLog(segment: number, hasSuccessor: boolean): RecoveredLog | undefined {
    const path = joinPath(this.#directory, logName(segment));
    const file = this.#fs.openReadWrite(path);
    try {
      const fileBytes = file.stat().size;
      const header = this.#readHeader(file, fileBytes, path, segment, hasSuccessor);
      if (header === undefined) {
        file.close();
        this.#removeLog(segment);
        return undefined;
      }
      const image = new SegmentImage(new SharedArrayBuffer(header.capacityBytes));
      file.readAt(image.bytes.subarray(0, Math.min(fileBytes, header.capacityBytes)), 0);
      const scan = scanLog(image, header, path, (offset, length) => {
        const keyStart = offset + RECORD_HEADER_BYTES;
        const key = image.bytes.subarray(keyStart, keyStart + recordKeyBytes(image, offset));
        this.#keys.load(key, recordFlags(image, offset));
        const sequence = recordSequence(image, offset);
        this.#apply(recordKind(image, offset), sequence, segment, offset, length);
      });
      if (hasSuccessor && !scan.sealed) throw endMissing(path, scan.end);
      this.#logs++;
      this.#records += scan.records;
      this.#lastSequence = Math.max(this.#lastSequence, scan.lastSequence);
      this.#writeAgain(file, image, scan);
      if (scan.sealed) {
        file.close();
        const { salt } = header;
        const sealed = sealSegment(this.#fs, this.#directory, segment, image, scan.end, salt);
        this.#segments.add(segment, sealed);
        return undefined;
      }
      const baseSequence = continuedBase(scan, header);
      const { salt } = header;
      this.#cutTail(file, fileBytes, image, scan, header);
      const end = scan.closed ? scan.end : leaveMark(file, image, scan.end, baseSequence, salt);
      file.sync();
      return { image, segment, salt, end, baseSequence, closed: scan.closed };
    } finally {
      file.close();
    }
  }

  /**
   * The log's header; `undefined` if the file was created but never begun, which a crash between
   * creation and first sync leaves behind: nothing in it can have been acknowledged.
   */
  #readHeader(
    file: File,
    fileBytes: number,
    path: string,
    segment: number,
    hasSuccessor: boolean,
  ): FileHeader | undefined {
    const head = new Uint8Array(FILE_HEADER_BYTES);
    const verdict = readFileHeader(head, file.readAt(head, 0), path);
    if (verdict.ok) {
      this.#checkOwner(verdict.header, segment, path);
      return verdict.header;
    }
    if (!hasSuccessor && !hasDataBeyondHeader(file, fileBytes)) return undefined;
    throw new FlagstoneError(
      "CORRUPT",
      `Cannot read ${path}: its header does not match its checksum, and records follow it. The ` +
        `file was damaged after it was written; restore it from a copy.`,
      { path, offset: 0 },
    );
  }

  /**
   * Writes what no record vouches for once more. If the last owner's sync failed, the system may
   * have dropped these pages from what it will write, while it still shows them to readers; and what
   * a killed process wrote may be in memory only. From now on all of it is relied on, so it has to
   * be written for a sync to mean anything.
   */
  #writeAgain(file: File, image: SegmentImage, scan: LogScan): void {
    if (scan.durableEnd >= scan.end || scan.closed) return;
    file.writeAt(image.bytes.subarray(scan.durableEnd, scan.end), scan.durableEnd);
  }

  /**
   * Leaves nothing behind the log's end but zeros. That is synced before a new record can follow:
   * bytes of a torn write must not come back once the log has grown over the cut.
   */
  #cutTail(
    file: File,
    fileBytes: number,
    image: SegmentImage,
    scan: LogScan,
    header: FileHeader,
  ): void {
    const excess = Math.max(0, fileBytes - header.capacityBytes);
    if (scan.tornBytes > 0 || fileBytes !== header.capacityBytes) {
      file.truncate(scan.end);
      file.truncate(header.capacityBytes);
      image.bytes.fill(0, scan.end);
    }
    if (scan.tornBytes + excess > 0) {
      this.#tornBytes += scan.tornBytes + excess;
      this.#cut = { path: file.path, offset: scan.end };
    }
  }

  #apply(kind: number, sequence: number, segment: number, offset: number, length: number): void {
    const { hash, flags } = this.#keys;
    if (kind === RecordKind.put) this.#index.put(hash, sequence, segment, offset, length, flags);
    else this.#index.putTombstone(hash, sequence);
  }

  #checkOwner(header: FileHeader, segment: number, path: string): void {
    const ours = header.storeId.every((byte, i) => byte === this.#identity.storeId[i]);
    if (ours && header.segment === segment) return;
    throw new FlagstoneError(
      "CORRUPT",
      `Cannot read ${path}: it is segment ${header.segment} of ${ours ? "this" : "another"} ` +
        `store. Was it renamed or copied here? Take it away and restore the right file.`,
      { path, offset: 0 },
    );
  }

  #removeLog(segment: number): void {
    this.#fs.remove(joinPath(this.#directory, logName(segment)));
    syncDirectory(this.#fs, this.#directory);
  }
}

/**
 * So many sequence numbers may have been given to writes that never reached the disk: as many as all
 * slabs have bytes, generously.
 */
const UNKNOWN_SEQUENCES = 2 ** 33;

/**
 * Base for the sequence numbers of a log that goes on. Unless it was closed, numbers beyond its end
 * may have been given to writes that are lost, and these are never given again.
 */
function continuedBase(scan: LogScan, header: FileHeader): number {
  const past = scan.lastSequence + RECORD_HEADER_BYTES - scan.end;
  const base = nextAligned(Math.max(header.baseSequence, past));
  return scan.closed ? base : base + UNKNOWN_SEQUENCES;
}

/**
 * Writes a mark at the end of a log that was not closed: what is before it is about to be durable,
 * and the numbers skipped are on record, so that the next recovery skips others. Returns the new end.
 */
function leaveMark(
  file: File,
  image: SegmentImage,
  end: number,
  baseSequence: number,
  salt: number,
): number {
  const next = end + RECORD_HEADER_BYTES;
  if (next + SEAL_SPACE_BYTES > image.bytes.length) return end;
  const { mark } = RecordKind;
  fillRecord(image, end, mark, baseSequence + end, end, NO_KEY, 0, undefined, salt);
  publishRecord(image, end, RECORD_HEADER_BYTES);
  // The mark vouches for the rest only once the rest is durable.
  file.sync();
  file.writeAt(image.bytes.subarray(end, next), end);
  return next;
}

function nextAligned(sequence: number): number {
  return Math.ceil(sequence / 8) * 8;
}

function hasDataBeyondHeader(file: File, fileBytes: number): boolean {
  const piece = new Uint8Array(64 * 1024);
  for (let offset = FILE_HEADER_BYTES; offset < fileBytes; offset += piece.length) {
    const got = file.readAt(piece, offset);
    if (piece.subarray(0, got).some((byte) => byte !== 0)) return true;
  }
  return false;
}

function endMissing(path: string, offset: number): FlagstoneError {
  return new FlagstoneError(
    "CORRUPT",
    `Cannot read ${path}: its records end at offset ${offset} without a seal, though a later ` +
      `segment says that it was complete. The file was damaged; restore it from a copy.`,
    { path, offset },
  );
}

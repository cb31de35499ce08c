import { FlagstoneError } from "../errors/mod.ts";
import { type File, type Fs, joinPath, syncDirectory } from "../vfs/mod.ts";
import { type FileHeader, readFileHeader } from "./file_header.ts";
import { logName } from "./file_names.ts";
import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES, RecordKind, SEAL_SPACE_BYTES } from "./format.ts";
import type { SegmentImage } from "./image.ts";
import { finishLog, type LoadedLog, loadLog, type LogBeginning } from "./load_log.ts";
import { fillRecord, publishRecord } from "./record.ts";
import { type LogScan, scanLog } from "./scan.ts";

const NO_KEY = new Int32Array(0);

/**
 * So many sequence numbers may have been given to writes that never reached the disk: as many as the
 * slabs that are no segments yet may have bytes (`checkSlabs`, `SlabPool`).
 */
export const UNKNOWN_SEQUENCES = 2 ** 33;

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

/** Who wants to know what the logs hold. */
export interface LogVisitor {
  /** Throws unless a file with this header belongs here. */
  checkOwner(header: FileHeader, segment: number, path: string): void;
  /** A put or delete that counts; of one log, in the order of writing. */
  record(image: SegmentImage, segment: number, offset: number, length: number): void;
  /** A log that is complete; its file is closed. */
  complete(image: SegmentImage, segment: number, end: number, salt: number): void;
}

/** What the logs add up to. */
export interface LogRecoveryResult {
  readonly active: RecoveredLog | undefined;
  /** Highest sequence number seen. */
  readonly lastSequence: number;
  /** Logs replayed. */
  readonly logs: number;
  /** Records in them, marks and seals included. */
  readonly records: number;
  /** Bytes cut off because the end of the log was torn. */
  readonly tornBytes: number;
  /** Where that was. */
  readonly cut: { readonly path: string; readonly offset: number } | undefined;
}

interface OpenedLog extends LoadedLog {
  readonly file: File;
  readonly path: string;
  readonly segment: number;
  readonly fileBytes: number;
  readonly header: FileHeader;
  readonly begun: LogBeginning | undefined;
}

/**
 * Brings the logs of a directory back to the longest prefix of what was written. Logs are read
 * oldest first. The first one without an end is the last that counts: its torn tail is cut, what is
 * newer goes, all of that durably, and it takes the records to come. But if anything newer says that
 * the missing part was once durable, that is corruption: a record that carries a synced mark (a log
 * has one only once all older ones are durable), or a sealed segment.
 */
export class LogRecovery {
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #visitor: LogVisitor;
  #lastSequence = 0;
  #logs = 0;
  #records = 0;
  #tornBytes = 0;
  #cut: { path: string; offset: number } | undefined;
  #begun: LogBeginning | undefined;

  /** Will read logs in `directory` and tell `visitor`. */
  constructor(fs: Fs, directory: string, visitor: LogVisitor) {
    this.#fs = fs;
    this.#directory = directory;
    this.#visitor = visitor;
  }

  /**
   * Does it, for logs with the numbers `segments`, ascending; `newestSealed` is the highest number
   * of a sealed segment, or 0; `begun` is what of the first of them was looked at before. Throws `CORRUPT`
   * or `NEWER_FORMAT` with the place, and then has changed no byte of what it could not read.
   */
  run(
    segments: readonly number[],
    newestSealed: number,
    begun?: LogBeginning,
  ): LogRecoveryResult {
    this.#begun = begun;
    let active: RecoveredLog | undefined;
    let ended = false;
    for (let i = 0; i < segments.length && !ended; i++) {
      const segment = segments[i]!;
      const log = this.#open(segment);
      try {
        const scan = log === undefined ? undefined : this.#scan(log, true);
        ended = scan === undefined || !scan.sealed;
        if (ended) {
          const path = joinPath(this.#directory, logName(segment));
          const end = scan?.end ?? 0;
          if (newestSealed > segment) throw endMissing(path, end);
          this.#drop(segments.slice(i + 1), path, end);
        }
        if (log === undefined || scan === undefined) this.#remove([segment]);
        else if (ended) active = this.#continue(log, scan);
        else this.#complete(log, scan);
      } finally {
        log?.file.close();
      }
    }
    // Names of logs may not be durable yet: the last owner may have ended before it saw to that.
    if (segments.length > 0) syncDirectory(this.#fs, this.#directory);
    return {
      active,
      lastSequence: this.#lastSequence,
      logs: this.#logs,
      records: this.#records,
      tornBytes: this.#tornBytes,
      cut: this.#cut,
    };
  }

  /**
   * Opens a log and reads it whole; `undefined` if it was created but never begun, which a crash
   * between creation and first sync leaves behind: no record can have been written.
   */
  #open(segment: number): OpenedLog | undefined {
    const path = joinPath(this.#directory, logName(segment));
    const file = this.#fs.openReadWrite(path);
    try {
      const fileBytes = file.stat().size;
      const head = new Uint8Array(FILE_HEADER_BYTES);
      const verdict = readFileHeader(head, file.readAt(head, 0), path);
      if (!verdict.ok) {
        if (hasDataBeyondHeader(file, fileBytes)) throw headerDamaged(path);
        file.close();
        return undefined;
      }
      const { header } = verdict;
      this.#visitor.checkOwner(header, segment, path);
      const begun = this.#begun?.segment === segment ? this.#begun : undefined;
      const loaded = loadLog(file, fileBytes, header.capacityBytes, begun);
      return { file, path, segment, fileBytes, header, begun, ...loaded };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #scan(log: OpenedLog, counts: boolean): LogScan {
    const { image, dataEnd, header, path, segment, begun } = log;
    const visit = (offset: number, length: number) => {
      if (counts) this.#visitor.record(image, segment, offset, length);
    };
    const scan = begun === undefined
      ? scanLog(image, header, path, visit, dataEnd)
      : finishLog(begun, dataEnd);
    this.#lastSequence = Math.max(this.#lastSequence, scan.lastSequence);
    if (counts) {
      this.#logs++;
      this.#records += scan.records;
    }
    return scan;
  }

  /** Removes logs that are newer than one without an end, unless one of them says that it had an end. */
  #drop(segments: readonly number[], path: string, end: number): void {
    for (const segment of segments) {
      const log = this.#open(segment);
      if (log === undefined) continue;
      try {
        const scan = this.#scan(log, false);
        if (scan.durableEnd > 0 || (end === 0 && scan.records > 0)) throw endMissing(path, end);
        const lost = scan.end - FILE_HEADER_BYTES + scan.tornBytes;
        if (lost > 0) this.#lost(lost, path, end);
      } finally {
        log.file.close();
      }
    }
    this.#remove(segments);
  }

  #lost(bytes: number, path: string, offset: number): void {
    this.#tornBytes += bytes;
    this.#cut ??= { path, offset };
  }

  /** The newest first: whatever a crash leaves of them, there is no gap. Durable before anything relies on it. */
  #remove(segments: readonly number[]): void {
    for (const segment of segments.toReversed()) {
      this.#fs.remove(joinPath(this.#directory, logName(segment)));
    }
    if (segments.length > 0) syncDirectory(this.#fs, this.#directory);
  }

  #complete(log: OpenedLog, scan: LogScan): void {
    this.#writeAgain(log, scan);
    log.file.close();
    this.#visitor.complete(log.image, log.segment, scan.end, log.header.salt);
  }

  #continue(log: OpenedLog, scan: LogScan): RecoveredLog | undefined {
    const { file, image, header, segment } = log;
    const { salt } = header;
    this.#writeAgain(log, scan);
    this.#cutTail(log, scan);
    // A newer log, of which nothing was left, has numbers beyond it: they are skipped, so a mark must say so.
    const closed = scan.closed && this.#lastSequence <= scan.lastSequence;
    const baseSequence = continuedBase({ ...scan, closed }, header, this.#lastSequence);
    const room = image.bytes.length - SEAL_SPACE_BYTES - scan.end;
    if (!closed && room < RECORD_HEADER_BYTES) {
      // No room for a mark: the seal says which numbers are skipped, and the log is complete.
      const sealed = leaveRecord(file, image, RecordKind.seal, scan.end, baseSequence, salt);
      file.sync();
      file.close();
      this.#lastSequence = Math.max(this.#lastSequence, baseSequence + scan.end);
      this.#visitor.complete(image, segment, sealed, salt);
      return undefined;
    }
    const { mark } = RecordKind;
    const end = closed ? scan.end : leaveRecord(file, image, mark, scan.end, baseSequence, salt);
    file.sync();
    return { image, segment, salt, end, baseSequence, closed };
  }

  /**
   * Writes what no record vouches for once more. If the last owner's sync failed, the system may
   * have dropped these pages from what it will write, while it still shows them to readers; and what
   * a killed process wrote may be in memory only. From now on all of it is relied on, so it has to
   * be written for a sync to mean anything.
   */
  #writeAgain({ file, image }: OpenedLog, scan: LogScan): void {
    if (scan.durableEnd >= scan.end || scan.closed) return;
    file.writeAt(image.bytes.subarray(scan.durableEnd, scan.end), scan.durableEnd);
  }

  /**
   * Leaves nothing behind the log's end but zeros. That is synced before a new record can follow:
   * bytes of a torn write must not come back once the log has grown over the cut.
   */
  #cutTail({ file, fileBytes, image, header, path }: OpenedLog, scan: LogScan): void {
    const excess = Math.max(0, fileBytes - header.capacityBytes);
    if (scan.tornBytes > 0 || fileBytes !== header.capacityBytes) {
      file.truncate(scan.end);
      file.truncate(header.capacityBytes);
      image.bytes.fill(0, scan.end);
    }
    if (scan.tornBytes + excess > 0) this.#lost(scan.tornBytes + excess, path, scan.end);
  }
}

/**
 * Base for the sequence numbers of a log that goes on. Unless it was closed, numbers beyond its end
 * may have been given to writes that are lost, and these are never given again.
 */
function continuedBase(scan: LogScan, header: FileHeader, lastSequence: number): number {
  const past = Math.max(scan.lastSequence, lastSequence) + RECORD_HEADER_BYTES - scan.end;
  const base = Math.ceil(Math.max(header.baseSequence, past) / 8) * 8;
  return scan.closed ? base : base + UNKNOWN_SEQUENCES;
}

/**
 * Writes a mark, or the seal, at the end of a log that was not closed: what is before it is about to be
 * durable, and the numbers skipped are on record, so that the next recovery skips others. Returns the
 * new end.
 */
function leaveRecord(
  file: File,
  image: SegmentImage,
  kind: number,
  end: number,
  baseSequence: number,
  salt: number,
): number {
  const next = end + RECORD_HEADER_BYTES;
  fillRecord(image, end, kind, baseSequence + end, end, NO_KEY, 0, undefined, salt);
  publishRecord(image, end, RECORD_HEADER_BYTES);
  // The mark vouches for the rest only once the rest is durable.
  file.sync();
  file.writeAt(image.bytes.subarray(end, next), end);
  return next;
}

function hasDataBeyondHeader(file: File, fileBytes: number): boolean {
  const piece = new Uint8Array(64 * 1024);
  for (let offset = FILE_HEADER_BYTES; offset < fileBytes; offset += piece.length) {
    const got = file.readAt(piece, offset);
    if (piece.subarray(0, got).some((byte) => byte !== 0)) return true;
  }
  return false;
}

function headerDamaged(path: string): FlagstoneError {
  return new FlagstoneError(
    "CORRUPT",
    `Cannot read ${path}: its header does not match its checksum, and records follow it. The ` +
      `file was damaged after it was written; restore it from a copy.`,
    { path, offset: 0 },
  );
}

function endMissing(path: string, offset: number): FlagstoneError {
  return new FlagstoneError(
    "CORRUPT",
    `Cannot read ${path}: its records end at offset ${offset} without a seal, though a later ` +
      `segment says that it was complete. The file was damaged; restore it from a copy.`,
    { path, offset },
  );
}

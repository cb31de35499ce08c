import {
  durableRemove,
  durableRename,
  exists,
  type File,
  type Fs,
  joinPath,
  temporarySuffix,
} from "../vfs/mod.ts";
import { readFully, readLogStoreHeader, withFile } from "./_log_store_files.ts";
import {
  corruptLog,
  encodeLogStoreHeader,
  LOG_STORE_HEADER_BYTES,
  LogStoreFileKind,
  sameLogId,
} from "./_log_store_header.ts";

const NAME_DIGITS = 16;
const NAME = /^(\d{16})\.wal$/;

/** The name of the segment that begins at a position. */
export function logSegmentName(first: number): string {
  return `${String(first).padStart(NAME_DIGITS, "0")}.wal`;
}

/** Where the segment of a name begins; undefined for names of other things. */
export function parseLogSegmentName(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Which positions a segment is for. */
export interface LogSegmentRange {
  /** The position of its first byte. */
  readonly first: number;
  /** How many positions. */
  readonly extent: number;
}

/**
 * One file of a segmented log: header, then the bytes of its range. Every file but the last has its
 * full length, durably, before the next one gets its name; the last may be shorter.
 */
export class LogSegment {
  readonly path: string;
  readonly first: number;
  /** The position behind its range. */
  readonly end: number;
  /** How long the file is, as a position. */
  allocated: number;
  /** Written since its last sync. */
  dirty = false;
  readonly #fs: Fs;
  #file: File | undefined;

  constructor(fs: Fs, path: string, range: LogSegmentRange, allocated: number) {
    this.#fs = fs;
    this.path = path;
    this.first = range.first;
    this.end = range.first + range.extent;
    this.allocated = allocated;
  }

  /** Makes a new one, at full length. File, header, length and name are durable when this returns. */
  static create(fs: Fs, dir: string, range: LogSegmentRange, id: Uint8Array): LogSegment {
    const path = joinPath(dir, logSegmentName(range.first));
    const temporary = path + temporarySuffix;
    // Under a name of its own first: a file with the real name is never half made.
    withFile(fs.create(temporary), (file) => {
      file.truncate(LOG_STORE_HEADER_BYTES + range.extent);
      const header = {
        kind: LogStoreFileKind.segment,
        position: range.first,
        extent: range.extent,
      };
      file.writeAt(encodeLogStoreHeader({ ...header, id }), 0);
      file.sync();
    });
    durableRename(fs, temporary, path, { syncContent: false });
    return new LogSegment(fs, path, range, range.first + range.extent);
  }

  /** Opens one that is there, checks it, and makes durable what it holds; `last`: it may be short. */
  static open(fs: Fs, dir: string, first: number, id: Uint8Array, last: boolean): LogSegment {
    const path = joinPath(dir, logSegmentName(first));
    return withFile(fs.openReadWrite(path), (file) => {
      const header = readLogStoreHeader(file, LogStoreFileKind.segment, true);
      if (!sameLogId(header.id, id)) throw corruptLog(path, 40, "it belongs to another log");
      if (header.position !== first || header.extent === 0) {
        throw corruptLog(path, 24, `its header is about position ${header.position}`);
      }
      const { size } = file.stat();
      const full = LOG_STORE_HEADER_BYTES + header.extent;
      if (size > full || (size < full && !last)) {
        throw corruptLog(path, size, `it has ${size} bytes, its header says ${full}`);
      }
      // What another process wrote or cut and did not sync looks as if it were durable: now it is.
      file.sync();
      const range = { first, extent: header.extent };
      return new LogSegment(fs, path, range, first + size - LOG_STORE_HEADER_BYTES);
    });
  }

  /** Fills `into` from `position` on. */
  read(into: Uint8Array, position: number): void {
    readFully(this.#opened(), into, this.#offset(position));
  }

  /** Writes `parts` from `position` on; they end within the range. */
  write(parts: readonly Uint8Array[], position: number): void {
    this.dirty = true;
    this.#opened().writeVectorAt(parts, this.#offset(position));
  }

  /** Gives the file its full length, durably. */
  extend(): void {
    if (this.allocated === this.end) return;
    this.#cut(this.end);
    this.#opened().sync();
    this.dirty = false;
  }

  /** Cuts the file, durably. */
  truncate(position: number): void {
    this.#cut(position);
    this.#opened().sync();
    this.dirty = false;
  }

  /** Cuts what no write has reached; not durable, for either length is right. */
  trim(position: number): void {
    if (this.allocated > position) this.#cut(position);
  }

  /** Makes durable what was written. */
  sync(): void {
    this.#opened().syncData();
    this.dirty = false;
  }

  /** Removes the file, durably. */
  remove(): void {
    // Windows removes no open file.
    this.close();
    durableRemove(this.#fs, this.path);
  }

  /** Closes the handle; it is opened again when it is needed. */
  close(): void {
    const file = this.#file;
    this.#file = undefined;
    file?.close();
  }

  #cut(position: number): void {
    this.#opened().truncate(this.#offset(position));
    this.allocated = position;
  }

  #opened(): File {
    if (this.#file !== undefined) return this.#file;
    // Asked first: opening for writing would create what is missing.
    if (!exists(this.#fs, this.path)) throw corruptLog(this.path, undefined, "it is missing");
    return this.#file = this.#fs.openReadWrite(this.path);
  }

  #offset(position: number): number {
    return LOG_STORE_HEADER_BYTES + position - this.first;
  }
}

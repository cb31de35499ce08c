import {
  atomicWrite,
  DenoFs,
  dirName,
  durableMkdirAll,
  exists,
  type File,
  fixedPath,
  type Fs,
  type Lock,
  syncDirectory,
  temporarySuffix,
} from "../vfs/mod.ts";
import {
  checkBytes,
  checkInteger,
  checkPathArgument,
  checkPosition,
  checkTruncate,
  checkTruncateBefore,
  checkWrite,
} from "./_log_store_arguments.ts";
import {
  closeQuietly,
  lockLog,
  readFully,
  readLogStoreHeader,
  withFile,
} from "./_log_store_files.ts";
import {
  encodeLogStoreHeader,
  LOG_STORE_HEADER_BYTES,
  LogStoreFileKind,
  newLogId,
} from "./_log_store_header.ts";
import { doAll, LogStoreState } from "./_log_store_state.ts";
import { type LogStore, MAX_LOG_LENGTH } from "./log_store.ts";

/** How a {@linkcode FileLogStore} is opened; all of it may be left out. */
export interface FileLogStoreOptions {
  /** The file system. Default: a new `DenoFs`. */
  readonly fs?: Fs;
  /**
   * The file is made longer in steps of this many bytes, ahead of the writes, for a sync is cheaper
   * when the length has not changed. 0: never ahead. Default 1 MiB.
   */
  readonly preallocateBytes?: number;
}

const DEFAULT_PREALLOCATE_BYTES = 1024 * 1024;
const COPY_BYTES = 1024 * 1024;

/**
 * A {@linkcode LogStore} in one file: 64 bytes of header, then the log. Beside it lies `path` +
 * `.lock`, an empty file that stays.
 *
 * - `length`, after a crash, may be up to `preallocateBytes` more than what was written.
 * - `truncateBefore` copies what is kept into a new file and renames it over the old one. It does so
 *   once that is no more than what goes, so that each byte is copied for one that was dropped; until
 *   then the head stays. Dropping everything copies nothing.
 */
export class FileLogStore implements LogStore {
  /** The path that it was opened by, made absolute. */
  readonly path: string;
  readonly #fs: Fs;
  readonly #state: LogStoreState;
  readonly #lock: Lock;
  readonly #preallocateBytes: number;
  readonly #id: Uint8Array;
  /** Undefined only while it is replaced, and after that if it could not be opened: the next read tries again. */
  #file: File | undefined;
  #head: number;
  #length: number;
  /** How long the file is, as a position. */
  #allocated: number;

  private constructor(path: string, fs: Fs, lock: Lock, preallocateBytes: number) {
    this.path = path;
    this.#fs = fs;
    this.#state = new LogStoreState(path);
    this.#lock = lock;
    this.#preallocateBytes = preallocateBytes;
    const file = fs.openReadWrite(path);
    try {
      const header = readLogStoreHeader(file, LogStoreFileKind.file, false);
      const { size } = file.stat();
      // What another process wrote or cut and did not sync looks as if it were durable: now it is.
      file.sync();
      this.#file = file;
      this.#id = header.id;
      this.#head = header.position;
      this.#length = this.#allocated = header.position + size - LOG_STORE_HEADER_BYTES;
    } catch (error) {
      closeQuietly(file);
      throw error;
    }
  }

  /**
   * Opens the log at `path`; creates it, and the directories above it, if it is missing. Its name is
   * durable when this returns, and so is what was found in the file.
   *
   * Throws `ArgumentError` for a wrong argument, `LOCKED` if somebody else has it open, `NOT_A_STORE`
   * for a file that is no log (an empty one too), `CORRUPT` if its header is damaged, `NEWER_FORMAT`
   * for a later version of the format, and what the file system throws. A file that is refused is
   * not changed.
   */
  static open(at: string, options: FileLogStoreOptions = {}): FileLogStore {
    const { fs = new DenoFs(), preallocateBytes = DEFAULT_PREALLOCATE_BYTES } = options;
    checkPathArgument("path", at);
    const path = fixedPath(fs, at);
    checkInteger("options.preallocateBytes", preallocateBytes, 0, MAX_LOG_LENGTH);
    const dir = dirName(path);
    durableMkdirAll(fs, dir);
    const lock = lockLog(fs, `${path}.lock`, path);
    try {
      fs.removeAll(path + temporarySuffix);
      if (exists(fs, path)) syncDirectory(fs, dir);
      else atomicWrite(fs, path, headerAt(0, newLogId()));
      return new FileLogStore(path, fs, lock, preallocateBytes);
    } catch (error) {
      closeQuietly(lock);
      throw error;
    }
  }

  /** See {@linkcode LogStore.head}. */
  get head(): number {
    return this.#head;
  }

  /** See {@linkcode LogStore.length}. */
  get length(): number {
    return this.#length;
  }

  /** See {@linkcode LogStore.writeAt}. */
  writeAt(bytes: Uint8Array, position: number): void {
    checkBytes("bytes", bytes);
    this.writeVectorAt([bytes], position);
  }

  /** See {@linkcode LogStore.writeVectorAt}. */
  writeVectorAt(parts: readonly Uint8Array[], position: number): void {
    this.#state.checkWritable("writeAt");
    const count = checkWrite(parts, position, this.#head);
    if (count === 0) return;
    const end = position + count;
    this.#state.change("writeAt", () => {
      const file = this.#opened();
      if (this.#preallocateBytes > 0 && end > this.#allocated) {
        const step = this.#preallocateBytes;
        const allocated = Math.min(MAX_LOG_LENGTH, this.#head + roundUp(end - this.#head, step));
        file.truncate(this.#offset(allocated));
        this.#allocated = allocated;
      }
      file.writeVectorAt(parts, this.#offset(position));
      this.#length = Math.max(this.#length, end);
      this.#allocated = Math.max(this.#allocated, end);
    });
  }

  /** See {@linkcode LogStore.readAt}. */
  readAt(into: Uint8Array, position: number): number {
    this.#state.checkOpen("readAt");
    checkBytes("into", into);
    const file = this.#opened();
    checkPosition(position, this.#head);
    const count = Math.min(into.length, Math.max(0, this.#length - position));
    if (count > 0) readFully(file, into.subarray(0, count), this.#offset(position));
    return count;
  }

  /** See {@linkcode LogStore.truncate}. */
  truncate(length: number): void {
    this.#state.checkWritable("truncate");
    checkTruncate(length, this.#head, this.#length);
    this.#state.change("truncate", () => {
      const file = this.#opened();
      this.#length = length;
      file.truncate(this.#offset(length));
      this.#allocated = length;
      // Else the disk may keep old bytes behind new ones, and a log take them for its own.
      file.sync();
    });
  }

  /** See {@linkcode LogStore.sync}. */
  sync(): void {
    this.#state.change("sync", () => this.#opened().syncData());
  }

  /** See {@linkcode LogStore.truncateBefore}. */
  truncateBefore(position: number): number {
    this.#state.checkWritable("truncateBefore");
    checkTruncateBefore(position, this.#length);
    const [dropped, kept] = [position - this.#head, this.#length - position];
    if (dropped <= 0 || dropped < kept) return this.#head;
    const temporary = this.path + temporarySuffix;
    try {
      this.#copyFrom(position, temporary);
    } catch (error) {
      try {
        this.#fs.removeAll(temporary);
      } catch {
        // The next open removes it; what went wrong first is what the caller must hear.
      }
      throw error;
    }
    this.#state.change("truncateBefore", () => this.#replace(temporary, position));
    return position;
  }

  /** See {@linkcode LogStore.close}. Cuts what was preallocated, unless a write or sync has failed. */
  close(): void {
    if (!this.#state.close()) return;
    const file = this.#file;
    doAll(
      () => {
        if (this.#state.failed || this.#allocated === this.#length) return;
        file?.truncate(this.#offset(this.#length));
      },
      () => file?.close(),
      () => this.#lock.close(),
    );
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Makes the file that shall take the place of this one, durable but for its name. */
  #copyFrom(position: number, temporary: string): void {
    const source = this.#opened();
    withFile(this.#fs.create(temporary), (copy) => {
      copy.writeAt(headerAt(position, this.#id), 0);
      const buffer = new Uint8Array(Math.min(COPY_BYTES, this.#length - position));
      for (let at = position; at < this.#length; at += buffer.length) {
        const chunk = buffer.subarray(0, Math.min(buffer.length, this.#length - at));
        readFully(source, chunk, this.#offset(at));
        copy.writeAt(chunk, LOG_STORE_HEADER_BYTES + at - position);
      }
      copy.sync();
    });
  }

  #replace(temporary: string, position: number): void {
    // Windows replaces no open file.
    const old = this.#opened();
    this.#file = undefined;
    try {
      old.close();
      this.#fs.rename(temporary, this.path);
      this.#head = position;
      syncDirectory(this.#fs, dirName(this.path));
    } finally {
      this.#opened();
    }
    this.#allocated = this.#length;
  }

  /** The file; after it was replaced, what has the name now: the new one, or the old one if the rename failed. */
  #opened(): File {
    if (this.#file !== undefined) return this.#file;
    const file = this.#fs.openReadWrite(this.path);
    try {
      // Asked, for a rename that threw may have happened.
      this.#head = readLogStoreHeader(file, LogStoreFileKind.file, true).position;
      return this.#file = file;
    } catch (error) {
      closeQuietly(file);
      throw error;
    }
  }

  /** Where a position is in the file. */
  #offset(position: number): number {
    return LOG_STORE_HEADER_BYTES + position - this.#head;
  }
}

function headerAt(position: number, id: Uint8Array): Uint8Array {
  return encodeLogStoreHeader({ kind: LogStoreFileKind.file, position, extent: 0, id });
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

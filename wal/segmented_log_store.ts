import { ArgumentError } from "../errors/mod.ts";
import {
  DenoFs,
  durableMkdirAll,
  fixedPath,
  type Fs,
  joinPath,
  type Lock,
  syncDirectory,
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
import { closeQuietly, lockLog } from "./_log_store_files.ts";
import { openHead, removeOwnTemporaries, writeHead } from "./_log_store_head.ts";
import { corruptLog } from "./_log_store_header.ts";
import { PartsReader } from "./_log_store_parts.ts";
import { LogSegment, logSegmentName, parseLogSegmentName } from "./_log_store_segment.ts";
import { LogSegments, openLogSegments } from "./_log_store_segments.ts";
import { doAll, LogStoreState } from "./_log_store_state.ts";
import { type LogStore, MAX_LOG_LENGTH } from "./log_store.ts";

/** How a {@linkcode SegmentedLogStore} is opened; all of it may be left out. */
export interface SegmentedLogStoreOptions {
  /** The file system. Default: a new `DenoFs`. */
  readonly fs?: Fs;
  /**
   * How many bytes of the log a new file is for; those that are there keep their own. A file has
   * its full length from its beginning (sparse, where the disk can), and costs three syncs to make.
   * From 1 up; default 64 MiB.
   */
  readonly segmentBytes?: number;
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const LOCK_NAME = "LOCK";
/** Handles that are kept open, besides those with unsynced bytes. */
const OPEN_SEGMENTS = 8;
/** A write this many files beyond the end is a mistake in a position, not a gap. */
const MAX_GAP_SEGMENTS = 4096;

/**
 * A {@linkcode LogStore} in a directory of files, each for a range of positions: what is dropped
 * gives its space back, file by file. The directory is the store's own; it also holds `HEAD`, where
 * the log begins, and an empty `LOCK`.
 *
 * - `truncateBefore` drops to the byte; it costs two syncs, whether or not a file can go.
 * - `length`, after a crash, may be up to the end of the last file.
 * - A file that is missing or too short, at the beginning or between others, is `CORRUPT` when the
 *   log is opened, and the error names it. That the last files are missing cannot be told from a
 *   log that ended there.
 * - Opening reads the header of every file, and syncs it.
 */
export class SegmentedLogStore implements LogStore {
  /** The directory that it was opened by, made absolute. */
  readonly path: string;
  readonly #fs: Fs;
  readonly #state: LogStoreState;
  readonly #lock: Lock;
  readonly #segmentBytes: number;
  readonly #id: Uint8Array;
  readonly #segments: LogSegments;
  #head: number;
  #length: number;

  private constructor(path: string, fs: Fs, lock: Lock, segmentBytes: number) {
    this.path = path;
    this.#fs = fs;
    this.#state = new LogStoreState(path);
    this.#lock = lock;
    this.#segmentBytes = segmentBytes;
    removeOwnTemporaries(fs, path);
    // Names that another process made and did not sync: now they are durable.
    syncDirectory(fs, path);
    const found = fs.list(path).map(parseLogSegmentName).filter((first) => first !== undefined);
    const { head, firstSegment, id } = openHead(fs, path, found.length > 0);
    const kept = found.filter((first) => first >= firstSegment);
    const segments = openLogSegments(fs, path, kept, firstSegment, id);
    this.#segments = new LogSegments(segments, OPEN_SEGMENTS);
    this.#id = id;
    this.#head = head;
    const { last } = this.#segments;
    this.#length = last?.allocated ?? head;
    if (this.#length < this.#head) {
      throw corruptLog(last?.path ?? path, undefined, `it ends before the head, ${this.#head}`);
    }
    // What a truncateBefore that a crash interrupted left. Only now: nothing is removed of a log
    // that is refused.
    for (const first of found) {
      if (first < firstSegment) fs.remove(joinPath(path, logSegmentName(first)));
    }
  }

  /**
   * Opens the log in the directory `path`; creates it, and the directories above it, if it is
   * missing. Its names are durable when this returns, and so is what was found in the files.
   *
   * Throws `ArgumentError` for a wrong argument, `LOCKED` if somebody else has it open, `CORRUPT` if
   * a file is damaged, short, missing, or of another log, `NOT_A_STORE` where `HEAD` is the file of
   * something else, `NEWER_FORMAT` for a later version of the format, and what the file system
   * throws. No file of a log that is refused is changed.
   */
  static open(at: string, options: SegmentedLogStoreOptions = {}): SegmentedLogStore {
    const { fs = new DenoFs(), segmentBytes = DEFAULT_SEGMENT_BYTES } = options;
    checkPathArgument("path", at);
    const path = fixedPath(fs, at);
    checkInteger("options.segmentBytes", segmentBytes, 1, MAX_LOG_LENGTH);
    durableMkdirAll(fs, path);
    const lock = lockLog(fs, joinPath(path, LOCK_NAME), path);
    try {
      return new SegmentedLogStore(path, fs, lock, segmentBytes);
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

  /**
   * See {@linkcode LogStore.writeVectorAt}. A gap of more than 4096 files is an `ArgumentError` too:
   * a file that is missing would be taken for damage, so each is made.
   */
  writeVectorAt(parts: readonly Uint8Array[], position: number): void {
    this.#state.checkWritable("writeAt");
    const count = checkWrite(parts, position, this.#head);
    if (count === 0) return;
    this.#checkGap(position);
    this.#state.change("writeAt", () => {
      this.#makeRoom(position + count);
      const rest = new PartsReader(parts);
      for (const [segment, from, end] of this.#segments.pieces(position, position + count)) {
        segment.write(rest.take(end - from), from);
      }
      this.#length = Math.max(this.#length, position + count);
    });
  }

  /** See {@linkcode LogStore.readAt}. */
  readAt(into: Uint8Array, position: number): number {
    this.#state.checkOpen("readAt");
    checkBytes("into", into);
    checkPosition(position, this.#head);
    const end = Math.min(position + into.length, this.#length);
    for (const [segment, from, stop] of this.#segments.pieces(position, end)) {
      segment.read(into.subarray(from - position, stop - position), from);
    }
    return Math.max(0, end - position);
  }

  /** See {@linkcode LogStore.truncate}. Each file that goes costs a sync. */
  truncate(length: number): void {
    this.#state.checkWritable("truncate");
    checkTruncate(length, this.#head, this.#length);
    this.#state.change("truncate", () => {
      this.#length = length;
      // From the end, each durably: whatever a crash leaves has no hole.
      for (let last = this.#segments.last; last !== undefined; last = this.#segments.last) {
        if (last.first < length) {
          this.#segments.use(last);
          return last.truncate(length);
        }
        this.#segments.pop();
        last.remove();
      }
    });
  }

  /** See {@linkcode LogStore.sync}. */
  sync(): void {
    this.#state.change("sync", () => {
      for (const segment of this.#segments.dirty) segment.sync();
    });
  }

  /** See {@linkcode LogStore.truncateBefore}. */
  truncateBefore(position: number): number {
    this.#state.checkWritable("truncateBefore");
    checkTruncateBefore(position, this.#length);
    if (position <= this.#head) return this.#head;
    this.#recordHead(position);
    this.#state.change("truncateBefore", () => {
      let removed = false;
      for (let { first } = this.#segments; first !== undefined; first = this.#segments.first) {
        if (first.end > position) break;
        this.#segments.shift();
        first.close();
        this.#fs.remove(first.path);
        removed = true;
      }
      if (removed) syncDirectory(this.#fs, this.path);
    });
    return this.#head;
  }

  /** See {@linkcode LogStore.close}. Cuts what was preallocated, unless a write or sync has failed. */
  close(): void {
    if (!this.#state.close()) return;
    doAll(
      () => {
        const { last } = this.#segments;
        if (last === undefined || this.#state.failed) return;
        this.#segments.use(last);
        last.trim(Math.max(last.first, this.#length));
      },
      () => doAll(...this.#segments.closings()),
      () => this.#lock.close(),
    );
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Makes the head durable. What fails before the old record was touched is no failure of the log. */
  #recordHead(head: number): void {
    const firstSegment = this.#segments.holding(head)?.first ?? head;
    let refused: { readonly error: unknown } | undefined;
    this.#state.change("truncateBefore", () => {
      refused = writeHead(this.#fs, this.path, { head, firstSegment, id: this.#id });
    });
    if (refused !== undefined) throw refused.error;
    this.#head = head;
  }

  #checkGap(position: number): void {
    const end = this.#segments.last?.end ?? this.#head;
    if (position - end <= MAX_GAP_SEGMENTS * this.#segmentBytes) return;
    throw new ArgumentError(
      "position",
      `Cannot write at ${position}: the log ends at ${this.#length}, and the gap would take more ` +
        `than ${MAX_GAP_SEGMENTS} files of ${this.#segmentBytes} bytes.`,
    );
  }

  /** Sees to it that files are there for all positions up to `end`. */
  #makeRoom(end: number): void {
    const { last } = this.#segments;
    if (last !== undefined && end > last.allocated) {
      this.#segments.use(last);
      last.extend();
    }
    let first = last?.end ?? this.#head;
    while (first < end) {
      const extent = Math.min(this.#segmentBytes, MAX_LOG_LENGTH - first);
      const segment = LogSegment.create(this.#fs, this.path, { first, extent }, this.#id);
      this.#segments.push(segment);
      first = segment.end;
    }
  }
}

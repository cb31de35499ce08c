import { blobFileBytes, blobName, type BlobReference } from "../blobs/mod.ts";
import { ArgumentError, FlagstoneError, refuseUnknown, show } from "../errors/mod.ts";
import { LOCK_FILE, STORE_KIND } from "../log/mod.ts";
import {
  atomicWrite,
  durableMkdirAll,
  exists,
  type File,
  fixedPath,
  type Fs,
  joinPath,
  type Lock,
  readFile,
  syncDirectory,
} from "../vfs/mod.ts";
import { alignRecord, FILE_HEADER_BYTES, logName, type SegmentImage } from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { INDEX_FILE } from "./index_image.ts";
import type { CheckpointOptions, CheckpointReport } from "./maintenance_types.ts";
import { nextTurn } from "./next_turn.ts";

/** A copy reads and writes so much at a time: a few ms at most. */
const PIECE_BYTES = 1024 * 1024;
/** Links are made in one turn of the event loop, before others get one. */
const LINKS_PER_TURN = 64;
/** A log of which less than one part in so many is used is copied; else it is sealed, and linked. */
const LEAST_SEALED_PART = 4;

/** The part of a log that belongs to a checkpoint, copied at the moment that the checkpoint shows. */
interface LogCopy {
  readonly segment: number;
  readonly capacityBytes: number;
  readonly bytes: Uint8Array;
}

/** Makes a copy of an open store in `directory`: see `Store.checkpoint`. */
export async function makeCheckpoint(
  core: StoreCore,
  directory: string,
  options: CheckpointOptions,
): Promise<CheckpointReport> {
  if (typeof directory !== "string" || directory === "") {
    throw new ArgumentError("directory", `The directory must be a path: ${show(directory)}`);
  }
  refuseUnknown(options, ["signal"], "options");
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    const message = `options.signal must be an AbortSignal: ${show(signal)}`;
    throw new ArgumentError("options.signal", message);
  }
  core.assertDurable();
  const target = fixedPath(core.options.fs, directory);
  return await core.exclusively(() => new Checkpoint(core, target, signal).run());
}

/**
 * The order of things: a lock on the target, so that nobody opens it meanwhile; the moment that is
 * copied; links to sealed segments, which never change; what is left of the log; all of that
 * durable; and last the STORE file, without which the rest is no store.
 */
class Checkpoint {
  readonly #core: StoreCore;
  readonly #fs: Fs;
  readonly #target: string;
  readonly #signal: AbortSignal | undefined;
  readonly #made: string[] = [];
  #linked = 0;
  #copied = 0;
  #bytes = 0;

  constructor(core: StoreCore, target: string, signal: AbortSignal | undefined) {
    this.#core = core;
    this.#fs = core.options.fs;
    this.#target = target;
    this.#signal = signal;
  }

  async run(): Promise<CheckpointReport> {
    this.#check();
    const lock = this.#takeTarget();
    try {
      await this.#fill();
    } catch (error) {
      this.#undo();
      throw error;
    } finally {
      lock.close();
    }
    return { linkedFiles: this.#linked, copiedFiles: this.#copied, bytes: this.#bytes };
  }

  /** Throws if there is no point in going on. */
  #check(): void {
    this.#core.assertOpen();
    if (this.#signal?.aborted !== true) return;
    throw new FlagstoneError("ABORTED", `The checkpoint in ${this.#target} was aborted.`, {
      path: this.#target,
      cause: this.#signal.reason,
    });
  }

  #takeTarget(): Lock {
    const fs = this.#fs;
    if (exists(fs, this.#target)) this.#refuseFull();
    durableMkdirAll(fs, this.#target);
    const lock = fs.lock(joinPath(this.#target, LOCK_FILE));
    try {
      // Looked at again: somebody may have made a store of it in the meantime.
      this.#refuseFull();
    } catch (error) {
      lock.close();
      throw error;
    }
    return lock;
  }

  #refuseFull(): void {
    const names = this.#fs.list(this.#target).filter((name) => name !== LOCK_FILE);
    if (names.length === 0) return;
    throw new FlagstoneError(
      "NOT_EMPTY",
      `Cannot make a checkpoint in ${this.#target}: the directory is not empty, it has ${
        names[0]
      }. ` +
        `Give one that is missing or empty; what an interrupted checkpoint left must be removed first.`,
      { path: this.#target, operation: "checkpoint" },
    );
  }

  async #fill(): Promise<void> {
    const core = this.#core;
    await core.writesSettled();
    this.#check();
    const { upTo, log, blobs } = this.#takeMoment();
    const release = core.blobs.keep(() => true);
    try {
      await this.#begin(upTo);
      for (const { length, number } of blobs) {
        this.#bytes += blobFileBytes(length);
        await this.#file(blobName(number));
      }
    } finally {
      release();
    }
    // Last, as from here on the files of others may go: who needs room waits no longer.
    await this.#copySegments(upTo);
    if (log !== undefined) await this.#log(log);
    syncDirectory(this.#fs, this.#target);
    this.#check();
    const identity = readFile(this.#fs, joinPath(core.directory, STORE_KIND.file));
    this.#made.push(STORE_KIND.file);
    atomicWrite(this.#fs, joinPath(this.#target, STORE_KIND.file), identity);
  }

  async #begin(upTo: number): Promise<void> {
    const core = this.#core;
    // In this order: on a full disk, this one says so, and the other would wait for space.
    await core.log.flush();
    await core.log.flushed(upTo);
    this.#check();
    // Older than anything in it, so it is as good for the copy; a rename may replace it meanwhile.
    if (this.#link(INDEX_FILE) === "unsupported") this.#made.pop();
  }

  async #copySegments(upTo: number): Promise<void> {
    const { segments } = this.#core;
    const files = segments.files.filter((segment) => segments.newestIn(segment) <= upTo);
    await this.#core.copyEach(files, async (segment) => {
      this.#bytes += segments.bytesOf(segment);
      await this.#file(segments.nameOf(segment));
    });
  }

  /**
   * The moment that the copy shows: everything that has its place in the log now, and nothing else.
   * Segments up to `upTo` hold it, once they are sealed, and `log`, and the files of large values.
   */
  #takeMoment(): { upTo: number; log: LogCopy | undefined; blobs: readonly BlobReference[] } {
    return { ...this.#takeLog(), blobs: [...this.#core.blobs.live.values()] };
  }

  #takeLog(): { upTo: number; log: LogCopy | undefined } {
    const { control, memtable, pool } = this.#core.log;
    const { active } = memtable;
    const newest = Math.max(0, ...pool.residents.map(({ segment }) => segment));
    const upTo = Math.max(newest, this.#core.segments.newest);
    if (active === undefined) return { upTo, log: undefined };
    const { segment, image } = active;
    const end = publishedEnd(image, control.reservedEnd(active.slot));
    if (end * LEAST_SEALED_PART >= image.bytes.length) {
      this.#core.log.rotate();
      return { upTo: segment, log: undefined };
    }
    if (end === FILE_HEADER_BYTES) return { upTo: segment - 1, log: undefined };
    const log = { segment, capacityBytes: image.bytes.length, bytes: image.bytes.slice(0, end) };
    return { upTo: segment - 1, log };
  }

  async #file(name: string): Promise<void> {
    if (this.#link(name) === "linked") {
      if (++this.#linked % LINKS_PER_TURN === 0) await this.#pause();
      return;
    }
    using source = this.#fs.open(joinPath(this.#core.directory, name));
    using target = this.#fs.create(joinPath(this.#target, name));
    const bytes = source.stat().size;
    const piece = new Uint8Array(Math.min(PIECE_BYTES, bytes));
    for (let at = 0; at < bytes; at += piece.length) {
      const part = piece.subarray(0, Math.min(piece.length, bytes - at));
      const got = await source.readAtAsync(part, at);
      this.#check();
      if (got < part.length) throw shortened(source, at + got);
      target.writeAt(part, at);
    }
    target.sync();
    this.#copied++;
  }

  async #log({ segment, capacityBytes, bytes }: LogCopy): Promise<void> {
    const name = logName(segment);
    this.#made.push(name);
    using file = this.#fs.create(joinPath(this.#target, name));
    file.truncate(capacityBytes);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      file.writeAt(bytes.subarray(at, at + PIECE_BYTES), at);
      await this.#pause();
    }
    file.sync();
    this.#copied++;
    this.#bytes += capacityBytes;
  }

  /** Gives a file of the store a second name in the target, where the file system can. */
  #link(name: string): "linked" | "unsupported" {
    this.#made.push(name);
    try {
      this.#fs.link(joinPath(this.#core.directory, name), joinPath(this.#target, name));
      return "linked";
    } catch (error) {
      const missing = name === INDEX_FILE && error instanceof FlagstoneError;
      if (missing || (error instanceof FlagstoneError && error.code === "UNSUPPORTED")) {
        return "unsupported";
      }
      throw error;
    }
  }

  async #pause(): Promise<void> {
    await nextTurn();
    this.#check();
  }

  /** Removes what was made. First, durably, the file that makes a store of it; if that cannot be, the rest must stay. */
  #undo(): void {
    const remove = (name: string) => this.#fs.removeAll(joinPath(this.#target, name));
    try {
      if (this.#made.at(-1) === STORE_KIND.file) {
        remove(STORE_KIND.file);
        syncDirectory(this.#fs, this.#target);
      }
      for (const name of this.#made) remove(name);
    } catch {
      // What went wrong first is what the caller must hear.
    }
  }
}

/** Where the published records end: a worker may be about to write a mark behind them. */
function publishedEnd(image: SegmentImage, reservedEnd: number): number {
  let offset = FILE_HEADER_BYTES;
  while (offset < reservedEnd) {
    const length = Atomics.load(image.words, offset >> 2);
    if (length <= 0) break;
    offset += alignRecord(length);
  }
  return offset;
}

function shortened(file: File, offset: number): FlagstoneError {
  const message = `Cannot copy ${file.path}: it ends at ${offset}. It was cut by somebody else.`;
  return new FlagstoneError("CORRUPT", message, { path: file.path, offset });
}

import { ArgumentError, FlagstoneError, refuseUnknown, show } from "../errors/mod.ts";
import { fixedPath, type Lock } from "../vfs/mod.ts";
import { recordSpace, SharedWriter, Word } from "../wal/mod.ts";
import { LOG_KIND, openDirectory, writeBeginning } from "./identity.ts";
import type { Durability } from "./log_parts.ts";
import { shareLog } from "./share_log.ts";
import type { HostFactory } from "./start_log.ts";
import { WalAppender } from "./wal_appender.ts";
import { noSuchRecord, WalEngine, type WalParts } from "./wal_engine.ts";
import {
  checkLsn,
  checkPolicy,
  type ResolvedWalOptions,
  resolveWalOptions,
  writeDurability,
} from "./wal_options.ts";
import type { WalRecord } from "./wal_reader.ts";
import { busyError, closedError } from "./wal_errors.ts";
import { cutAfter, dropBefore, WalSegments } from "./wal_segments.ts";
import type {
  AppendOptions,
  IterateOptions,
  WalHandle,
  WalOptions,
  WalRecovery,
  WalStats,
} from "./wal_types.ts";

/**
 * A write-ahead log on its own: records in the order of appending, each with a log sequence number
 * (LSN) that is its position in bytes, ascending, and never given twice. Made by `Wal.open`, ended by
 * `close` or `await using`. It belongs to the thread that opened it, which may make any number of
 * calls at once; other threads append through `share`.
 *
 * After a failed write or sync nothing more is accepted: every append and sync rejects with the
 * failure (`WRITE_FAILED`, `WORKER_DIED`, `STALLED`), iteration goes on. While the disk is full,
 * appends are refused (`NO_SPACE`).
 */
export class Wal<T = Uint8Array> implements AsyncDisposable {
  /** The directory that holds the log. */
  readonly directory: string;
  readonly #options: ResolvedWalOptions<T>;
  readonly #parts: WalParts<T>;
  readonly #lock: Lock;
  readonly #recovery: WalRecovery;
  readonly #appender: WalAppender<T>;
  /** Replaced when the log is cut. */
  #engine: WalEngine<T>;
  /** The log is being cut, or closed, once this settles. */
  #exclusive: Promise<unknown> = Promise.resolve();
  #cutting = false;
  #closing = false;
  #closed: Promise<void> | undefined;

  private constructor(parts: WalParts<T>, lock: Lock, engine: WalEngine<T>) {
    this.directory = parts.directory;
    this.#parts = parts;
    this.#options = parts.options;
    this.#lock = lock;
    this.#engine = engine;
    this.#recovery = engine.recovery;
    this.#appender = new WalAppender(this.directory, this.#options);
  }

  /**
   * Opens the log in `directory`, creating it if there is none. What a crash tore is cut off; what it
   * left is made durable.
   *
   * @throws {ArgumentError} for a wrong option, before anything is touched
   * @throws {FlagstoneError} `LOCKED` if it is open elsewhere; `NOT_A_STORE` if the directory holds
   * something else; `NOT_FOUND` if it is missing and `create` is false; `CORRUPT` if something that
   * was durable is damaged or missing, with `path` and `offset`; `NEWER_FORMAT`; `PERMISSION`,
   * `READ_ONLY`, `NO_SPACE`, `IO` as the file system has it
   */
  static async open<T = Uint8Array>(directory: string, options?: WalOptions<T>): Promise<Wal<T>> {
    return await Wal.openWith(directory, options, undefined);
  }

  /**
   * As `open`, with a host of the caller's choice: for simulations.
   * @internal
   */
  static async openWith<T = Uint8Array>(
    path: string,
    options: WalOptions<T> | undefined,
    makeHost: HostFactory | undefined,
  ): Promise<Wal<T>> {
    if (typeof path !== "string" || path === "") {
      throw new ArgumentError("directory", `The directory must be a path: ${show(path)}`);
    }
    const resolved = resolveWalOptions(options);
    const directory = fixedPath(resolved.fs, path);
    // The work below is synchronous; this makes every failure a rejection all the same.
    await Promise.resolve();
    const { fs, create } = resolved;
    const { identity, lock, isNew } = openDirectory(fs, directory, LOG_KIND, create);
    try {
      const parts = { directory, options: resolved, storeId: identity.storeId, makeHost };
      return new Wal(parts, lock, await WalEngine.start(parts, isNew));
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  /** LSN from which on records are kept. */
  get head(): number {
    return this.#engine.head;
  }

  /** LSN above every record: no record has it yet. */
  get end(): number {
    return this.#engine.end;
  }

  /** Every record below this LSN survives a power loss. */
  get durable(): number {
    return this.#engine.log.durable;
  }

  /** True if no record is kept. */
  get isEmpty(): boolean {
    const records = this.iterate();
    const isEmpty = records.next().done === true;
    records.return();
    return isEmpty;
  }

  /**
   * Appends a record. Resolves to its LSN once it is as durable as asked (by default at once; `sync`
   * makes durable); waits for memory if the disk is slower. The value is copied before this returns.
   *
   * @throws {ArgumentError} `value` is no `Uint8Array`, without a codec
   * @throws {FlagstoneError} `TOO_LARGE` over `maxRecordBytes`, `CLOSED`, or the log's failure
   */
  append(value: T, options?: AppendOptions): Promise<number> {
    try {
      const durability = this.#durability(options);
      const bytes = this.#appender.encode(value);
      this.#assertWritable();
      return this.#appender.append(this.#engine.log, [bytes], durability);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As `append`, durable: resolves once fdatasync covers the record. */
  appendAndSync(value: T): Promise<number> {
    return this.append(value, { durability: "synced" });
  }

  /** Appends several records as one: after a crash all are there, or none. Resolves to their LSNs. */
  async appendBatch(values: readonly T[], options?: AppendOptions): Promise<number[]> {
    const durability = this.#durability(options);
    const all = this.#appender.encodeAll(values);
    this.#assertWritable();
    if (all.length === 0) return [];
    let lsn = await this.#appender.append(this.#engine.log, all, durability);
    return all.map((bytes) => {
      const own = lsn;
      lsn += recordSpace(0, bytes.length);
      return own;
    });
  }

  /**
   * Makes durable what was appended so far, or what was appended up to the record `lsn`, whichever
   * is given. Records of other threads are included as far as they are in the log.
   */
  async sync(lsn?: number): Promise<void> {
    this.#assertWritable();
    const { log } = this.#engine;
    if (lsn === undefined) return await log.flush();
    checkLsn(lsn);
    if (lsn % 8 !== 0) throw noSuchRecord(lsn);
    if (lsn >= this.end) {
      throw new ArgumentError("lsn", `No record has the LSN ${lsn}: the log ends at ${this.end}`);
    }
    await this.#engine.syncThrough(lsn);
  }

  /**
   * The records that are in the log now, oldest first; those appended meanwhile are not part of it.
   * Reads up to 1 MiB at a time, without a promise. Its segments are not dropped before it has ended,
   * so one that is not run to its end needs `return()`, as a `for` loop does it. `CORRUPT` where a record does not match its checksum, unless `onCorruption`
   * says otherwise.
   */
  iterate(options: IterateOptions = {}): Generator<WalRecord<T>, void> {
    refuseUnknown(options, ["from", "onCorruption"], "options");
    const policy = checkPolicy(options.onCorruption);
    if (options.from !== undefined) checkLsn(options.from);
    this.#assertOpen();
    return this.#engine.iterate(options.from, this.end, policy);
  }

  /** As `iterate({ from: lsn })`: from the record that has this LSN on. */
  iterateFrom(lsn: number): Generator<WalRecord<T>, void> {
    return this.iterate({ from: lsn });
  }

  /**
   * Drops records below `lsn`, as far as whole segments go: a checkpoint. Resolves to the new head;
   * a record at or above `lsn` is never dropped. The files go one after another, durably; a segment
   * that an iteration still reads stays, and so does what is newer.
   */
  async truncateBefore(lsn: number): Promise<number> {
    this.#assertWritable();
    checkLsn(lsn);
    return await this.#alone(async () => {
      await this.#engine.completedBelow(lsn);
      const isOnDisk = (segment: number) => this.#engine.isOnDisk(segment);
      dropBefore(this.#options.fs, this.directory, this.#engine.segments, lsn, isOnDisk);
      return this.head;
    });
  }

  /**
   * Drops every record after the one that has this LSN, durably; their LSNs are not given again.
   * Appends under way are waited for, an iteration under way ends at the cut. `BUSY` while other
   * threads are attached; handles given out before are of no use after it.
   */
  async truncateAfter(lsn: number): Promise<void> {
    this.#assertWritable();
    checkLsn(lsn);
    await this.#alone(async () => {
      const { segments } = this.#engine;
      const { end } = this;
      const space = this.#engine.spaceBefore(lsn, end);
      if (this.#appender.isShared && !SharedWriter.closeAll(this.#engine.log.control)) {
        throw busyError(this.directory, "other threads are attached to it; close them first");
      }
      this.#appender.isShared = false;
      this.#engine.endAt(lsn + space);
      await this.#engine.stop(closedError(this.directory));
      // What was given is on record before it is gone: it is not given again.
      const { fs } = this.#options;
      writeBeginning(fs, this.directory, LOG_KIND, { firstSegment: 0, sequenceFloor: end });
      cutAfter(fs, this.directory, segments, lsn, space);
      this.#engine = await WalEngine.start(this.#parts, false, new WalSegments(segments));
    });
  }

  /**
   * A handle with which other threads of this program append to the log: post it to a Worker, which
   * calls `attachWal(handle)`. Up to 15 at a time. A thread that dies in the middle of an append is
   * found after two seconds and what it had begun is skipped; the other handles then say `CLOSED`, and
   * have to be made anew. `UNSUPPORTED` if the log's file system is one that only this thread has.
   */
  async share(): Promise<WalHandle> {
    this.#assertWritable();
    if (this.#options.fs.spec === undefined) {
      throw new FlagstoneError(
        "UNSUPPORTED",
        `Cannot share the log in ${this.directory}: only this thread can reach its file system.`,
        { path: this.directory },
      );
    }
    return await this.#alone(async () => {
      this.#appender.isShared = true;
      const memory = await shareLog(this.#engine.log);
      return { ...memory, maxRecordBytes: this.#options.maxRecordBytes };
    });
  }

  /** Figures about the log, as of now. */
  stats(): WalStats {
    this.#assertOpen();
    const { control, pool, space, threads } = this.#engine.log;
    return {
      head: this.head,
      end: this.end,
      durable: this.durable,
      segments: this.#engine.segments.all.length,
      appends: this.#appender.appends,
      stalls: space.stalls,
      logWrites: Atomics.load(control.words, Word.logWrites),
      logSyncs: Atomics.load(control.words, Word.logSyncs),
      slabMemoryBytes: pool.memoryBytes,
      threads,
      recovery: this.#recovery,
    };
  }

  /**
   * Syncs everything, ends the workers, gives up the lock. Idempotent. Rejects with the log's failure
   * if it has one; it is closed all the same.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing = true;
    await this.#exclusive;
    let ended = true;
    try {
      ended = await this.#engine.stop(closedError(this.directory));
    } finally {
      if (ended) this.#lock.close();
      else this.#engine.log.onceEnded(() => this.#lock.close());
    }
  }

  /** Does `work` when no other such work is under way; nothing is appended meanwhile. */
  async #alone<R>(work: () => R | Promise<R>): Promise<R> {
    const turn = this.#exclusive.then(async () => {
      this.#assertWritable();
      this.#cutting = true;
      try {
        return await work();
      } finally {
        this.#cutting = false;
      }
    });
    this.#exclusive = turn.catch(() => {});
    return await turn;
  }

  #durability(options: AppendOptions | undefined): Durability {
    if (options === undefined) return this.#options.durability;
    refuseUnknown(options, ["durability"], "options");
    return writeDurability(options, this.#options.durability);
  }

  #assertOpen(): void {
    if (this.#closing) throw closedError(this.directory);
  }

  #assertWritable(): void {
    this.#assertOpen();
    const { failure } = this.#engine.log;
    if (failure !== undefined) throw failure;
    if (this.#cutting) {
      throw busyError(this.directory, "it is being cut; await truncateAfter() first");
    }
  }
}

import { makeCheckpoint } from "./checkpoint.ts";
import { clearStore } from "./clear.ts";
import { compactStore } from "./compact.ts";
import { closeStore } from "./close.ts";
import type { StoreCore } from "./core.ts";
import type { StoreEventMap, StoreListener } from "./events.ts";
import { listKeys } from "./listing.ts";
import { readMany } from "./read_many.ts";
import { ReadPath } from "./read_path.ts";
import { cancelUnwanted } from "./put_source.ts";
import { listConsistently, Snapshot } from "./snapshot.ts";
import type {
  CheckpointOptions,
  CheckpointReport,
  CompactOptions,
  CompactReport,
  VerifyOptions,
  VerifyReport,
} from "./maintenance_types.ts";
import type { StoreStats } from "./stats_types.ts";
import type {
  BatchOperation,
  DeleteOptions,
  Entry,
  Key,
  ListEntry,
  ListOptions,
  PutOptions,
  PutValue,
  StreamOptions,
  UpdateOptions,
  Value,
  ValueOptions,
} from "./types.ts";
import { statsOf } from "./stats.ts";
import { jsonOf, textOf } from "./text.ts";
import { verifyStore } from "./verify.ts";
import { WritePath } from "./write_path.ts";

/**
 * An open store: made by `open`, ended by `close` or `await using`. It belongs to the thread that
 * opened it; any number of its calls may be under way at once.
 *
 * Every call may reject with `CLOSED` once the store is closed, and with an `ArgumentError` before
 * anything changes if an argument is wrong. A write rejects with the store's failure
 * (`WRITE_FAILED`, `WORKER_DIED`, `STALLED`) after a write or sync of the log failed: whether it
 * survives is then unknown until the store is reopened. Reads go on. (A cache may have it otherwise:
 * `onWriteFailure: "memory"`.) While the disk is full, writes
 * are refused (`NO_SPACE`), and go on when there is space; one that was in memory already rejects,
 * too, is seen by readers, and is written then.
 */
export class Store extends EventTarget implements AsyncDisposable {
  readonly #core: StoreCore;
  readonly #writes: WritePath;
  readonly #reads: ReadPath;
  readonly #directory: string;
  #closed: Promise<void> | undefined;

  /** Not for users: `open` makes stores. */
  constructor(core: StoreCore) {
    super();
    this.#core = core;
    core.events.deliverTo(this);
    this.#writes = new WritePath(core);
    this.#reads = new ReadPath(core);
    this.#directory = core.directory;
  }

  /** The directory that holds the store. */
  get directory(): string {
    return this.#directory;
  }

  /**
   * Listens for what the store does: see {@linkcode StoreEventMap}. Events are told a moment after
   * they happen, and those of which nobody has ever asked are not made. `recovery` and `error` are
   * kept for who listens first. A listener may call the store; what it throws ends the program, as
   * with any other event.
   */
  override addEventListener<K extends keyof StoreEventMap>(
    type: K,
    listener: StoreListener<K> | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener as EventListenerOrEventListenerObject | null, options);
    if (this.#core.events.listen(type) && type === "slowdisk" && !this.#core.closing) {
      this.#core.diskWatch.start();
    }
  }

  /** Ends what `addEventListener` began. */
  override removeEventListener<K extends keyof StoreEventMap>(
    type: K,
    listener: StoreListener<K> | null,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener as EventListenerOrEventListenerObject | null, options);
  }

  /**
   * Stores `value` under `key`, over what was there. Resolves to the version, a number that grows
   * with every write, as soon as `durability` is reached; to 0 if it never will be, as the disk has
   * failed and the store goes on in memory only (`onWriteFailure`). The value may be reused once the call
   * has returned. `CONFLICT` if a condition does not hold; `BUSY` if it would have to wait and too
   * much waits already; `ABORTED` by its signal; `TOO_LARGE` if there is no memory for it.
   *
   * A value that does not fit into a slab (`slabBytes`), or is above 16 MiB, is written to a file of its
   * own, and synced, before anything points at it, whatever the durability; it is compressed only if
   * that makes it fit. If that file cannot be written (`NO_SPACE`, `IO`), the put rejects, nothing is
   * left of it, and the store goes on.
   *
   * A `ReadableStream` of bytes, or a `Blob`, is read to its end, in some 20 MiB of memory, and stored
   * whole or not at all. Its key is locked meanwhile: writes to it that are called later come later.
   * Reads see it once it has its place. `flush` does not wait for it, and `close` gives it up
   * (`CLOSED`). If the source fails, the put rejects with its error; if the put fails, the source is
   * cancelled. An `ArgumentError` leaves the source alone.
   */
  put(key: Key, value: PutValue, options?: PutOptions): Promise<number> {
    try {
      return this.#writes.put(key, value, options);
    } catch (error) {
      cancelUnwanted(value, error);
      return Promise.reject(error);
    }
  }

  /**
   * Removes `key`. Resolves to whether it had a value, once that is as durable as asked. Rejects as
   * `put` does.
   */
  delete(key: Key, options?: DeleteOptions): Promise<boolean> {
    try {
      return this.#writes.delete(key, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Does all of `operations`, in their order, or none: also after a crash. Resolves to the version
   * of the last. An empty batch does nothing and resolves to 0. Conditions are about what is there
   * before the batch; all are checked before anything is written, and if one does not hold, the
   * batch rejects with `CONFLICT`, whose `index` field tells which operation it was. Else as `put`.
   */
  batch(operations: readonly BatchOperation[], options?: ValueOptions): Promise<number> {
    try {
      return this.#writes.batch(operations, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Reads `key`, calls `change` with the value, and stores what it returns (`undefined`: deletes),
   * while no other write to the key is let in. Resolves to the new version; `undefined` if there
   * was nothing to delete. Reads meanwhile see the old value. A write to the same key inside
   * `change` would wait for ever: do not await one there. If the store is closed meanwhile, or the
   * signal fires, the update rejects (`CLOSED`, `ABORTED`), and what `change` returns is dropped.
   * Where `change` takes long, use `getEntry` and `ifVersion` instead: they lock nothing.
   */
  async update(
    key: Key,
    change: (old: Uint8Array | undefined) => Value | undefined | Promise<Value | undefined>,
    options?: UpdateOptions,
  ): Promise<number | undefined> {
    const read = async (at: Key) => (await this.#reads.getCommitted(at))?.value;
    return await this.#writes.update(key, change, read, options);
  }

  /**
   * The value of `key`, or `undefined`. A fresh array each time; small ones are cut from a 64 KiB
   * chunk, which lives as long as one of them. Up to 64 KiB are read at once, more without
   * blocking. `CORRUPT` if the value no longer matches its checksum.
   */
  get(key: Key): Promise<Uint8Array | undefined> {
    try {
      return this.#reads.get(key);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As `get`, without a promise; may block for a disk read. Throws what `get` rejects with. */
  getSync(key: Key): Uint8Array | undefined {
    return this.#reads.getSync(key);
  }

  /**
   * The value of `key`, or a part of it, as a stream of bytes; `undefined` if it has none. What is not
   * asked for is not read: 1 MiB at most is read ahead of who reads, also of a value of many GiB, and
   * each piece of 256 KiB is verified before any of it is handed out. A shorter value, which is in a
   * segment, is read as a whole. A reader with memory of its own (`getReader({ mode: "byob" })`) is
   * served into that.
   *
   * The stream gives the value that the key has at the call, to its end, whatever is written
   * afterwards: a file is kept until all its streams have ended or were cancelled. It fails with
   * `CORRUPT` where the file is damaged, `ABORTED` by its signal, `CLOSED` when the store is closed.
   *
   * @throws {ArgumentError} for a part that is not within the value, before anything is read
   */
  stream(
    key: Key,
    options?: StreamOptions,
  ): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
    return this.#reads.stream(key, options);
  }

  /**
   * The value of `key` with its version, or `undefined`: for a write that is to happen only if nobody
   * else wrote meanwhile (`ifVersion`). The version is exact: if a write to the key waits for its
   * place, so does this call. Otherwise as `get`.
   *
   * ```ts
   * import { FlagstoneError, open } from "@flagstone/flagstone";
   * await using store = await open(await Deno.makeTempDir());
   * for (;;) {
   *   const entry = await store.getEntry("counter");
   *   const next = Number(new TextDecoder().decode(entry?.value)) + 1;
   *   try {
   *     await store.put("counter", String(next), { ifVersion: entry?.version ?? 0 });
   *     break;
   *   } catch (error) {
   *     if (!(error instanceof FlagstoneError) || error.code !== "CONFLICT") throw error;
   *   }
   * }
   * ```
   */
  async getEntry(key: Key): Promise<Entry | undefined> {
    return await this.#reads.getEntry(key);
  }

  /** The value of `key` as text (UTF-8), or `undefined`. */
  async getText(key: Key): Promise<string | undefined> {
    return textOf(await this.get(key));
  }

  /** The value of `key` parsed as JSON, or `undefined`. Throws a SyntaxError if it is none. */
  async getJson(key: Key): Promise<unknown> {
    return jsonOf(await this.get(key));
  }

  /**
   * The values of `keys`, in their order. Faster than as many calls of `get`: values that are
   * neighbours on the disk are read together (and share memory, up to 64 KiB, which lives as long as
   * one of them). Wrong keys are refused before anything is read. Not a snapshot if there are more
   * than 1024 keys: others get their turn in between.
   */
  async getMany(keys: readonly Key[]): Promise<(Uint8Array | undefined)[]> {
    return await readMany(this.#core, this.#reads, keys);
  }

  /** Whether `key` has a value; reads no file. */
  has(key: Key): Promise<boolean> {
    try {
      return Promise.resolve(this.#reads.has(key));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Lists keys in the order of their bytes. A key that is there all the while is listed once, one that
   * comes or goes meanwhile may or may not be, unless `consistent` is true.
   */
  list(options: ListOptions = {}): AsyncIterableIterator<ListEntry> {
    if (options?.consistent === true) return listConsistently(this.#core, options);
    return listKeys(this.#core, options);
  }

  /**
   * The store as it is now, for as long as it takes: every write that has its place in the log, and none
   * that comes later (await a write to be sure that it is in). Costs nothing to make. While it is open,
   * each first overwrite or delete of a key that it sees saves some 250 bytes of memory, and the space of
   * what it sees does not come back; so end it, with `using` or `dispose()`. `close` and `clear` end it,
   * a checkpoint does not care. Values whose time comes meanwhile stay in it.
   *
   * ```ts
   * import { open } from "@flagstone/flagstone";
   * await using store = await open(await Deno.makeTempDir());
   * await store.put("a", "old");
   * using snapshot = store.snapshot();
   * await store.put("a", "new");
   * console.assert(await snapshot.getText("a") === "old");
   * ```
   */
  snapshot(): Snapshot {
    return new Snapshot(this.#core);
  }

  /** Resolves when everything accepted before is synced, whatever its durability. */
  async flush(): Promise<void> {
    this.#core.assertOpen();
    await this.#core.flush();
  }

  /** Figures about the store, as of now. */
  stats(): StoreStats {
    this.#core.assertOpen();
    return statsOf(this.#core);
  }

  /**
   * Reads every file and checks everything: each checksum, each footer against the records that it
   * speaks of, each entry of the index against its record, each piece of large values. Changes no file,
   * and takes as long as the disk needs; reads and writes go on. What is damaged is in the report; a
   * call that cannot be finished rejects: `ABORTED` by its signal, or the store's failure.
   */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    return await verifyStore(this.#core, options);
  }

  /**
   * Gives the space of overwritten and deleted values back: copies what is alive out of the segments
   * of which a twentieth or more is dead, then removes them. Reads and writes go on. Space is needed for
   * what is alive in 64 of them, at most `slabBytes`; CPU and disk are used as fast as they go. A
   * background compaction that is under way ends its step first.
   *
   * A crash at any moment loses nothing, and the next call goes on where this one was. Rejects with
   * `ABORTED` by the signal: what was done stays done. `CORRUPT` if a record is damaged: its segment
   * stays as it is from then on, so a second call goes on with the others. `NO_SPACE`, `IO` and others
   * as the file system has it; after a failure to name, sync or remove a file, there is no compaction
   * until the store is opened again. Writing is not affected.
   */
  async compact(options: CompactOptions = {}): Promise<CompactReport> {
    return await compactStore(this.#core, options);
  }

  /**
   * Removes every key, in one step: after a crash all are there, or none is. A write called before is
   * gone, one called after stays; if `clear` has to wait, since writes wait for memory or a checkpoint
   * is being made, those called until its turn go too. A stream that is still coming is stored after
   * it, and so is what the function of an `update` makes of the value that it was shown. Once it has
   * resolved, no crash brings anything back. Versions go on growing.
   *
   * The cost does not depend on the number of keys: a small file is written and synced on this
   * thread, the log goes on in another segment, and the files of the older ones are removed when the
   * workers have done with them. Where a file cannot be removed, the next `open` does it.
   *
   * Rejects with the store's failure, or as the file system has it (`NO_SPACE`, `IO`): then nothing was
   * removed, unless it is `WRITE_FAILED`: then that is known after the store is reopened.
   */
  clear(): Promise<void> {
    try {
      return clearStore(this.#core);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Makes a copy of the store in `directory`, which must be missing or empty, while reads and writes
   * go on. The copy shows one moment: every write that was called before is in it, and of those
   * called meanwhile a prefix. Once this has resolved, the copy survives a power loss; it is opened
   * like any store, has the same keys, values and versions, and goes its own way.
   *
   * Sealed segments, which never change, become second names of the same files, so it takes no space
   * and next to no time; they are copied where the file system has no hard links to there (another
   * device). Of the log, a quarter of `slabBytes` at most is copied. As files are shared, it is a
   * backup against mistakes, not against a disk that fails: for that, give a directory on another.
   * Checkpoints are made one after another.
   *
   * Rejects with `NOT_EMPTY` if the directory holds anything; `LOCKED` if it is another's;
   * `ABORTED` by its signal; the store's failure if it has one; `NO_SPACE`, `PERMISSION`, `IO` as
   * the file system has it. Then, as after a crash, what is there cannot be opened as a store; the
   * files in it are removed, or left for you to remove. The store itself is not affected.
   */
  async checkpoint(directory: string, options: CheckpointOptions = {}): Promise<CheckpointReport> {
    return await makeCheckpoint(this.#core, directory, options);
  }

  /**
   * Waits for the writes under way, syncs everything, ends the workers, and gives up the lock.
   * Idempotent. Rejects with the store's failure if it has one, since something accepted may then
   * not be durable, but not with `onWriteFailure: "memory"`; the store is closed all the same. Never waits longer than `stallTimeoutMs`
   * without progress.
   */
  close(): Promise<void> {
    return this.#closed ??= closeStore(this.#core);
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

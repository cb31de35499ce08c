import { BlockCache } from "./block_cache.ts";
import { type Codecs } from "../codec/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { ExpiryTable, HashIndex } from "../index/mod.ts";
import type { Identity, LogWriter, StoreLog } from "../log/mod.ts";
import { KeyLocks } from "../memtable/mod.ts";
import type { Lock } from "../vfs/mod.ts";
import {
  FILE_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  RecordFlag,
  recordSpace,
  SEAL_SPACE_BYTES,
  Word,
} from "../wal/mod.ts";
import { BlobFiles } from "./blob_files.ts";
import {
  type CompressionSettings,
  Compressor,
  resolveCodecs,
  resolveCompression,
} from "./compression.ts";
import { DiskWatch } from "./disk_watch.ts";
import type { EventSource } from "./event_source.ts";
import { Eviction } from "./eviction.ts";
import { Expiry } from "./expiry.ts";
import { SlowDiskEvent } from "./events.ts";
import { HeldSegments } from "./held_segments.ts";
import type { KeyBuffer } from "./keys.ts";
import type { ResolvedOptions } from "./options.ts";
import { MAX_RECORD_SPACE } from "./limits.ts";
import { PendingWrites, type PreparedWrite } from "./pending_writes.ts";
import { StoreCompaction } from "./compaction.ts";
import type { SegmentSet } from "./segment_set.ts";
import { Snapshots } from "./snapshots.ts";
import type { DegradedStats, RecoveryReport } from "./stats_types.ts";
import { OpenStreams } from "./value_stream.ts";

/** Parts of a {@linkcode StoreCore}, made by `open`. */
export interface CoreParts {
  readonly directory: string;
  readonly options: ResolvedOptions;
  readonly identity: Identity;
  readonly lock: Lock;
  readonly keys: KeyBuffer;
  readonly index: HashIndex;
  /** The segments that the image of the index on disk knows. */
  readonly imaged: ReadonlySet<number>;
  readonly segments: SegmentSet;
  /** Keys that expire, as found. */
  readonly expiring: ExpiryTable;
  readonly log: LogWriter;
  readonly events: EventSource;
  readonly recovery: Omit<RecoveryReport, "blobs" | "salvaged">;
}

/** What the parts of a store share. Everything here belongs to the main thread. */
export class StoreCore {
  readonly directory: string;
  readonly options: ResolvedOptions;
  readonly identity: Identity;
  readonly keys: KeyBuffer;
  /** Another one after a `clear`. */
  index: HashIndex;
  imaged: ReadonlySet<number>;
  readonly segments: SegmentSet;
  /** The log that takes writes: that on disk, or one in memory only when that has failed and the options say so. */
  log: StoreLog;
  /** The log on disk. */
  readonly durableLog: LogWriter;
  /** Set once the log on disk has failed and the store goes on without it. */
  degraded: { readonly error: FlagstoneError; readonly stats: DegradedStats } | undefined;
  readonly events: EventSource;
  readonly blocks: BlockCache;
  readonly locks: KeyLocks = new KeyLocks();
  readonly pending: PendingWrites;
  readonly codecs: Codecs;
  /** How values are compressed unless a write says otherwise. */
  readonly compression: CompressionSettings | undefined;
  readonly compressor: Compressor;
  readonly blobs: BlobFiles;
  readonly streams: OpenStreams = new OpenStreams();
  readonly diskWatch: DiskWatch;
  readonly expiry: Expiry;
  recovery: RecoveryReport;
  readonly compaction: StoreCompaction;
  /** There if the store has a bound: `OpenOptions.maxBytes`. */
  readonly eviction: Eviction | undefined;
  readonly snapshots: Snapshots;
  /** What takes the key's lock away from updates whose function is still running. */
  readonly updates: Set<() => void> = new Set();
  /** Set by `close`: no call is accepted any more. */
  closing = false;
  /** Writes accepted. */
  writes = 0;
  /** Length of the values put. */
  valueBytes = 0;
  /** Bytes that were stored for them. */
  storedValueBytes = 0;
  readonly #lock: Lock;
  readonly #maxRecordSpace: number;
  #filesInUse: Promise<unknown> = Promise.resolve();
  #filesUsers = 0;
  /** Who has the files does not use them yet, or only copies those of `#held`. */
  #letsPass = false;
  readonly #held = new HeldSegments();
  /** Compactions that wait for their turn with the files. */
  readonly #compactions = new Set<() => Promise<void>>();
  #committing: Promise<void> = Promise.resolve();

  /** Takes over the parts. */
  constructor(parts: CoreParts) {
    this.directory = parts.directory;
    this.options = parts.options;
    this.blocks = new BlockCache(parts.options.readCacheBytes);
    this.pending = new PendingWrites(parts.options.maxWaitingBytes);
    this.identity = parts.identity;
    this.keys = parts.keys;
    this.index = parts.index;
    this.imaged = parts.imaged;
    this.segments = parts.segments;
    this.log = this.durableLog = parts.log;
    this.events = parts.events;
    const blobs = { files: 0, swept: 0, problems: [] };
    this.recovery = { ...parts.recovery, blobs, salvaged: [] };
    const { codecs, compression, fs, idleWorkerMs, stallTimeoutMs } = parts.options;
    this.codecs = resolveCodecs(codecs);
    this.compression = resolveCompression(compression, this.codecs);
    // A store whose loops run on this thread, step by step, compresses on it too.
    this.compressor = new Compressor(this.codecs, fs.spec === undefined ? undefined : idleWorkerMs);
    this.#lock = parts.lock;
    const { directory, events, log } = parts;
    this.blobs = new BlobFiles({
      ...{ fs, directory, storeId: parts.identity.storeId, log },
      ...{ idleMs: idleWorkerMs, stallTimeoutMs },
      onFailure: (error) => {
        log.control.fail(error);
        log.ring();
      },
      onRemoved: () => this.eviction?.room.serve(),
    });
    this.#maxRecordSpace = Math.min(
      MAX_RECORD_SPACE,
      parts.options.slabBytes - FILE_HEADER_BYTES - SEAL_SPACE_BYTES - RECORD_HEADER_BYTES,
    );
    this.snapshots = new Snapshots(this);
    this.compaction = new StoreCompaction(this);
    const { maxBytes } = parts.options;
    this.eviction = maxBytes === undefined ? undefined : new Eviction(this, maxBytes);
    this.diskWatch = new DiskWatch({
      thresholdMs: parts.options.slowDiskMs,
      progress: () => Atomics.load(log.control.words, Word.progress),
      waiting: () => this.log.pendingAcks + this.log.space.length,
      disks: () => [...log.disks, ...this.blobs.writer.disks],
      onSlow: (ms, waiting, operation) =>
        events.emit("slowdisk", () => new SlowDiskEvent(ms, waiting, operation)),
    });
    this.expiry = new Expiry({
      now: parts.options.clock.nowMs,
      events,
      remove: (hash, sequence) => {
        const { index, segments, snapshots } = this;
        if (snapshots.isOpen) snapshots.save(hash);
        const removed = index.remove(hash, sequence);
        // Nothing was written, so it is the newest of its key in its own segment, too.
        if (removed) segments.live.lost(index.segment, index.length);
        if (removed && (index.flags & RecordFlag.external) !== 0) this.blobs.expire(index.sequence);
        return removed;
      },
    });
    this.expiry.adopt(parts.expiring, this.index);
  }

  /**
   * Looks up the key in `keys`: true if it has a value whose time is not over; `index` then says
   * where. Whatever waits for its place in the log is not looked at.
   */
  find(): boolean {
    const { hash } = this.keys;
    if (!this.index.find(hash)) return false;
    return (this.index.flags & RecordFlag.expires) === 0 || !this.expiry.isOver(hash);
  }

  /** The newest write of the key in `keys` that waits for its place in the log. */
  pendingWrite(): PreparedWrite | undefined {
    return this.pending.find(this.keys);
  }

  /** When the value that `find` found ends, in ms since the epoch; 0 if it does not. */
  foundExpiry(): number {
    if ((this.index.flags & RecordFlag.expires) === 0) return 0;
    return this.expiry.timeOf(this.keys.hash);
  }

  /** True if a value of `valueBytes`, under a key of `keyBytes`, goes to a file of its own. */
  isLarge(keyBytes: number, valueBytes: number): boolean {
    // Asked first: the space of what is longer than a record may be is no number that is good for anything.
    return valueBytes > MAX_RECORD_SPACE ||
      recordSpace(keyBytes, valueBytes) > this.#maxRecordSpace;
  }

  /** Throws unless the store is open. */
  assertOpen(): void {
    if (this.closing) throw closedError(this.directory);
  }

  /** Throws unless the store is open and takes writes. */
  assertWritable(): void {
    this.assertOpen();
    if (this.log.failure !== undefined) throw this.log.failure;
  }

  /** Throws unless the store is open, and what it writes can be durable. */
  assertDurable(): void {
    this.assertWritable();
    if (this.degraded !== undefined) throw this.degraded.error;
  }

  /** Resolves when everything accepted so far is durable. */
  async flush(): Promise<void> {
    await this.pending.settled();
    await this.log.flush();
  }

  /** Resolves when every full log is a segment, but for those for which the disk has no space. */
  async completed(): Promise<void> {
    try {
      await this.log.flushed();
    } catch (error) {
      if (!(error instanceof FlagstoneError) || error.code !== "NO_SPACE") throw error;
    }
  }

  /**
   * Does `work` once no other work of this kind is under way: what changes or copies the set of
   * files. Begins at once, in this turn, if none is.
   */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#filesUsers++ === 0 ? work() : this.#filesInUse.then(work);
    this.#filesInUse = running.then(() => {}, () => {}).finally(() => this.#filesUsers--);
    return running;
  }

  /**
   * As `exclusively`, for a compaction that takes `sources` away. It does not wait for who has the files
   * and waits for writes, as these may wait for the room that it makes; nor, for the same reason, for
   * who copies others than `sources`.
   */
  forCompaction<T>(sources: readonly number[], work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const held = this.#held;
    const begin = () => held.has(sources) ? held.released(sources).then(work) : work();
    let running: Promise<void> | undefined;
    const once = () => {
      this.#compactions.delete(once);
      return this.#committing = running ??= begin().then(resolve, reject);
    };
    this.#compactions.add(once);
    if (this.#letsPass) void once();
    else void this.exclusively(once);
    return promise;
  }

  /** For who has the files, and has not begun: waits for the writes that wait for their places. */
  async writesSettled(): Promise<void> {
    if (this.pending.calls === 0) return;
    this.#letPass();
    await this.pending.settled();
    this.#letsPass = false;
    await this.#committing;
  }

  /**
   * For who has the files, and from now on only copies those of `segments`: calls `copy` with each, whose
   * file stays until that is done. Compactions pass meanwhile.
   */
  async copyEach(
    segments: readonly number[],
    copy: (segment: number) => Promise<void>,
  ): Promise<void> {
    const held = this.#held;
    held.hold(segments);
    this.#letPass();
    try {
      for (let segment = held.next; segment !== undefined; segment = held.next) {
        await copy(segment);
        held.release(segment);
      }
    } finally {
      held.releaseAll();
      this.#letsPass = false;
      await this.#committing;
    }
  }

  #letPass(): void {
    this.#letsPass = true;
    for (const once of [...this.#compactions]) void once();
  }

  /** Accepts no more calls. Streams end; updates whose function still runs lose their locks, and reject. */
  shut(): void {
    this.closing = true;
    this.streams.close(closedError(this.directory));
    for (const giveUp of this.updates) giveUp();
  }

  /**
   * Ends the workers, closes files, gives up the lock. What still waits is rejected. A worker that
   * hangs in a call of the system may yet write when that returns: then the lock is kept until it has.
   */
  async release(): Promise<void> {
    this.compressor.close();
    this.blobs.close();
    this.diskWatch.close();
    this.expiry.close();
    const compacted = await this.compaction.close(this.options.stallTimeoutMs);
    const ended = await this.durableLog.release(closedError(this.directory));
    try {
      this.segments.close();
    } finally {
      let left = (ended ? 0 : 1) + (compacted ? 0 : 1);
      const oneLess = () => {
        if (--left === 0) this.#lock.close();
      };
      if (left === 0) this.#lock.close();
      if (!ended) this.durableLog.onceEnded(oneLess);
      if (!compacted) this.compaction.onceEnded(oneLess);
    }
  }
}

function closedError(directory: string): FlagstoneError {
  return new FlagstoneError(
    "CLOSED",
    `Cannot use the store in ${directory}: it was closed. Open it again.`,
    { path: directory },
  );
}

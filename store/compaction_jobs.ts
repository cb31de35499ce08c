import {
  type CompactionFailure,
  type CompactionResult,
  type CompactionRunner,
  hasFailed,
  InlineRunner,
  WorkerRunner,
} from "../compaction/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { HashIndex } from "../index/mod.ts";
import { joinPath } from "../vfs/mod.ts";
import { compactedName } from "../wal/mod.ts";
import { dropEntries, moveEntries } from "./compacted_entries.ts";
import type { CompactedStore } from "./compacted_store.ts";
import type { Pick } from "./compaction_picks.ts";
import type { SieveOutcome, SievePick } from "./eviction.ts";
import type { CompactionStats } from "./stats_types.ts";

/** What a job has done. */
export interface JobReport {
  readonly removedFiles: number;
  readonly madeFiles: number;
  readonly freedBytes: number;
  readonly copiedRecords: number;
  readonly droppedTombstones: number;
  /** What room was made, if the job was to make some. */
  readonly sieved?: SieveOutcome & { readonly result: CompactionResult };
}

const NOTHING: JobReport = {
  removedFiles: 0,
  madeFiles: 0,
  freedBytes: 0,
  copiedRecords: 0,
  droppedTombstones: 0,
};

/**
 * What a job of the compaction does, from what was picked to the removal of the old files: has it
 * copied, tells the index of the new places, has the old files removed. One at a time.
 *
 * What a crash leaves is right at every step: until the new file has its name there is but a temporary
 * one; from then on until the old files are gone, the same records are there twice, under the same
 * numbers. What replaced a dead record is durable before the record's file goes.
 */
export class CompactionJobs {
  readonly #core: CompactedStore;
  readonly #runner: CompactionRunner;
  readonly #stats = { jobs: 0, freedBytes: 0, movedBytes: 0, failures: 0 };
  #nextNumber = 1;
  /** Length of files that are being removed, and of which the store knows no more. */
  #removingBytes = 0;
  /** Bytes of files removed so far. */
  #removedBytes = 0;
  /** Of compacted segments made in this session: `#removedBytes` at that time. */
  readonly #madeAt = new Map<number, number>();
  /** Segments with damaged records: they stay as they are. */
  readonly #damaged = new Set<number>();
  #broken: FlagstoneError | undefined;
  #isClosed = false;

  /** Jobs about the segments of `core`. */
  constructor(core: CompactedStore) {
    this.#core = core;
    const { fs, idleWorkerMs } = core.options;
    this.#runner = fs.spec === undefined
      ? new InlineRunner(fs)
      : new WorkerRunner(fs.spec, idleWorkerMs);
    for (const segment of core.segments.segments) {
      this.#nextNumber = Math.max(this.#nextNumber, 1 - segment);
    }
  }

  /** What was done since the store was opened. */
  get stats(): CompactionStats {
    return { ...this.#stats };
  }

  /** Bytes read and written since the store was opened. */
  get movedBytes(): number {
    return this.#stats.movedBytes;
  }

  /** Length of files that are being removed, and of which the store knows no more. */
  get removingBytes(): number {
    return this.#removingBytes;
  }

  /** Threads running: 0 or 1. */
  get threads(): number {
    return this.#runner.threads;
  }

  /** The segment that the next job makes, if it makes one. */
  get nextSegment(): number {
    return -this.#nextNumber;
  }

  /** Why there will be none until the store is opened again: a file may be there of which it does not know. */
  get broken(): FlagstoneError | undefined {
    return this.#broken;
  }

  /** True from `close` on. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** True if a job has found a damaged record in it. */
  isDamaged(segment: number): boolean {
    return this.#damaged.has(segment);
  }

  /** Bytes of files removed since `segment` was made, or the store opened. */
  removedSince(segment: number): number {
    return this.#removedBytes - (this.#madeAt.get(segment) ?? 0);
  }

  /** Does a job, copying at `bytesPerSecond` (0: no bound). Resolves to the failure, if there was one. */
  async run(
    pick: Pick | SievePick,
    bytesPerSecond: number,
  ): Promise<JobReport | CompactionFailure> {
    const core = this.#core;
    const { segments, index, identity, directory } = core;
    const number = this.#nextNumber++;
    const file = (segment: number) => ({ segment, path: segments.pathOf(segment) });
    const outcome = await this.#runner.run({
      directory,
      storeId: identity.storeId,
      hashSecret: identity.hashSecret,
      sources: pick.sources.map(file),
      others: pick.others.map(file),
      searchOthers: pick.searchOthers,
      number,
      upTo: pick.upTo,
      leaveFile: pick.leaveFile,
      bytesPerSecond,
      ...("order" in pick ? { sieve: pick.order } : {}),
    }, () => index.share());
    index.unshare();
    if (hasFailed(outcome)) {
      // The store was cleared meanwhile: the sources are gone, and there is nothing to be done.
      return core.index === index ? this.#failed(outcome, pick) : NOTHING;
    }
    this.#stats.movedBytes += outcome.bytes;
    // At once: the next image of the index, and the next compaction, must know of the file.
    if (core.index === index && outcome.file !== undefined) {
      segments.add(-number, { ...outcome.file, upTo: pick.upTo });
      segments.live.lost(-number, outcome.file.putBytes);
      this.#madeAt.set(-number, this.#removedBytes);
    }
    return await core.forCompaction(
      pick.sources,
      () => this.#commit(pick, number, outcome, index),
    );
  }

  /** Forgets segments whose files are gone, and that snapshots saw which have ended. True if there was one. */
  removeUnseen(): boolean {
    const { segments, snapshots } = this.#core;
    if (this.#broken !== undefined) return false;
    const unseen = [...segments.going].filter((segment) => !snapshots.needs(segment));
    for (const segment of unseen) segments.remove(segment);
    return unseen.length > 0;
  }

  /** The job that runs ends soon, with `ABORTED`. */
  stop(): void {
    this.#runner.stop();
  }

  /** Ends what runs, for good. Resolves to true once it has ended, to false after `timeoutMs`. */
  close(timeoutMs: number): Promise<boolean> {
    this.#isClosed = true;
    return this.#runner.close(timeoutMs);
  }

  /** Calls `listener` once nothing runs any more, after a `close` that could not wait. */
  onceEnded(listener: () => void): void {
    this.#runner.onceEnded(listener);
  }

  /** The new file is durable. From here on the files of the store change. */
  async #commit(
    pick: Pick,
    number: number,
    result: CompactionResult,
    index: HashIndex,
  ): Promise<JobReport | CompactionFailure> {
    const core = this.#core;
    const report = { madeFiles: 0, removedFiles: 0, freedBytes: 0 };
    const done = () => {
      const { records: copiedRecords, droppedTombstones } = result;
      this.#stats.freedBytes += report.freedBytes;
      return { ...report, copiedRecords, droppedTombstones };
    };
    if (core.index !== index) {
      // The store was cleared meanwhile: the file is void, as its sources are.
      this.#removeVoid(compactedName(pick.upTo, number));
      return done();
    }
    // Of the dead records that go, some may be so by what is not durable yet.
    const hasDead = result.sieve === undefined ||
      pick.sources.some((segment) => core.segments.live.deadOf(segment) > 0);
    if (result.file !== undefined) {
      report.madeFiles = 1;
      report.freedBytes -= result.file.fileBytes;
      await moveEntries(core, result.moves, -number);
    }
    try {
      // What has replaced a dead record must be durable before that record goes.
      if (hasDead) await core.durableLog.flush();
    } catch (error) {
      return this.#failed({ error: error as FlagstoneError, leftDoubt: false }, pick);
    }
    if (this.#isClosed) return done();
    const { segments } = core;
    if (result.sieve !== undefined) {
      if (result.sieve.passed) {
        return { ...done(), sieved: { made: undefined, keys: 0, bytes: 0, freedBytes: 0, result } };
      }
      const went = await this.#letGo(pick, result.sieve.evicted);
      if (hasFailed(went)) return this.#failed(went, pick);
      report.removedFiles = pick.sources.length;
      report.freedBytes += went.freedBytes;
      this.#stats.jobs++;
      const made = result.file === undefined ? undefined : -number;
      return { ...done(), sieved: { ...went, freedBytes: report.freedBytes, made, result } };
    }
    const { snapshots } = core;
    const removed: string[] = [];
    let removedBytes = 0;
    for (const segment of pick.sources) {
      // It has something that was overwritten since it was looked at, and a snapshot sees that. What
      // comes after it in the order of removal stays, too: that order is what deletes rely on.
      if (snapshots.needs(segment)) break;
      removed.push(segments.nameOf(segment));
      removedBytes += segments.bytesOf(segment);
      if (core.imaged.has(segment)) core.imaged = new Set();
      segments.remove(segment);
    }
    report.freedBytes += removedBytes;
    this.#removedBytes += removedBytes;
    this.#removingBytes += removedBytes;
    const failure = await this.#runner.remove(core.directory, removed);
    if (failure !== undefined) return this.#failed(failure, pick);
    this.#removingBytes -= removedBytes;
    report.removedFiles = removed.length;
    this.#stats.jobs++;
    return done();
  }

  /** Removes the files of segments, and then the keys that are still there: nobody sees them missing before. */
  async #letGo(
    pick: Pick,
    evicted: Int32Array,
  ): Promise<{ keys: number; bytes: number; freedBytes: number } | CompactionFailure> {
    const { directory, segments, snapshots, imaged } = this.#core;
    if (pick.sources.some((segment) => imaged.has(segment))) this.#core.imaged = new Set();
    try {
      for (const segment of pick.sources) segments.letGo(segment);
    } catch (error) {
      if (!(error instanceof FlagstoneError)) throw error;
      for (const segment of pick.sources) segments.keep(segment);
      return { error, leftDoubt: false };
    }
    const names = pick.sources.map((segment) => segments.nameOf(segment));
    const failure = await this.#runner.remove(directory, names);
    if (failure !== undefined) return failure;
    const went = await dropEntries(this.#core, evicted, new Set(pick.sources));
    // Else more would go than has to.
    await this.#core.blobs.settled();
    let freedBytes = 0;
    for (const segment of pick.sources) {
      freedBytes += segments.bytesOf(segment);
      // A snapshot that was opened meanwhile may see something: then the file is there until it ends.
      if (!snapshots.needs(segment)) segments.remove(segment);
    }
    this.#removedBytes += freedBytes;
    return { ...went, freedBytes };
  }

  #failed(failure: CompactionFailure, pick: Pick): CompactionFailure {
    const { error, leftDoubt } = failure;
    if (leftDoubt) this.#broken = error;
    if (error.code !== "ABORTED") this.#stats.failures++;
    if (error.code === "CORRUPT") {
      const { segments } = this.#core;
      for (const segment of [...pick.sources, ...pick.others]) {
        if (segments.has(segment) && segments.pathOf(segment) === error.path) {
          this.#damaged.add(segment);
        }
      }
    }
    return failure;
  }

  /** Best done at once; else the next open does it. */
  #removeVoid(name: string): void {
    const { directory, options: { fs } } = this.#core;
    try {
      fs.removeAll(joinPath(directory, name));
    } catch {
      // It does not count, whether it is there or not.
    }
  }
}

import {
  type CompactionFailure,
  type CompactionResult,
  type CompactionRunner,
  hasFailed,
  InlineRunner,
  Pace,
  WorkerRunner,
} from "../compaction/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { HashIndex } from "../index/mod.ts";
import { joinPath } from "../vfs/mod.ts";
import { compactedName, SlotState, SlotWord } from "../wal/mod.ts";
import { dropEntries, moveEntries } from "./compacted_entries.ts";
import type { CompactedStore } from "./compacted_store.ts";
import { type Pick, pickSegments } from "./compaction_picks.ts";
import { LEAST_GAIN_PART, type SieveOutcome, type SievePick } from "./eviction.ts";

/** While so large a part of all records is dead, the rate does not count: space is what is short. */
const HURRY_PART = 0.75;
/** After a job that has copied something, while something was written, the thread rests so many times as long: writers need the processor, too. */
const REST_FACTOR = 2;
/** What `Store.compact` leaves alone: to copy 20 bytes for one that comes back is no good trade. */
const LEAST_DEAD_PART = 0.05;
/** After a failure, so many segments are sealed before the next automatic try. */
const SKIPPED_AFTER_FAILURE = 8;

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
 * Compaction as the store sees it: picks segments, has them copied, tells the index of the new places,
 * and then has the old files removed. One job at a time.
 *
 * What a crash leaves is right at every step: until the new file has its name there is but a temporary
 * one; from then on until the old files are gone, the same records are there twice, under the same
 * numbers. What replaced a dead record is durable before the record's file goes.
 */
export class StoreCompaction {
  /** Jobs done since the store was opened. */
  jobs = 0;
  /** Bytes by which they made the files shorter. */
  freedBytes = 0;
  /** Bytes that they read and wrote. */
  movedBytes = 0;
  /** Jobs that failed. */
  failures = 0;
  /** Length of files that are being removed, and of which the store knows no more. */
  removingBytes = 0;
  readonly #core: CompactedStore;
  readonly #runner: CompactionRunner;
  #turn: Promise<unknown> = Promise.resolve();
  /** Calls of `Store.compact` that wait. */
  #waiting = 0;
  #nextNumber = 1;
  /** Why there will be none until the store is opened again. */
  #broken: FlagstoneError | undefined;
  /** Segments with damaged records: they stay as they are. */
  readonly #damaged = new Set<number>();
  /** Of compacted segments made in this session: `#removedBytes` at that time. */
  readonly #madeAt = new Map<number, number>();
  /** Bytes of files removed so far. */
  #removedBytes = 0;
  #considering = false;
  /** `consider` was called meanwhile. */
  #again = false;
  /** Calls of `consider` to be ignored. */
  #skip = 0;
  #endRest: (() => void) | undefined;
  #closed = false;

  /** Compacts `core`, when it is asked to. */
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

  /** Threads running: 0 or 1. */
  get threads(): number {
    return this.#runner.threads;
  }

  /** False if a file may be there of which the store does not know: then no image of the index may be left. */
  get knowsAllFiles(): boolean {
    return this.#broken === undefined;
  }

  /** A segment was sealed, or the store opened: compacts in the background, if that is wanted and worth it. */
  consider(): void {
    const { eviction, options } = this.#core;
    if (this.#closed || (options.compaction === "manual" && eviction === undefined)) return;
    if (this.#considering) {
      this.#again = true;
      if (eviction?.room.isShort === true) this.#endRest?.();
      return;
    }
    this.#considering = true;
    this.#inTurn(() => this.#background()).finally(() => {
      this.#considering = false;
      const again = this.#again;
      this.#again = false;
      // Whoever calls while somebody else has the turn is served by that one, or here.
      if (again && eviction?.room.isShort === true) this.consider();
    });
  }

  /** Compacts all that is worth it; tells `onJob` of each job. Ends early if `isAborted` says so. */
  async all(onJob: (report: JobReport) => void, isAborted: () => boolean): Promise<void> {
    this.#waiting++;
    this.#endRest?.();
    await this.#inTurn(async () => {
      this.#waiting--;
      const made = new Set<number>();
      while (!isAborted()) {
        await this.#makeRoom();
        this.#core.assertDurable();
        if (this.#broken !== undefined) throw this.#broken;
        const pick = this.#pick(LEAST_DEAD_PART, made);
        if (pick === undefined) return;
        made.add(-this.#nextNumber);
        const outcome = await this.#job(pick, 0);
        if (hasFailed(outcome)) throw outcome.error;
        onJob(outcome);
      }
    });
  }

  /** The job that runs ends soon, with `ABORTED`. */
  stop(): void {
    this.#runner.stop();
  }

  /**
   * Ends what runs, for good. Resolves to true once nothing can change any file any more, to false
   * after `timeoutMs`.
   */
  async close(timeoutMs: number): Promise<boolean> {
    this.#closed = true;
    this.#endRest?.();
    const ended = await this.#runner.close(timeoutMs);
    if (ended) await this.#turn;
    return ended;
  }

  /** Calls `listener` once nothing runs any more, after a `close` that could not wait. */
  onceEnded(listener: () => void): void {
    this.#runner.onceEnded(listener);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const running = this.#turn.then(work);
    this.#turn = running.catch(() => {});
    return running;
  }

  async #background(): Promise<void> {
    await this.#makeRoom();
    const { compaction } = this.#core.options;
    if (compaction === "manual") return;
    if (this.#skip > 0) {
      this.#skip--;
      return;
    }
    while (!this.#closed && this.#waiting === 0 && this.#broken === undefined) {
      if (this.#core.durableLog.failure !== undefined) return;
      if (this.#core.eviction?.room.isShort === true) {
        await this.#makeRoom();
        if (this.#core.eviction.room.isShort) return;
      }
      const pick = this.#pick(compaction.deadPart, undefined);
      if (pick === undefined) return;
      const isUrgent = this.#isUrgent();
      const rate = isUrgent ? 0 : compaction.bytesPerSecond;
      const pace = new Pace(rate);
      const before = this.movedBytes;
      const { writes } = this.#core;
      const startedMs = performance.now();
      const outcome = await this.#job(pick, rate);
      if (hasFailed(outcome)) {
        if (outcome.error.code !== "CORRUPT") {
          this.#skip = SKIPPED_AFTER_FAILURE;
          return;
        }
      }
      const moved = this.movedBytes - before;
      const isLoad = !isUrgent && moved > 0 && this.#core.writes > writes;
      const shareMs = isLoad ? (performance.now() - startedMs) * REST_FACTOR : 0;
      await this.#rest(Math.max(pace.restMs(moved), shareMs));
    }
  }

  /** In a store with a bound: lets keys go, and gives space back, until there is room, or none can be made. */
  async #makeRoom(): Promise<void> {
    const { eviction, durableLog } = this.#core;
    if (eviction === undefined) return;
    const { room } = eviction;
    this.#removeUnseen();
    let isDeadWorthIt = true;
    while (room.isShort && !this.#closed && durableLog.failure === undefined) {
      if (this.#broken !== undefined) return room.refuse(this.#broken);
      const dead: Pick | undefined = isDeadWorthIt
        ? this.#pick(LEAST_GAIN_PART, undefined)
        : undefined;
      const pick = dead ?? eviction.next((segment) => this.#isUsable(segment));
      if (pick === undefined) {
        // A segment that comes, or a file that goes, has this called again.
        if (!eviction.expectsRoom) room.refuse(undefined);
        return;
      }
      const outcome = await this.#job(pick, 0);
      if (hasFailed(outcome)) {
        const { code } = outcome.error;
        if (code === "CORRUPT" || code === "ABORTED") continue;
        return room.refuse(outcome.error);
      }
      isDeadWorthIt = dead === undefined || outcome.freedBytes > 0;
      if (outcome.sieved !== undefined) {
        eviction.done(pick as SievePick, outcome.sieved.result, outcome.sieved);
      }
      room.serve();
    }
  }

  #isUrgent(): boolean {
    const { liveBytes, deadBytes } = this.#core.segments;
    return deadBytes > (liveBytes + deadBytes) * HURRY_PART;
  }

  /** Keeps no program alive, and lets `Store.compact` begin. */
  async #rest(ms: number): Promise<void> {
    const isShort = this.#core.eviction?.room.isShort === true;
    if (ms < 1 || this.#closed || this.#waiting > 0 || isShort) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    Deno.unrefTimer(timer);
    this.#endRest = resolve;
    await promise;
    this.#endRest = undefined;
    clearTimeout(timer);
  }

  /** The next job: for `Store.compact` if `made` tells what its earlier jobs have made. */
  #pick(deadPart: number, made: ReadonlySet<number> | undefined): Pick | undefined {
    const { segments, options, snapshots, eviction } = this.#core;
    return pickSegments(segments, {
      deadPart,
      liveBytes: options.slabBytes,
      oldestFirst: made !== undefined,
      searchAlways: made !== undefined,
      below: this.#sealedBelow(),
      isExcluded: (segment) =>
        this.#damaged.has(segment) || made?.has(segment) === true || snapshots.needs(segment) ||
        // What is copied must fit into the room that is kept for it.
        (eviction !== undefined && segments.liveBytesOf(segment) > options.slabBytes),
      mayDropTombstones: (segment) => {
        const since = this.#removedBytes - (this.#madeAt.get(segment) ?? 0);
        return made !== undefined || since > segments.bytesOf(segment);
      },
    });
  }

  /** Segments from here on may not be sealed in order yet. */
  #sealedBelow(): number {
    const { control, pool } = this.#core.durableLog;
    let below = Infinity;
    for (const { segment, slot } of pool.residents) {
      if (control.get(slot, SlotWord.state) < SlotState.flushed) below = Math.min(below, segment);
    }
    return below;
  }

  #isUsable(segment: number): boolean {
    const { segments, snapshots } = this.#core;
    return segments.newestIn(segment) < this.#sealedBelow() && !this.#damaged.has(segment) &&
      !snapshots.needs(segment);
  }

  async #job(
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
    this.movedBytes += outcome.bytes;
    // At once: the next image of the index, and the next compaction, must know of the file.
    if (core.index === index && outcome.file !== undefined) {
      segments.add(-number, { ...outcome.file, upTo: pick.upTo });
      segments.live.lost(-number, outcome.file.putBytes);
      this.#madeAt.set(-number, this.#removedBytes);
    }
    return await core.forCompaction(() => this.#commit(pick, number, outcome, index));
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
      this.freedBytes += report.freedBytes;
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
    if (this.#closed) return done();
    const { segments } = core;
    if (result.sieve !== undefined) {
      if (result.sieve.passed) {
        return { ...done(), sieved: { made: undefined, keys: 0, bytes: 0, freedBytes: 0, result } };
      }
      const went = await this.#letGo(pick, result.sieve.evicted);
      if (hasFailed(went)) return this.#failed(went, pick);
      report.removedFiles = pick.sources.length;
      report.freedBytes += went.freedBytes;
      this.jobs++;
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
    this.removingBytes += removedBytes;
    const failure = await this.#runner.remove(core.directory, removed);
    if (failure !== undefined) return this.#failed(failure, pick);
    this.removingBytes -= removedBytes;
    report.removedFiles = removed.length;
    this.jobs++;
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

  /** Segments whose files are gone, and that snapshots saw which have ended. */
  #removeUnseen(): void {
    const { segments, snapshots } = this.#core;
    if (this.#broken !== undefined) return;
    for (const segment of [...segments.going]) {
      if (!snapshots.needs(segment)) segments.remove(segment);
    }
  }

  #failed(failure: CompactionFailure, pick: Pick): CompactionFailure {
    const { error, leftDoubt } = failure;
    if (leftDoubt) this.#broken = error;
    if (error.code !== "ABORTED") this.failures++;
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

import { hasFailed, Pace } from "../compaction/mod.ts";
import type { FlagstoneError } from "../errors/mod.ts";
import { SlotState, SlotWord } from "../wal/mod.ts";
import type { CompactedStore } from "./compacted_store.ts";
import { CompactionJobs, type JobReport } from "./compaction_jobs.ts";
import { type Pick, pickSegments } from "./compaction_picks.ts";
import { LEAST_GAIN_PART, type SievePick } from "./eviction.ts";
import type { CompactionStats } from "./stats_types.ts";

/** While so large a part of all records is dead, the rate does not count: space is what is short. */
const HURRY_PART = 0.75;
/** After a job that has copied something, while something was written, the thread rests so many times as long: writers need the processor, too. */
const REST_FACTOR = 2;
/** What `Store.compact` leaves alone: to copy 20 bytes for one that comes back is no good trade. */
const LEAST_DEAD_PART = 0.05;
/** After a failure, so many segments are sealed before the next automatic try. */
const SKIPPED_AFTER_FAILURE = 8;

/**
 * Compaction as the store sees it: decides when to compact, and what, and how fast. What a job then does
 * is in {@linkcode CompactionJobs}.
 */
export class StoreCompaction {
  readonly #core: CompactedStore;
  readonly #jobs: CompactionJobs;
  #turn: Promise<unknown> = Promise.resolve();
  /** Calls of `Store.compact` that wait. */
  #waiting = 0;
  #considering = false;
  /** `consider` was called meanwhile. */
  #again = false;
  /** Calls of `consider` to be ignored. */
  #skip = 0;
  #endRest: (() => void) | undefined;

  /** Compacts `core`, when it is asked to. */
  constructor(core: CompactedStore) {
    this.#core = core;
    this.#jobs = new CompactionJobs(core);
  }

  /** What was done since the store was opened. */
  get stats(): CompactionStats {
    return this.#jobs.stats;
  }

  /** Length of files that are being removed, and of which the store knows no more. */
  get removingBytes(): number {
    return this.#jobs.removingBytes;
  }

  /** Threads running: 0 or 1. */
  get threads(): number {
    return this.#jobs.threads;
  }

  /** False if a file may be there of which the store does not know: then no image of the index may be left. */
  get knowsAllFiles(): boolean {
    return this.#jobs.broken === undefined;
  }

  /** A segment was sealed, or the store opened, or something else has changed: compacts in the background, if that is wanted and worth it. */
  consider(): void {
    const { eviction, options } = this.#core;
    // A log that became a segment is shorter: that may be all the room that is needed.
    eviction?.room.admit();
    if (this.#jobs.isClosed || (options.compaction === "manual" && eviction === undefined)) return;
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
      // From here on: also what is made to make room is as compact as it gets.
      const made = this.#jobs.nextSegment;
      while (!isAborted()) {
        await this.#makeRoom();
        this.#core.assertDurable();
        if (this.#jobs.broken !== undefined) throw this.#jobs.broken;
        const pick = this.#pick(LEAST_DEAD_PART, made);
        if (pick === undefined) return;
        const outcome = await this.#jobs.run(pick, 0);
        if (hasFailed(outcome)) throw outcome.error;
        this.#core.eviction?.room.serve();
        onJob(outcome);
      }
    });
  }

  /** The job that runs ends soon, with `ABORTED`. */
  stop(): void {
    this.#jobs.stop();
  }

  /**
   * Ends what runs, for good. Resolves to true once nothing can change any file any more, to false
   * after `timeoutMs`.
   */
  async close(timeoutMs: number): Promise<boolean> {
    const closing = this.#jobs.close(timeoutMs);
    this.#endRest?.();
    const ended = await closing;
    if (ended) await this.#turn;
    return ended;
  }

  /** Calls `listener` once nothing runs any more, after a `close` that could not wait. */
  onceEnded(listener: () => void): void {
    this.#jobs.onceEnded(listener);
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
    while (!this.#jobs.isClosed && this.#waiting === 0 && this.#jobs.broken === undefined) {
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
      const before = this.#jobs.movedBytes;
      const { writes } = this.#core;
      const startedMs = performance.now();
      const outcome = await this.#jobs.run(pick, rate);
      this.#core.eviction?.room.serve();
      if (hasFailed(outcome)) {
        if (outcome.error.code !== "CORRUPT") {
          this.#skip = SKIPPED_AFTER_FAILURE;
          return;
        }
      }
      const moved = this.#jobs.movedBytes - before;
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
    if (this.#jobs.removeUnseen()) room.serve();
    let isDeadWorthIt = true;
    let isSynced = false;
    while (room.isShort && !this.#jobs.isClosed && durableLog.failure === undefined) {
      if (this.#jobs.broken !== undefined) return room.refuse(this.#jobs.broken);
      const dead: Pick | undefined = isDeadWorthIt
        ? this.#pick(LEAST_GAIN_PART, undefined)
        : undefined;
      const pick = dead ?? eviction.next((segment) => this.#isUsable(segment));
      if (pick === undefined) {
        // A segment that comes, a file that goes, or one that is complete, has this called again.
        if (eviction.expectsRoom || room.isWriting) return;
        if (isSynced) return room.refuse(undefined);
        // The file of a large value that was overwritten goes once what replaced it is durable.
        isSynced = true;
        try {
          await durableLog.flush();
        } catch (error) {
          return room.refuse(error as FlagstoneError);
        }
        await this.#core.blobs.settled();
        room.serve();
        continue;
      }
      const outcome = await this.#jobs.run(pick, 0);
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
    if (ms < 1 || this.#jobs.isClosed || this.#waiting > 0 || isShort) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    Deno.unrefTimer(timer);
    this.#endRest = resolve;
    await promise;
    this.#endRest = undefined;
    clearTimeout(timer);
  }

  /** The next job: for `Store.compact` if `made` tells from which segment on they were made since it was called. */
  #pick(deadPart: number, made: number | undefined): Pick | undefined {
    const { segments, options, snapshots, eviction } = this.#core;
    return pickSegments(segments, {
      deadPart,
      liveBytes: options.slabBytes,
      oldestFirst: made !== undefined,
      searchAlways: made !== undefined,
      below: this.#sealedBelow(),
      isExcluded: (segment) =>
        this.#jobs.isDamaged(segment) || (made !== undefined && segment <= made) ||
        snapshots.needs(segment) ||
        // What is copied must fit into the room that is kept for it.
        (eviction !== undefined && segments.liveBytesOf(segment) > options.slabBytes),
      mayDropTombstones: (segment) =>
        made !== undefined || this.#jobs.removedSince(segment) > segments.bytesOf(segment),
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
    return segments.newestIn(segment) < this.#sealedBelow() && !this.#jobs.isDamaged(segment) &&
      !snapshots.needs(segment);
  }
}

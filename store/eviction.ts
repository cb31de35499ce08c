import { blobFileBytes } from "../blobs/mod.ts";
import {
  type CompactionResult,
  LEAST_DEAD_GAIN_PART,
  MOVE_WORDS,
  MoveWord,
  type SieveOrder,
} from "../compaction/mod.ts";
import { type HashIndex, VisitTable } from "../index/mod.ts";
import type { LogWriter } from "../log/mod.ts";
import type { Slab } from "../memtable/mod.ts";
import { FILE_HEADER_BYTES, SlotState, SlotWord } from "../wal/mod.ts";
import type { BlobFiles } from "./blob_files.ts";
import {
  deadPartOf,
  describePick,
  keptBytesOf,
  type Pick,
  tombstoneBytesOf,
} from "./compaction_picks.ts";
import { DiskRoom } from "./disk_room.ts";
import type { EventSource } from "./event_source.ts";
import { EvictedEvent } from "./events.ts";
import type { SegmentSet } from "./segment_set.ts";
import type { Snapshots } from "./snapshots.ts";
import type { EvictionStats } from "./stats_types.ts";

/** Segments are copied to make room only if this part of them comes back: else the hand just passes them. */
export const LEAST_GAIN_PART = 0.25;
/** Of what stayed from earlier laps: once so much of it is tombstones, they are looked at, whatever it costs. */
const MOST_TOMBSTONES_PART = 0.25;
/** If the last job kept less than this part, the next one goes over several slabs: each job has its price. */
const FEW_KEPT_PART = 0.1;
const MANY_SLABS = 3;
/** Most segments that one job replaces. */
const MAX_SOURCES = 64;

/** What eviction needs of the store. */
export interface EvictingStore {
  readonly directory: string;
  readonly options: { readonly slabBytes: number; readonly slabs: number };
  readonly segments: SegmentSet;
  readonly durableLog: LogWriter;
  /** Another one after a `clear`. */
  readonly index: HashIndex;
  readonly blobs: BlobFiles;
  readonly snapshots: Snapshots;
  readonly compaction: { readonly removingBytes: number; consider(): void };
  readonly events: EventSource;
}

/** Segments over which the hand is to go, and how. */
export interface SievePick extends Pick {
  readonly order: SieveOrder;
}

/** What a job of the hand came to. */
export interface SieveOutcome {
  /** The segment with what stayed, if anything did. */
  readonly made: number | undefined;
  readonly keys: number;
  readonly bytes: number;
  /** By how much that made the files shorter. */
  readonly freedBytes: number;
}

/**
 * Makes room in a store with `maxBytes`: keys that nobody has read of late go. By SIEVE: the log is the
 * queue, oldest first, and the hand goes over its segments, one job of the compaction after another (see
 * `compaction/sieve.ts`). What stays is copied to a new segment, which takes the place of the old ones
 * in the queue, behind the hand.
 *
 * A key goes from the index after its file is durably gone: nobody sees it missing before it is sure
 * that no crash brings it back. It needs no tombstone, unless some file has an older record of it.
 */
export class Eviction {
  /** Which keys were read since the hand came by. */
  readonly visits: VisitTable = new VisitTable();
  /** What grows asks here. */
  readonly room: DiskRoom;
  readonly #core: EvictingStore;
  readonly #maxBytes: number;
  /** The last segment that the hand has passed: by the newest segment of which it had records, and its number. */
  #hand = { upTo: 0, number: 0 };
  /** A segment in which the hand has stopped, and where. */
  #within: { readonly segment: number; readonly offset: number } | undefined;
  /** Segments with what stayed in this lap: the hand comes to them in the next. */
  readonly #made = new Set<number>();
  /** Segments passed since anything came back. */
  #fruitless = 0;
  /** How much of what the last job went over has stayed. */
  #keptPart = 1;
  #laps = 0;
  #keys = 0;
  #bytes = 0;
  #passed = 0;
  readonly #sealed = new WeakSet<Slab>();

  /** Keeps the files of `core` below `maxBytes`. */
  constructor(core: EvictingStore, maxBytes: number) {
    this.#core = core;
    this.#maxBytes = maxBytes;
    const { directory, options: { slabBytes, slabs }, durableLog: log } = core;
    this.room = new DiskRoom({
      ...{ directory, maxBytes, slabBytes, slabs, log },
      usedBytes: () => this.#usedBytes(),
      onShort: () => core.compaction.consider(),
    });
  }

  /** See `StoreStats.eviction`. */
  get stats(): EvictionStats {
    const { segments } = this.#core;
    const ahead = segments.files.filter((segment) => this.#isAhead(segment)).length;
    return {
      maxBytes: this.#maxBytes,
      diskBytes: this.room.usedBytes,
      keys: this.#keys,
      bytes: this.#bytes,
      waits: this.room.waits,
      laps: this.#laps,
      segmentsAhead: ahead,
      segmentsPassed: this.#passed,
      visitMemoryBytes: this.visits.memory.byteLength,
    };
  }

  /** The segment of `slab` is known. */
  sealed(slab: Slab): void {
    this.#sealed.add(slab);
  }

  /** True while a full log is about to become a segment, over which the hand can go, or a file is about to go. */
  get expectsRoom(): boolean {
    const { durableLog: { pool, control }, blobs } = this.#core;
    return blobs.isRemoving || pool.residents.some((slab) => {
      const state = control.get(slab.slot, SlotWord.state);
      return state !== SlotState.active && this.#logBytes(slab) > 0;
    });
  }

  /**
   * Where the hand goes next, among segments of which `isUsable` says that they may be touched.
   * `undefined` if there is nothing over which it could go.
   */
  next(isUsable: (segment: number) => boolean): SievePick | undefined {
    const { segments } = this.#core;
    // What nothing can go from is not even looked at: each write that is refused would have all of it copied.
    const usable = segments.files.filter((segment) => isUsable(segment) && this.#mayGive(segment));
    // Once round in vain: everything is read all the time, or cannot be touched.
    const takesAll = this.#fruitless >= usable.length;
    if (this.#fruitless >= 2 * usable.length) {
      // Nor did that help. What is in the log may; and the next call tries again.
      this.#fruitless = 0;
      this.#seal();
      return undefined;
    }
    const within = this.#within;
    if (within !== undefined && usable.includes(within.segment)) {
      return this.#pick([within.segment], within.offset, takesAll);
    }
    let ahead = usable.filter((segment) => this.#isAhead(segment));
    if (ahead.length === 0) {
      // The records of large values are short: it would take very many to fill a log.
      if (this.#core.blobs.bytes * 2 >= this.room.usedBytes && this.#seal()) return undefined;
      this.#laps++;
      this.#hand = { upTo: 0, number: 0 };
      this.#made.clear();
      ahead = usable;
    }
    const sources: number[] = [];
    let alive = 0;
    // What stays must fit into one slab.
    const { slabBytes } = this.#core.options;
    const mostAlive = this.#keptPart < FEW_KEPT_PART ? slabBytes * MANY_SLABS : slabBytes;
    for (const segment of ahead) {
      alive += segments.liveBytesOf(segment);
      if (sources.length > 0 && alive > mostAlive) break;
      sources.push(segment);
      if (sources.length === MAX_SOURCES) break;
    }
    return this.#pick(sources, 0, takesAll);
  }

  /** The hand has gone over `pick`. */
  done(pick: SievePick, { moves, sieve, file }: CompactionResult, outcome: SieveOutcome): void {
    const { examined, passed } = sieve!;
    const { made, keys, bytes, freedBytes } = outcome;
    this.#hand = { upTo: pick.upTo, number: Math.abs(pick.sources.at(-1)!) };
    this.#within = undefined;
    if (made !== undefined && examined < moves.length / MOVE_WORDS) {
      this.#within = { segment: made, offset: moves[examined * MOVE_WORDS + MoveWord.offset]! };
    }
    if (made !== undefined) this.#made.add(made);
    const keptBytes = file === undefined ? 0 : file.putBytes;
    this.#keptPart = passed ? 1 : keptBytes / Math.max(1, keptBytes + bytes);
    if (passed) this.#passed += pick.sources.length;
    if (keys > 0 || freedBytes > 0) this.#fruitless = 0;
    else this.#fruitless += pick.sources.length;
    if (keys === 0) return;
    this.#keys += keys;
    this.#bytes += bytes;
    this.#core.events.emit("evicted", () => new EvictedEvent(keys, bytes));
  }

  /** False if a snapshot sees every record of `segment`, and hardly any of them is dead. */
  #mayGive(segment: number): boolean {
    const { segments, snapshots } = this.#core;
    if (segments.newestIn(segment) >= snapshots.seenSegmentsBelow) return true;
    const kept = keptBytesOf(segments, segment, false);
    return deadPartOf(segments, segment, kept) >= LEAST_DEAD_GAIN_PART;
  }

  #isAhead(segment: number): boolean {
    if (this.#made.has(segment)) return false;
    const { upTo, number } = this.#hand;
    const newest = this.#core.segments.newestIn(segment);
    return newest > upTo || (newest === upTo && Math.abs(segment) > number);
  }

  #pick(sources: readonly number[], from: number, takesAll: boolean): SievePick {
    const { segments, snapshots, blobs, index, options } = this.#core;
    this.visits.fit(index.size);
    const fileBytes = new Map<number, number>();
    for (const [version, { length }] of blobs.live) fileBytes.set(version, blobFileBytes(length));
    const order = {
      visits: this.visits.memory,
      from,
      pinnedBelow: snapshots.seenBelow,
      leastPart: takesAll ? 0 : LEAST_GAIN_PART,
      keptBytes: options.slabBytes,
      takesAll,
      fileBytes,
      mostFileBytes: this.room.missingBytes,
    };
    const pick = describePick(segments, sources);
    let tombstones = 0;
    let records = 0;
    for (const segment of sources) {
      if (segment < 0) tombstones += tombstoneBytesOf(segments, segment);
      records += segments.factsOf(segment).recordsEnd;
    }
    const searchOthers = pick.searchOthers || tombstones > records * MOST_TOMBSTONES_PART;
    return { ...pick, searchOthers, order };
  }

  /** Has the log become a segment: only over these the hand goes. False if there is nothing in it. */
  #seal(): boolean {
    const { durableLog: log } = this.#core;
    const { active } = log.memtable;
    if (active === undefined || log.control.reservedEnd(active.slot) === FILE_HEADER_BYTES) {
      return false;
    }
    log.rotate();
    return true;
  }

  #usedBytes(): number {
    const { segments, blobs, compaction, durableLog: { pool } } = this.#core;
    let bytes = segments.totalBytes + blobs.bytes + compaction.removingBytes;
    if (pool.next !== undefined) bytes += pool.next.image.bytes.length;
    for (const slab of pool.residents) bytes += this.#logBytes(slab);
    return bytes;
  }

  /** Length of the file of a slab that is no segment yet; 0 if it is, or never will be. */
  #logBytes(slab: Slab): number {
    const { control } = this.#core.durableLog;
    if (this.#sealed.has(slab)) return 0;
    const fileBytes = control.get(slab.slot, SlotWord.fileBytes);
    const isFinished = control.get(slab.slot, SlotWord.state) > SlotState.logged;
    return fileBytes > 0 || isFinished ? fileBytes : slab.image.bytes.length;
  }
}

import type { FlagstoneError } from "../errors/mod.ts";
import type { SlowOperation } from "../vfs/mod.ts";
import type { RecoveryReport } from "./stats_types.ts";

/** A slab was full: from now on writes go to the next one. */
export class RotationEvent extends Event {
  /** Number of the segment that takes writes now: its log is `<segment>.log`. */
  readonly segment: number;
  /** Length of its slab, in bytes. */
  readonly slabBytes: number;

  /** Made by the store. */
  constructor(segment: number, slabBytes: number) {
    super("rotation");
    this.segment = segment;
    this.slabBytes = slabBytes;
  }
}

/** A full log has become a segment, durably. */
export class FlushEvent extends Event {
  /** Number of the segment. */
  readonly segment: number;
  /** Length of its file, footer included, in bytes. */
  readonly fileBytes: number;

  /** Made by the store. */
  constructor(segment: number, fileBytes: number) {
    super("flush");
    this.segment = segment;
    this.fileBytes = fileBytes;
  }
}

/** Every slab is full: from now on writes wait for the disk. Told once, until none waits any more. */
export class StallEvent extends Event {
  /** Writes that wait. */
  readonly waitingWrites: number;
  /** Space that they wait for, in bytes. */
  readonly waitingBytes: number;

  /** Made by the store. */
  constructor(waitingWrites: number, waitingBytes: number) {
    super("stall");
    this.waitingWrites = waitingWrites;
    this.waitingBytes = waitingBytes;
  }
}

/**
 * A call of the file system takes long, and goes on; or writes wait, nothing moves, and no call is
 * known that could be why (as without Workers). Told again each time that the duration has doubled.
 */
export class SlowDiskEvent extends Event {
  /** For how long, at least, in milliseconds. */
  readonly durationMs: number;
  /** Writes that wait for the disk. */
  readonly waitingWrites: number;
  /** The call, such as `syncData` or `writeAt`, if one is known. */
  readonly operation: string | undefined;
  /** The file or directory that it is about; the end of the path where that is long. */
  readonly path: string | undefined;
  /** How much it reads or writes, in bytes, rounded up to KiB; 0 where that means nothing. */
  readonly bytes: number;

  /** Made by the store. */
  constructor(durationMs: number, waitingWrites: number, call: SlowOperation | undefined) {
    super("slowdisk");
    this.durationMs = durationMs;
    this.waitingWrites = waitingWrites;
    this.operation = call?.operation;
    this.path = call?.path;
    this.bytes = call?.bytes ?? 0;
  }
}

/** The store takes no more writes until it is opened again. */
export class FailureEvent extends Event {
  /** What every write gets from now on. */
  readonly error: FlagstoneError;

  /** Made by the store. */
  constructor(error: FlagstoneError) {
    super("error");
    this.error = error;
  }
}

/**
 * The disk has failed, and the store, which was opened with `onWriteFailure: "memory"`, goes on in
 * memory only: nothing that is written from now on is durable. Told once, instead of `error`, and kept
 * until somebody listens.
 */
export class DegradedEvent extends Event {
  /** The failure. */
  readonly error: FlagstoneError;

  /** Made by the store. */
  constructor(error: FlagstoneError) {
    super("degraded");
    this.error = error;
  }
}

/** What opening found. Kept until somebody listens: who adds a listener after `open` gets it. */
export class RecoveryEvent extends Event {
  /** The same as `stats().recovery`. */
  readonly report: RecoveryReport;

  /** Made by the store. */
  constructor(report: RecoveryReport) {
    super("recovery");
    this.report = report;
  }
}

/** The time of some keys was over, and they were removed. */
export class ExpiredEvent extends Event {
  /** How many, since the last event. */
  readonly keys: number;

  /** Made by the store. */
  constructor(keys: number) {
    super("expired");
    this.keys = keys;
  }
}

/** Keys went to make room: see `OpenOptions.maxBytes`. */
export class EvictedEvent extends Event {
  /** How many. Which ones is not told: they are known by their hashes only. */
  readonly keys: number;
  /** Space of their records, and of the files of large values. */
  readonly bytes: number;

  /** Made by the store. */
  constructor(keys: number, bytes: number) {
    super("evicted");
    this.keys = keys;
    this.bytes = bytes;
  }
}

/** Events of a store, by their names. */
export interface StoreEventMap {
  /** A slab was full. */
  rotation: RotationEvent;
  /** A log has become a segment. */
  flush: FlushEvent;
  /** Writes begin to wait for memory. */
  stall: StallEvent;
  /** A call of the file system takes long. */
  slowdisk: SlowDiskEvent;
  /** The time of keys was over. */
  expired: ExpiredEvent;
  /** Keys went to make room. */
  evicted: EvictedEvent;
  /** The store has failed. */
  error: FailureEvent;
  /** The store goes on in memory only. */
  degraded: DegradedEvent;
  /** What opening found. */
  recovery: RecoveryEvent;
}

/** A listener for one event of a store. */
export type StoreListener<K extends keyof StoreEventMap> =
  | ((event: StoreEventMap[K]) => void)
  | { handleEvent(event: StoreEventMap[K]): void };

import type { Fs } from "../vfs/mod.ts";
import type { Durability } from "./log_parts.ts";

/** Turns values into records and back; without one, a record is a `Uint8Array`. */
export interface Codec<T> {
  /** The bytes of a value; they are copied at once. */
  encode(value: T): Uint8Array;
  /** The value of these bytes, which are the callee's to keep. May throw: `WalRecord.value` then does. */
  decode(bytes: Uint8Array): T;
}

/** Options of `Wal.open`. All are checked before anything is touched. */
export interface WalOptions<T = Uint8Array> {
  /** When `append` resolves, unless the call says otherwise. Default `memory`: at once, and `sync` makes durable. */
  readonly durability?: Durability;
  /** Create the log if the directory is missing or empty. Default true. */
  readonly create?: boolean;
  /** The file system. Default: the operating system's. One that only this thread can reach makes the log work without Workers. */
  readonly fs?: Fs;
  /** How values become bytes. Default: values are `Uint8Array`s. */
  readonly codec?: Codec<T>;
  /** Length of a segment file, and of the slab in memory that fills it, in bytes: 64 KiB to 1 GiB, rounded up to 4 KiB. Default 16 MiB. May differ from what the log was created with. */
  readonly segmentBytes?: number;
  /** Number of slabs, 2 to 64. Default 3. Memory grows to `slabs × segmentBytes` under load, which may be 8 GiB at most. */
  readonly slabs?: number;
  /** Longest record, in bytes, 1 to 1 GiB. Default 64 MiB. Of appends only: longer ones that are in the log stay readable. */
  readonly maxRecordBytes?: number;
  /** Milliseconds after which appends that nobody waits for are synced, 1 to 60000; 0 = not before the log is idle. Default 0. */
  readonly syncIntervalMs?: number;
  /** Milliseconds without work after which the worker threads end, 50 to 2000. Default 1000. */
  readonly idleWorkerMs?: number;
  /** Milliseconds without any progress of the disk after which waiting appends are rejected with `STALLED`; 1000 to 600000. Default 60000. */
  readonly stallTimeoutMs?: number;
}

/** Options of one append. */
export interface AppendOptions {
  /** When the promise resolves; the log's `durability` unless given. */
  readonly durability?: Durability;
}

/** What an iteration does about a record that does not match its checksum. */
export type CorruptionPolicy = "throw" | "stop" | "skip";

/** Options of `Wal.iterate`. */
export interface IterateOptions {
  /** Begin with the record that has this LSN. Default: the oldest. */
  readonly from?: number;
  /** `throw` (default): `CORRUPT`, with file and offset. `stop`: end there. `skip`: go on with the next whole record. */
  readonly onCorruption?: CorruptionPolicy;
}

/** What opening a log found. */
export interface WalRecovery {
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
  /** Segments that were complete, so that nothing but their last record was read. */
  readonly segments: number;
  /** Segments whose records were all read. */
  readonly replayedSegments: number;
  /** Bytes cut off because the end of the log was torn. */
  readonly tornBytes: number;
  /** Where that was. */
  readonly cut: { readonly path: string; readonly offset: number } | undefined;
}

/** Figures of `Wal.stats`. */
export interface WalStats {
  /** LSN from which on records are kept. */
  readonly head: number;
  /** LSN above every record. */
  readonly end: number;
  /** Every record below this LSN is durable. */
  readonly durable: number;
  /** Segment files, the active one included. */
  readonly segments: number;
  /** Records appended by this handle since it was opened. */
  readonly appends: number;
  /** How often an append had to wait for memory. */
  readonly stalls: number;
  /** Write calls of the log worker. */
  readonly logWrites: number;
  /** Sync calls of the log worker. */
  readonly logSyncs: number;
  /** Memory of slabs, in bytes. */
  readonly slabMemoryBytes: number;
  /** Worker threads running now. */
  readonly threads: number;
  /** What opening found. */
  readonly recovery: WalRecovery;
}

/**
 * What another thread needs to append to an open log: plain data for `postMessage`. Good until the
 * log is closed, or until a thread that used it died in the middle of an append.
 */
export interface WalHandle {
  /** The words that threads share. */
  readonly control: SharedArrayBuffer;
  /** Memory of the slabs. */
  readonly slabs: readonly SharedArrayBuffer[];
  /** Which memory of its slot each of them is. */
  readonly generations: readonly number[];
  /** Longest record, in bytes. */
  readonly maxRecordBytes: number;
}

import type { FlagstoneError } from "../errors/mod.ts";
import type { VerifyProblem } from "./maintenance_types.ts";
import type { Key } from "./types.ts";

/** What opening found of the files of large values. */
export interface BlobRecoveryReport {
  /** Files that keys have. */
  readonly files: number;
  /** Files removed: what a crash left of values that never were, or are no more. */
  readonly swept: number;
  /** Files that are missing or of another length, and records that should name one and cannot be read. Only their keys are affected. */
  readonly problems: readonly VerifyProblem[];
}

/** A file that `onCorruption: "salvage"` has set aside: see `OpenOptions`. */
export interface SalvagedFile {
  /** Where it was. */
  readonly path: string;
  /** What was wrong with it. */
  readonly message: string;
  /** Where it is now; `undefined` if it was missing. */
  readonly movedTo: string | undefined;
  /** The segment that has what could be read of it; `undefined` for the file of a large value, or of another store. */
  readonly replacement: string | undefined;
  /** Records kept: of each key the newest that could be read. */
  readonly keptRecords: number;
  /** Bytes that could not be read, or the length of the large value. */
  readonly lostBytes: number;
  /** Keys of which the newest value in this file is lost; `undefined` if nobody can say which. */
  readonly lostKeys: readonly Key[] | undefined;
}

/** What recovery found when the store was opened. */
export interface RecoveryReport {
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
  /**
   * Whether the image of the index that the last clean close left was of use: `loaded`; `absent`, as
   * small stores have none; `unusable`, as it was damaged or is of another state of the directory.
   */
  readonly indexImage: "loaded" | "absent" | "unusable";
  /** Sealed segments whose footers were read: those that are not in the image. */
  readonly segments: number;
  /** Logs that were replayed. */
  readonly logs: number;
  /** Records replayed from logs. */
  readonly records: number;
  /** Bytes of torn writes that were cut off. None of them belonged to an acknowledged `synced` write. */
  readonly tornBytes: number;
  /** The log that was cut, and where. */
  readonly cut: { readonly path: string; readonly offset: number } | undefined;
  /** What there is of the files of large values. */
  readonly blobs: BlobRecoveryReport;
  /** Files that were damaged and set aside; empty without `onCorruption: "salvage"`. */
  readonly salvaged: readonly SalvagedFile[];
}

/** What became of a store that was opened with `onWriteFailure: "memory"` and whose disk has failed. */
export interface DegradedStats {
  /** The failure. */
  readonly error: FlagstoneError;
  /** Writes accepted since then: they are in memory only. */
  readonly writes: number;
  /** Keys dropped since then, the oldest first, to make room in memory. */
  readonly droppedKeys: number;
}

/** Figures about an open store. */
export interface StoreStats {
  /** Keys that have a value. Those whose time is over count until they are removed, a moment later. */
  readonly keys: number;
  /** Keys that expire. */
  readonly expiry: {
    /** How many there are now. */
    readonly keys: number;
    /** How many were removed, since the store was opened, because their time was over; those that were so when it was opened included. */
    readonly expired: number;
    /** Memory for their times, in bytes: 44 for each key, of as many as there ever were at one time. */
    readonly memoryBytes: number;
  };
  /** Sealed segments on disk. */
  readonly segments: number;
  /** Bytes of sealed segments on disk, footers included. */
  readonly segmentBytes: number;
  /** Files of large values, those included that are about to be removed. */
  readonly blobFiles: number;
  /** Their length, in bytes. */
  readonly blobBytes: number;
  /** Space of the records in segments that are the current values of their keys, in bytes. */
  readonly liveBytes: number;
  /** Space of all other records in segments: values that were overwritten or deleted, and deletes. Compaction gives most of it back. */
  readonly deadBytes: number;
  /** What compaction has done since the store was opened. */
  readonly compaction: CompactionStats;
  /** What was done to keep the files below `maxBytes`; `undefined` if the store has no such bound. */
  readonly eviction: EvictionStats | undefined;
  /** Snapshots that are open. */
  readonly snapshots: number;
  /** Values that only they see: some 250 bytes of memory each, and their segments are not compacted. */
  readonly snapshotEntries: number;
  /** Memory of slabs, in bytes. */
  readonly slabMemoryBytes: number;
  /** Memory of the read cache, in bytes: see `OpenOptions.readCacheBytes`. */
  readonly readCacheMemoryBytes: number;
  /** Memory of the index, in bytes. */
  readonly indexMemoryBytes: number;
  /** Slabs free, taking writes, waiting for the log worker, waiting for the flush worker, and serving reads. */
  readonly slabs: {
    readonly free: number;
    /** Made ready to take over when the active one is full. */
    readonly next: number;
    readonly active: number;
    readonly sealed: number;
    readonly logged: number;
    readonly flushed: number;
  };
  /** Writes accepted since the store was opened: puts, deletes, and operations of batches. */
  readonly writes: number;
  /** Length of the values that were put since the store was opened, in bytes. */
  readonly valueBytes: number;
  /** Bytes that were stored for them: less than `valueBytes` where values are compressed. */
  readonly storedValueBytes: number;
  /** Writes that wait for memory or for a key's lock now. */
  readonly waitingWrites: number;
  /** Space in the log that they wait for, in bytes: see `OpenOptions.maxWaitingBytes`. */
  readonly waitingBytes: number;
  /** How often a write had to wait for memory. */
  readonly stalls: number;
  /** How often a key's lock was waited for. */
  readonly contendedLocks: number;
  /** Writes that wait for the log worker now. */
  readonly pendingAcks: number;
  /** Bytes of the log that writes took since the store was opened, record headers and padding included. */
  readonly logBytes: number;
  /** Write calls of the log worker. */
  readonly logWrites: number;
  /** Sync calls of the log worker; `writes / logSyncs` is the size of a group commit. */
  readonly logSyncs: number;
  /** Slabs sealed. */
  readonly rotations: number;
  /** Set if the disk has failed and the store goes on in memory only: see `OpenOptions.onWriteFailure`. */
  readonly degraded: DegradedStats | undefined;
  /** Worker threads running now. */
  readonly threads: number;
  /** What opening found. */
  readonly recovery: RecoveryReport;
}

/** What compaction has done since the store was opened. */
export interface CompactionStats {
  /** Times that segments were replaced by one, or removed as nothing in them was alive. */
  readonly jobs: number;
  /** By how many bytes that made the files shorter. */
  readonly freedBytes: number;
  /** Bytes that were read and written for it. */
  readonly movedBytes: number;
  /** Jobs that failed; what they were about stays as it was. */
  readonly failures: number;
}

/** How a store with `maxBytes` keeps below it: figures since it was opened. */
export interface EvictionStats {
  /** See `OpenOptions.maxBytes`. */
  readonly maxBytes: number;
  /** Length of all files that it bounds, in bytes: logs that are being written count as full. */
  readonly diskBytes: number;
  /** Keys that went. */
  readonly keys: number;
  /** Space of their records, and of the files of large values. */
  readonly bytes: number;
  /** How often the file of a large value had to wait for room; writes that wait for the log are in `stalls`. */
  readonly waits: number;
  /** How often the hand has gone round. */
  readonly laps: number;
  /** Segments to which it has yet to come in this lap. */
  readonly segmentsAhead: number;
  /** Segments that it has left as they were, as too few of their keys would have gone. */
  readonly segmentsPassed: number;
  /** Memory for which keys were read, in bytes: one or two for each key. */
  readonly visitMemoryBytes: number;
}

import type { FlagstoneError } from "../errors/mod.ts";
import type { Durability } from "../log/mod.ts";
export type { Durability } from "../log/mod.ts";

/** A key: a string, or bytes. Both are the same key if their UTF-8 bytes are the same. 1 to 65,535 bytes. */
export type Key = string | Uint8Array;

/** A value: bytes, or a string that is stored as UTF-8. */
export type Value = Uint8Array | ArrayBuffer | string;

/** A value as {@linkcode Store.put} takes it: also as a stream, or a `Blob` (a `File`), of any length. */
export type PutValue = Value | ReadableStream<Uint8Array> | Blob;

/** Options of every write. */
export interface WriteOptions {
  /** When the promise resolves; the store's `durability` unless given. */
  readonly durability?: Durability;
  /**
   * Ends the wait for a place in the log. If it fires before the write has one, because it waits for
   * memory or for its key, the write rejects with `ABORTED`, and nothing is written; afterwards it
   * has no effect. Most writes have their place when the call returns. A write with a signal is
   * seen by reads once it has its place.
   */
  readonly signal?: AbortSignal;
}

/** How values are compressed: none, a codec by its name (`zstd` is always there), or with its level. */
export type Compression = "none" | "zstd" | (string & Record<never, never>) | CompressionOptions;

/**
 * How values are compressed. A value is stored as it is unless an eighth of it is saved. Values of 64
 * KiB and more are compressed by zstd on a thread of their own; all others on the calling one.
 */
export interface CompressionOptions {
  /** `zstd`, or the name of a codec that `open` was given. */
  readonly codec: string;
  /** Higher: smaller and slower. zstd: 1 to 19, default 1. */
  readonly level?: number;
  /** Values shorter than this are stored as they are. Default 512: below, little is saved for some 20 µs. */
  readonly minBytes?: number;
}

/** Options of a write that has values, such as {@linkcode Store.batch}. */
export interface ValueOptions extends WriteOptions {
  /** How the values are compressed; as the store does it unless given. */
  readonly compression?: Compression;
}

/**
 * What a write asks of its key. It is decided when the write's turn comes, after all writes to the
 * key that were called before; if it does not hold, the write rejects with `CONFLICT`, whose
 * `version` field tells what was found, and nothing is written. A write with a condition is seen by
 * reads once it has its place in the log.
 */
export interface WriteCondition {
  /** The key must have this version; 0: it must have no value. Not to be given as `undefined`. */
  readonly ifVersion?: number;
}

/**
 * When a value ends: from that moment on its key is missing, as if it had been deleted. A value that is
 * put without either does not end, whatever was there before. It costs 8 bytes on disk, and 44 of memory.
 */
export interface Expiring {
  /** Milliseconds from the call on, above 0. */
  readonly expireIn?: number | undefined;
  /** The moment: a Date, or milliseconds since 1970. One in the past is allowed: the key is missing at once. */
  readonly expireAt?: Date | number | undefined;
}

/** Options of {@linkcode Store.put}. */
export interface PutOptions extends ValueOptions, PutCondition, Expiring {}

/** Options of {@linkcode Store.update}; they are about the new value. */
export interface UpdateOptions extends ValueOptions, Expiring {}

/** What a put asks of its key. */
export interface PutCondition extends WriteCondition {
  /** If true, the key must have no value: the same as `ifVersion: 0`. Default false. */
  readonly ifAbsent?: boolean;
}

/** Options of {@linkcode Store.delete}. */
export interface DeleteOptions extends WriteOptions, WriteCondition {}

/** One write of a batch. Its condition is about what is there before the batch. */
export type BatchOperation =
  | (
    & {
      readonly type: "put";
      readonly key: Key;
      readonly value: Value;
      /** How this value is compressed; as the batch does it unless given. */
      readonly compression?: Compression;
    }
    & PutCondition
    & Expiring
  )
  | ({ readonly type: "delete"; readonly key: Key } & WriteCondition);

/** Options of {@linkcode Store.stream}. */
export interface StreamOptions {
  /** First byte of the value. Default 0. */
  readonly offset?: number;
  /** Number of bytes. Default: all from `offset` on. */
  readonly length?: number;
  /** Ends the stream with `ABORTED` when it fires. */
  readonly signal?: AbortSignal;
}

/** A value and its version. */
export interface Entry {
  /** The value. */
  readonly value: Uint8Array;
  /** Its version, as the write returned it. */
  readonly version: number;
  /** When it ends, in ms since the epoch; not there if it does not. */
  readonly expiresAt?: number;
}

/** Which keys {@linkcode Store.list} lists. */
export interface ListOptions {
  /** Only keys that begin with this. */
  readonly prefix?: Key;
  /** Only keys from here on, this one included. */
  readonly start?: Key;
  /** Only keys before this, this one excluded. */
  readonly end?: Key;
  /** Descending order. Default false. */
  readonly reverse?: boolean;
  /** At most so many. Default: all. */
  readonly limit?: number;
  /** Ends the listing with `ABORTED` when it fires. */
  readonly signal?: AbortSignal;
  /** List the keys, versions and sizes of one moment, that of the first `next`, by a snapshot that ends with the iteration. Default false. */
  readonly consistent?: boolean;
}

/** One key of a listing. */
export interface ListEntry {
  /** The key: a string if it was put as a string, else bytes. */
  readonly key: Key;
  /** Version of the value, as `put` returned it. */
  readonly version: number;
  /** Length of the value in bytes. If it is compressed, listing reads a few bytes of it. */
  readonly size: number;
  /** Bytes that are stored for it: `size`, or less if it is compressed. */
  readonly storedSize: number;
  /** When the value ends, in ms since the epoch; not there if it does not. */
  readonly expiresAt?: number;
}

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

/** Options of {@linkcode Store.compact}. */
export interface CompactOptions {
  /** Ends the compaction with `ABORTED` when it fires; what was done stays done. */
  readonly signal?: AbortSignal;
  /** Told after each step of what was done so far. What it throws ends the compaction. */
  readonly onProgress?: (report: CompactReport) => void;
}

/** What {@linkcode Store.compact} has done. */
export interface CompactReport {
  /** Segments removed. */
  readonly removedFiles: number;
  /** Segments made of what was alive in them. */
  readonly madeFiles: number;
  /** By how many bytes that made the files shorter. */
  readonly freedBytes: number;
  /** Records copied. */
  readonly copiedRecords: number;
  /** Deletes that were dropped, as no file has an older value of their keys any more. */
  readonly droppedTombstones: number;
}

/** Options of {@linkcode Store.checkpoint}. */
export interface CheckpointOptions {
  /** Ends the checkpoint with `ABORTED` when it fires; nothing of it is a store then. */
  readonly signal?: AbortSignal;
}

/** What {@linkcode Store.checkpoint} made. */
export interface CheckpointReport {
  /** Segments that the copy shares with the store, as second names of the same files. */
  readonly linkedFiles: number;
  /** Files that were copied: the log, and segments where the file system has no hard links. */
  readonly copiedFiles: number;
  /** Length of the copy's segments and log, in bytes. */
  readonly bytes: number;
}

/** Options of {@linkcode Store.verify}. */
export interface VerifyOptions {
  /** Ends the verification with `ABORTED` when it fires. */
  readonly signal?: AbortSignal;
  /** Told, some MiB at a time, how far it is. What it throws ends the verification. */
  readonly onProgress?: (progress: VerifyProgress) => void;
}

/** How far a verification is. */
export interface VerifyProgress {
  /** Files begun. */
  readonly files: number;
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes that there are to be read, as far as is known: the store may grow and shrink meanwhile. */
  readonly totalBytes: number;
  /** Problems found. */
  readonly problems: number;
}

/** What {@linkcode Store.verify} found. */
export interface VerifyReport {
  /** Files read. */
  readonly files: number;
  /** Bytes read. */
  readonly bytes: number;
  /** Records whose checksum was computed. */
  readonly records: number;
  /** Entries of the index, each of which was compared with its record unless that changed meanwhile. */
  readonly indexEntries: number;
  /** What does not hold, in words, with the place. Empty: all is well. */
  readonly problems: readonly VerifyProblem[];
}

/** One thing that does not hold. */
export interface VerifyProblem {
  /** The file. */
  readonly path: string;
  /** Byte offset in it. */
  readonly offset: number;
  /** What was found. */
  readonly message: string;
}

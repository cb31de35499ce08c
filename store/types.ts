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

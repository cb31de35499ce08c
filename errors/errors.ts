/**
 * What went wrong, as a word that stays the same across versions.
 *
 * Of the store:
 * - `CLOSED`: the store, file or handle was closed before or during the call.
 * - `LOCKED`: another owner, in this process or another, has it.
 * - `CORRUPT`: bytes that were synced no longer match their checksum; `path` and `offset` tell where.
 * - `NOT_A_STORE`: the directory holds something else than a Flagstone store.
 * - `NEWER_FORMAT`: a file was written by a later version of Flagstone.
 * - `WRITE_FAILED`: a write or sync of the log failed; the store takes no more writes until reopened.
 * - `WORKER_DIED`: a worker thread ended with an error; otherwise as `WRITE_FAILED`.
 * - `STALLED`: the disk made no progress for `stallTimeoutMs`; otherwise as `WRITE_FAILED`.
 * - `TOO_LARGE`: a key, value or batch exceeds a limit.
 * - `CONFLICT`: the condition of a write did not hold: `version` tells what was found, `index` which
 *   operation of a batch it was. Nothing was written.
 * - `UNKNOWN_CODEC`: a value was compressed by a codec that `open` was not given.
 * - `ABORTED`: the caller's AbortSignal fired.
 *
 * Of file systems (and of the store, where one of these is the whole story):
 * - `NOT_FOUND`, `EXISTS`, `NOT_EMPTY`, `NOT_A_DIRECTORY`, `IS_A_DIRECTORY`: about the path.
 * - `NO_SPACE`: the disk is full.
 * - `PERMISSION`: refused by Deno's permissions or the operating system.
 * - `READ_ONLY`: the file system or handle does not take writes.
 * - `BUSY`: of a file: it is open and this file system does not remove or replace open files. Of a
 *   write: it would have to wait, and `maxWaitingBytes` wait already; nothing was written.
 * - `INVALID`: an argument that the file system cannot use.
 * - `UNSUPPORTED`: this file system or platform cannot do it.
 * - `IO`: any other failure of the device.
 */
export type ErrorCode =
  | "CLOSED"
  | "LOCKED"
  | "CORRUPT"
  | "NOT_A_STORE"
  | "NEWER_FORMAT"
  | "WRITE_FAILED"
  | "WORKER_DIED"
  | "STALLED"
  | "TOO_LARGE"
  | "CONFLICT"
  | "UNKNOWN_CODEC"
  | "ABORTED"
  | "NOT_FOUND"
  | "EXISTS"
  | "NOT_EMPTY"
  | "NOT_A_DIRECTORY"
  | "IS_A_DIRECTORY"
  | "NO_SPACE"
  | "PERMISSION"
  | "READ_ONLY"
  | "BUSY"
  | "INVALID"
  | "UNSUPPORTED"
  | "IO";

/** Where and why a {@linkcode FlagstoneError} happened; every field is optional. */
export interface ErrorDetails {
  /** The file or directory concerned. */
  readonly path?: string;
  /** Byte offset in `path`. */
  readonly offset?: number;
  /** The operation that failed, such as `open`, `writeAt` or `syncData`. */
  readonly operation?: string;
  /** Of a `CONFLICT`: the version found, 0 if the key has no value. */
  readonly version?: number;
  /** Of a `CONFLICT` in a batch: which operation, counted from 0. */
  readonly index?: number;
  /** The error underneath. */
  readonly cause?: unknown;
}

/** Anything that fails at run time: match on `code`, show `message` to a person. */
export class FlagstoneError extends Error {
  /** Always `FlagstoneError`. */
  override readonly name = "FlagstoneError";
  /** What went wrong; stable across versions. */
  readonly code: ErrorCode;
  /** The file or directory concerned, if one is. */
  readonly path: string | undefined;
  /** Byte offset in `path`, if known. */
  readonly offset: number | undefined;
  /** The operation that failed, if known. */
  readonly operation: string | undefined;
  /** Of a `CONFLICT`: the version found, 0 if the key has no value. */
  readonly version: number | undefined;
  /** Of a `CONFLICT` in a batch: which operation, counted from 0. */
  readonly index: number | undefined;

  /** Makes an error; `message` says what was attempted, what was found, and what to do. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.offset = details.offset;
    this.operation = details.operation;
    this.version = details.version;
    this.index = details.index;
  }
}

/**
 * A wrong argument: a key that is empty, a value that is no value, an unknown option, a number out
 * of its range. Nothing has changed when it is thrown.
 */
export class ArgumentError extends TypeError {
  /** Always `ArgumentError`. */
  override readonly name = "ArgumentError";
  /** Always `INVALID_ARGUMENT`. */
  readonly code = "INVALID_ARGUMENT";
  /** Which argument or option, such as `key` or `options.slabBytes`. */
  readonly argument: string;

  /** Makes an error about `argument`. */
  constructor(argument: string, message: string) {
    super(message);
    this.argument = argument;
  }
}

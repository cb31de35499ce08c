import type { ErrorCode } from "../errors/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { IndexHandle } from "../index/mod.ts";
import type { FsSpec } from "../vfs/mod.ts";
import type { CompactionJob, CompactionResult } from "./job.ts";

/** Name of the thread; its module does nothing in a thread with another name. */
export const COMPACTION_WORKER_NAME = "flagstone-compaction";

/** What the owner sends to the thread: one `run` or `remove` at a time, `index` when it was asked for. */
export type ToCompactor =
  | {
    readonly type: "run";
    readonly fs: FsSpec;
    readonly job: CompactionJob;
    readonly index: IndexHandle;
    /** One word: 1 = give up. */
    readonly stop: SharedArrayBuffer;
  }
  | { readonly type: "index"; readonly index: IndexHandle }
  | {
    readonly type: "remove";
    readonly fs: FsSpec;
    readonly directory: string;
    readonly names: readonly string[];
  };

/** An error as plain data. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path: string | undefined;
  readonly offset: number | undefined;
  readonly operation: string | undefined;
}

/** What the thread answers. */
export type FromCompactor =
  /** It needs a newer handle of the index. */
  | { readonly type: "behind" }
  | { readonly type: "done"; readonly result: CompactionResult }
  | { readonly type: "removed" }
  | { readonly type: "failed"; readonly error: PlainError; readonly leftDoubt: boolean };

/** A compaction that came to nothing. */
export interface CompactionFailure {
  readonly error: FlagstoneError;
  /** A file may be there under its name: see `Compaction.leftDoubt`. */
  readonly leftDoubt: boolean;
}

/** An error as it can be posted. What nobody foresaw becomes an `IO` error. */
export function plainError(error: unknown): PlainError {
  const known = error instanceof FlagstoneError;
  return {
    code: known ? error.code : "IO",
    message: known ? error.message : String(error instanceof Error ? error.stack : error),
    path: known ? error.path : undefined,
    offset: known ? error.offset : undefined,
    operation: known ? error.operation : undefined,
  };
}

/** The error that `plainError` took apart. */
export function errorOf({ code, message, path, offset, operation }: PlainError): FlagstoneError {
  const details = Object.entries({ path, offset, operation });
  const given = details.filter(([, value]) => value !== undefined);
  return new FlagstoneError(code, message, Object.fromEntries(given));
}

/** What a compaction ends with that was told to stop. */
export function stoppedError(directory: string): FlagstoneError {
  return new FlagstoneError("ABORTED", `The compaction of ${directory} was stopped.`, {
    path: directory,
  });
}

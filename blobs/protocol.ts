import type { ErrorCode, FsSpec } from "../vfs/mod.ts";
import type { BlobReference } from "./blob_reference.ts";

/** Name of the thread; its module does nothing in a thread with another name. */
export const BLOB_WORKER_NAME = "flagstone-blobs";

/** What is to be done to file `number`; jobs are done in the order of sending. */
export type BlobJob =
  & { readonly job: number; readonly number: number }
  & (
    /** Comes first, with what a thread must know. */
    | {
      readonly type: "start";
      readonly fs: FsSpec;
      readonly directory: string;
      readonly storeId: Uint8Array;
      /** Where its calls of the file system are noted, for `watchDiskHealth`. */
      readonly disk: SharedArrayBuffer;
    }
    | { readonly type: "create" }
    /** The sender leaves `bytes`, which both see, alone until the result comes. */
    | { readonly type: "append"; readonly bytes: Uint8Array }
    /** Content and name durable. */
    | { readonly type: "finish" }
    /** What was begun is removed. */
    | { readonly type: "abort" }
    /** A file that is finished is removed, not durably. */
    | { readonly type: "remove" }
  );

/** An error on its way between threads. */
export interface SentError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path: string | undefined;
  readonly offset: number | undefined;
  readonly operation: string | undefined;
}

/** What came of a job. */
export interface BlobResult {
  readonly job: number;
  /** Of `finish`. */
  readonly reference?: BlobReference;
  readonly error?: SentError;
  /** The names in the directory are in doubt, those of other files too. */
  readonly namesInDoubt?: boolean;
}

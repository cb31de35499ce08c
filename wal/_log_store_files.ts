import { FlagstoneError } from "../errors/mod.ts";
import { type File, type Fs, type Lock } from "../vfs/mod.ts";
import {
  corruptLog,
  decodeLogStoreHeader,
  LOG_STORE_HEADER_BYTES,
  type LogStoreFileKind,
  type LogStoreHeader,
} from "./_log_store_header.ts";

/** Takes the lock of a log; `LOCKED` says whose log it is about. */
export function lockLog(fs: Fs, lockPath: string, path: string): Lock {
  try {
    return fs.lock(lockPath);
  } catch (cause) {
    if (!(cause instanceof FlagstoneError) || cause.code !== "LOCKED") throw cause;
    throw new FlagstoneError(
      "LOCKED",
      `Cannot open the log ${path}: it is open already, in this process or another. Close it ` +
        `there first.`,
      { path, operation: "open", cause },
    );
  }
}

/** Uses a file that is closed afterwards, whatever happens; what the use throws comes first. */
export function withFile<T>(file: File, use: (file: File) => T): T {
  let result: T;
  try {
    result = use(file);
  } catch (error) {
    closeQuietly(file);
    throw error;
  }
  file.close();
  return result;
}

/** Closes something after a failure: what went wrong first is what the caller must hear. */
export function closeQuietly(what: { close(): void } | undefined): void {
  try {
    what?.close();
  } catch {
    // See above.
  }
}

/** Reads and checks the header of an open file; see `decodeLogStoreHeader` for what it throws. */
export function readLogStoreHeader(
  file: File,
  kind: LogStoreFileKind,
  vouched: boolean,
): LogStoreHeader {
  const bytes = new Uint8Array(LOG_STORE_HEADER_BYTES);
  const count = file.readAt(bytes, 0);
  return decodeLogStoreHeader(bytes.subarray(0, count), kind, file.path, vouched);
}

/** Fills `into` from `offset` on; `CORRUPT` if the file has become shorter than what was written. */
export function readFully(file: File, into: Uint8Array, offset: number): void {
  const count = file.readAt(into, offset);
  if (count === into.length) return;
  throw corruptLog(file.path, offset + count, `it ends at ${offset + count}, before what it holds`);
}

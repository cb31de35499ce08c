import { FlagstoneError } from "../errors/mod.ts";
import { atomicWrite, exists, type Fs, joinPath, temporarySuffix } from "../vfs/mod.ts";
import { readLogStoreHeader, withFile } from "./_log_store_files.ts";
import {
  corruptLog,
  encodeLogStoreHeader,
  LogStoreFileKind,
  newLogId,
} from "./_log_store_header.ts";
import { parseLogSegmentName } from "./_log_store_segment.ts";

const HEAD_NAME = "HEAD";

/** What `HEAD` says about a segmented log. */
export interface LogHead {
  /** Where the log begins. */
  readonly head: number;
  /** Where its first segment begins: those before are dropped. */
  readonly firstSegment: number;
  /** Identity of the log. */
  readonly id: Uint8Array;
}

/** Reads `HEAD`; makes it for a new log. Only a log that has no segments is new. */
export function openHead(fs: Fs, dir: string, hasSegments: boolean): LogHead {
  const path = joinPath(dir, HEAD_NAME);
  if (exists(fs, path)) {
    const kind = LogStoreFileKind.head;
    const header = withFile(fs.openReadWrite(path), (file) => {
      const read = readLogStoreHeader(file, kind, hasSegments);
      // A log that was copied here need not be durable.
      file.sync();
      return read;
    });
    const { position: head, extent: firstSegment, id } = header;
    if (firstSegment <= head) return { head, firstSegment, id };
    throw corruptLog(path, 24, `the head, ${head}, lies before the first segment, ${firstSegment}`);
  }
  if (hasSegments) throw corruptLog(path, undefined, "it is missing, and segments are there");
  const fresh = { head: 0, firstSegment: 0, id: newLogId() };
  atomicWrite(fs, path, encodeHead(fresh));
  return fresh;
}

/**
 * Replaces `HEAD`, durably. Returns the error of an attempt that failed before the old one was
 * touched, for want of space maybe; throws when nobody knows which of the two a crash would leave.
 */
export function writeHead(fs: Fs, dir: string, head: LogHead): { error: unknown } | undefined {
  const path = joinPath(dir, HEAD_NAME);
  try {
    atomicWrite(fs, path, encodeHead(head));
    return undefined;
  } catch (error) {
    const untouched = error instanceof FlagstoneError && error.operation !== "rename" &&
      error.path === path + temporarySuffix;
    if (!untouched) throw error;
    return { error };
  }
}

/** Removes the temporary files that a crash left of this log, and no others. */
export function removeOwnTemporaries(fs: Fs, dir: string): void {
  for (const name of fs.list(dir)) {
    if (!name.endsWith(temporarySuffix)) continue;
    const own = name.slice(0, -temporarySuffix.length);
    if (own === HEAD_NAME || parseLogSegmentName(own) !== undefined) fs.remove(joinPath(dir, name));
  }
}

function encodeHead({ head, firstSegment, id }: LogHead): Uint8Array {
  const kind = LogStoreFileKind.head;
  return encodeLogStoreHeader({ kind, position: head, extent: firstSegment, id });
}

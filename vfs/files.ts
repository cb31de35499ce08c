import { FlagstoneError } from "../errors/mod.ts";
import { fsError } from "./_check.ts";
import { closing } from "./_closing.ts";
import { dirName, syncDirectory } from "./paths.ts";
import type { File, Fs } from "./types.ts";

/** True if something has the name: false where it, or a directory on the way to it, is missing. */
export function exists(fs: Fs, path: string): boolean {
  try {
    fs.stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** True for the error of a path that leads to nothing. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof FlagstoneError)) return false;
  return error.code === "NOT_FOUND" || error.code === "NOT_A_DIRECTORY";
}

/** The whole content of a file. */
export function readFile(fs: Fs, path: string): Uint8Array<ArrayBuffer> {
  return closing(fs.open(path), (file) => {
    const content = new Uint8Array(file.stat().size);
    // Another process may have cut it since.
    return content.subarray(0, file.readAt(content, 0));
  });
}

/** The whole content of a file as text. `INVALID` if it is not UTF-8. A byte order mark stays. */
export function readText(fs: Fs, path: string): string {
  const content = readFile(fs, path);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw fsError("INVALID", "readText", path, "the content is not UTF-8", { cause });
  }
}

/** One of the reads of {@linkcode readBlocks}. */
export interface ReadBlock {
  /** Where it begins, in bytes. */
  readonly offset: number;
  /** What it fills; belongs to the call until that has settled. */
  readonly into: Uint8Array;
}

/** How {@linkcode readBlocks} reads; all of it may be left out. */
export interface ReadBlocksOptions {
  /** How many reads are under way at once, from 1 up. Default 8. */
  readonly parallel?: number;
}

/**
 * Reads many blocks of a file, several at once, without blocking the thread. Returns for each the
 * bytes read: fewer than asked only at the end of the file. If one fails, no other is begun, and the
 * first error is thrown once none is under way any more.
 */
export async function readBlocks(
  file: File,
  blocks: readonly ReadBlock[],
  options: ReadBlocksOptions = {},
): Promise<number[]> {
  const parallel = options.parallel ?? 8;
  if (!Number.isSafeInteger(parallel) || parallel < 1) {
    const reason = `parallel must be an integer from 1 up, not ${parallel}`;
    throw fsError("INVALID", "readBlocks", file.path, reason);
  }
  const counts = new Array<number>(blocks.length).fill(0);
  const failures: unknown[] = [];
  let next = 0;
  const readOneAfterAnother = async (): Promise<void> => {
    while (failures.length === 0) {
      const at = next++;
      const block = blocks[at];
      if (block === undefined) return;
      try {
        counts[at] = await file.readAtAsync(block.into, block.offset);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const readers = Math.min(parallel, blocks.length);
  await Promise.all(Array.from({ length: readers }, readOneAfterAnother));
  if (failures.length > 0) throw failures[0];
  return counts;
}

/** Makes durable what a path leads to: the content of a file, the names in a directory. */
export function syncContent(fs: Fs, path: string): void {
  // Asked first: opening for writing would create what is missing. Windows syncs no other handle.
  const handle = fs.stat(path).isDirectory ? fs.openDir(path) : fs.openReadWrite(path);
  closing(handle, () => handle.sync());
}

/**
 * Makes a file or directory durable under its name: syncs what the path leads to (the content of a
 * file, the names in a directory), then the directory that holds the name. After a throw nothing
 * changed there since the last sync can be relied on.
 */
export function syncPath(fs: Fs, path: string): void {
  syncContent(fs, path);
  syncDirectory(fs, dirName(path));
}

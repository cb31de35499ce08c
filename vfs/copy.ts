import { FlagstoneError } from "../errors/mod.ts";
import { checkExtent, fsError } from "./_check.ts";
import { durableMkdirAll } from "./atomic.ts";
import { closing } from "./_closing.ts";
import { exists, isMissing, syncContent, syncPath } from "./files.ts";
import { dirName, joinPath, normalizePath, syncDirectory } from "./paths.ts";
import { type PersistOptions, TemporaryFile } from "./temporary_file.ts";
import type { File, FileInfo, Fs } from "./types.ts";

/** A copy holds this much in memory. */
const CHUNK_BYTES = 256 * 1024;

/** How {@linkcode copyFile} copies; all of it may be left out. */
export interface CopyFileOptions extends PersistOptions {
  /** Copies the first so many bytes at most. Default: all. */
  readonly limitBytes?: number;
}

/**
 * Copies a file and returns the bytes copied. When this has returned, the copy and its name survive
 * a power loss; until then, and where it throws, `to` leads to what it did before or to the whole
 * copy, never to a part. Ranges of zeros take no space in the copy where the platform has sparse
 * files. Throws what the calls of the file system throw; `EXISTS` only with `replace: false`.
 *
 * The bytes always go through memory. There is no call that shares blocks between two files
 * (reflink): Deno has none, and its `copyFile`, which does so on some systems, does not tell
 * whether it did.
 */
export function copyFile(fs: Fs, from: string, to: string, options: CopyFileOptions = {}): number {
  const { limitBytes = Number.MAX_SAFE_INTEGER } = options;
  checkExtent("copyFile", from, limitBytes);
  return closing(fs.open(from), (source) => {
    return closing(TemporaryFile.create(fs, dirName(to)), (target) => {
      const count = copyContent(source, target.file, limitBytes);
      target.persist(to, options);
      return count;
    });
  });
}

/** How {@linkcode linkOrCopy} works; all of it may be left out. */
export interface LinkOrCopyOptions {
  /** False: syncs nothing, neither content nor name. Default true. */
  readonly sync?: boolean;
}

/**
 * Gives the file `existing` a second name, or gives that name to a copy where the file system has
 * no hard links between the two (`UNSUPPORTED`: another device, for instance). Tells which. Durable
 * when it has returned. `EXISTS` if `path` is taken; other failures of the link are thrown. Where a
 * sync throws, the name is there, perhaps not durably.
 */
export function linkOrCopy(
  fs: Fs,
  existing: string,
  path: string,
  options: LinkOrCopyOptions = {},
): "linked" | "copied" {
  try {
    fs.link(existing, path);
  } catch (error) {
    if (!(error instanceof FlagstoneError) || error.code !== "UNSUPPORTED") throw error;
    if (exists(fs, path)) throw fsError("EXISTS", "linkOrCopy", path, "the name is taken");
    copyFile(fs, existing, path, options);
    return "copied";
  }
  if (options.sync ?? true) syncPath(fs, path);
  return "linked";
}

/** How {@linkcode copyAcross} copies; all of it may be left out. */
export interface CopyAcrossOptions {
  /** True for what shall be left out, a directory with all below it. Asked about everything below `from`, by its path there. */
  readonly skip?: (path: string, info: FileInfo) => boolean;
  /** True: files become second names of the originals where that is possible. Counts only within one file system. Default false. */
  readonly link?: boolean;
  /** False: syncs nothing. Default true. */
  readonly sync?: boolean;
}

/**
 * Copies a file, or a directory with all below it, from one file system to another or within one.
 * Returns false, and does nothing, if there is nothing at `from`. When this has returned, all of it
 * survives a power loss; until then, and where it throws, any part of it may be there.
 *
 * - In a directory that exists already files are added and replaced; nothing is removed.
 * - Names of one file stay names of one file, where the target has hard links.
 * - Names are taken in the order of `list`. Symbolic links are followed.
 * - `INVALID` where the copy would go into the original itself. That two objects reach one file
 *   system, a wrapper and what it wraps, is not known here: the caller must not do that.
 */
export function copyAcross(
  fromFs: Fs,
  from: string,
  toFs: Fs,
  to: string,
  options: CopyAcrossOptions = {},
): boolean {
  let info: FileInfo;
  try {
    info = fromFs.stat(from);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  const [source, target] = [normalizePath(from), normalizePath(to)];
  if (fromFs === toFs && (source === target || target.startsWith(`${source}/`))) {
    throw fsError("INVALID", "copyAcross", to, `it would be copied into itself, from ${from}`);
  }
  const copy = new TreeCopy(fromFs, toFs, options);
  const sync = options.sync ?? true;
  if (info.isDirectory) {
    if (sync) durableMkdirAll(toFs, target);
    copy.dir(source, target);
  } else {
    copy.file(source, target, info);
    if (sync) syncDirectory(toFs, dirName(target));
  }
  return true;
}

/** The work of one {@linkcode copyAcross}. */
class TreeCopy {
  readonly #from: Fs;
  readonly #to: Fs;
  readonly #skip: (path: string, info: FileInfo) => boolean;
  readonly #link: boolean;
  readonly #sync: boolean;
  /** Where the files with several names went first, by their identity. */
  readonly #copies = new Map<string, string>();

  constructor(from: Fs, to: Fs, options: CopyAcrossOptions) {
    this.#from = from;
    this.#to = to;
    this.#skip = options.skip ?? (() => false);
    this.#link = (options.link ?? false) && from === to;
    this.#sync = options.sync ?? true;
  }

  /** Copies a directory. Its own name is the caller's to sync. */
  dir(from: string, to: string): void {
    this.#to.mkdirAll(to);
    for (const name of this.#from.list(from)) {
      const path = joinPath(from, name);
      const info = this.#from.stat(path);
      if (this.#skip(path, info)) continue;
      if (info.isDirectory) this.dir(path, joinPath(to, name));
      else this.file(path, joinPath(to, name), info);
    }
    if (this.#sync) syncDirectory(this.#to, to);
  }

  /** Copies a file. Its name is the caller's to sync. */
  file(from: string, to: string, info: FileInfo): void {
    const first = this.#firstName(from, to, info);
    if (first === undefined) return this.#content(from, to);
    this.#clear(to);
    const how = linkOrCopy(this.#to, first, to, { sync: false });
    if (this.#sync && (this.#link || how === "copied")) syncContent(this.#to, to);
  }

  /** What `to` can be a second name of. */
  #firstName(from: string, to: string, info: FileInfo): string | undefined {
    if (this.#link) return from;
    // Where the platform numbers no files, each is taken for one of its own.
    if (info.links < 2 || info.inode === 0) return undefined;
    const identity = `${info.device}:${info.inode}`;
    const first = this.#copies.get(identity);
    if (first === undefined) this.#copies.set(identity, to);
    return first;
  }

  #content(from: string, to: string): void {
    closing(this.#from.open(from), (source) => {
      closing(this.#to.create(to), (target) => {
        copyContent(source, target, Number.MAX_SAFE_INTEGER);
        if (this.#sync) target.sync();
      });
    });
  }

  /** Frees a name that a file has. */
  #clear(path: string): void {
    if (!exists(this.#to, path)) return;
    if (this.#to.stat(path).isDirectory) {
      throw fsError("IS_A_DIRECTORY", "copyAcross", path, "a directory has the name");
    }
    this.#to.remove(path);
  }
}

/** Copies into an empty file, zeros as holes; returns the length. */
function copyContent(source: File, target: File, limitBytes: number): number {
  const size = Math.min(source.stat().size, limitBytes);
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size));
  let at = 0;
  while (at < size) {
    const count = source.readAt(chunk.subarray(0, Math.min(chunk.length, size - at)), at);
    // Another process has cut it meanwhile.
    if (count === 0) break;
    const filled = chunk.subarray(0, count);
    if (!isZeros(filled)) target.writeAt(filled, at);
    at += count;
  }
  target.truncate(at);
  return at;
}

/** A piece from the start of its buffer, looked at in words. */
function isZeros(bytes: Uint8Array): boolean {
  const words = new Uint32Array(bytes.buffer, 0, bytes.length >> 2);
  for (const word of words) if (word !== 0) return false;
  return bytes.subarray(words.length * 4).every((byte) => byte === 0);
}

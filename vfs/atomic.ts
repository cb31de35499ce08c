import { type ErrorCode, FlagstoneError } from "../errors/mod.ts";
import { fsError } from "./_check.ts";
import { closing } from "./_closing.ts";
import { exists, syncContent } from "./files.ts";
import { dirName, joinPath, normalizePath, syncDirectory } from "./paths.ts";
import type { Fs } from "./types.ts";

/** What the temporary file of {@linkcode atomicWrite} has after the name of the file. */
export const temporarySuffix = ".atomic-tmp";

/** How {@linkcode atomicWrite} works; all of it may be left out. */
export interface AtomicWriteOptions {
  /** Reads the temporary file back before the rename and throws `IO` if it differs. Default false. */
  readonly verify?: boolean;
}

/**
 * Gives a file a new content in one step, durably: after a crash at any moment it has the old
 * content or the new one, and the new one if this has returned. Creates the file if it is missing.
 *
 * Two writers of one file must take turns: they share the temporary file, `path` +
 * {@linkcode temporarySuffix}. It is removed if something fails before the rename; one that a crash
 * left is overwritten by the next write, and removed by {@linkcode removeTemporaries}. If the last
 * step throws, the sync of the directory, the new content is there but may not survive.
 */
export function atomicWrite(
  fs: Fs,
  path: string,
  content: Uint8Array | readonly Uint8Array[],
  options: AtomicWriteOptions = {},
): void {
  const parts = content instanceof Uint8Array ? [content] : content;
  const temporary = path + temporarySuffix;
  try {
    closing(fs.create(temporary), (file) => {
      file.writeVectorAt(parts, 0);
      file.sync();
      if (options.verify) verify(fs, temporary, parts);
    });
    fs.rename(temporary, path);
  } catch (error) {
    try {
      fs.removeAll(temporary);
    } catch {
      // What went wrong first is what the caller must hear.
    }
    throw error;
  }
  syncDirectory(fs, dirName(path));
}

/** Removes what crashed calls of {@linkcode atomicWrite} left in a directory; returns the names. Not while one is under way. */
export function removeTemporaries(fs: Fs, dir: string): string[] {
  const names = fs.list(dir).filter((name) => name.endsWith(temporarySuffix));
  for (const name of names) fs.remove(joinPath(dir, name));
  if (names.length > 0) syncDirectory(fs, dir);
  return names;
}

/** How {@linkcode durableRename} works; all of it may be left out. */
export interface DurableRenameOptions {
  /** Syncs what is renamed first, so that the new name never leads to less than the old one did. Default true. */
  readonly syncContent?: boolean;
}

/** Renames, and returns once the new name survives a power loss. */
export function durableRename(
  fs: Fs,
  from: string,
  to: string,
  options: DurableRenameOptions = {},
): void {
  if (options.syncContent ?? true) syncContent(fs, from);
  fs.rename(from, to);
  const [source, target] = [dirName(from), dirName(to)];
  // The new name first: whatever happens between, one of the two is there.
  syncDirectory(fs, target);
  if (source !== target) syncDirectory(fs, source);
}

/** Removes a name, and returns once it cannot come back. Fine if it is missing; the directory is synced all the same. */
export function durableRemove(fs: Fs, path: string): void {
  fs.removeAll(path);
  syncDirectory(fs, dirName(path));
}

/** What a directory that was there already may answer to a sync: it is another's to see to. */
const SPARED: readonly ErrorCode[] = ["PERMISSION", "READ_ONLY", "UNSUPPORTED", "INVALID"];

/**
 * Makes a directory and those above it, and returns once all the names survive a power loss. Where
 * directories that were there already cannot be opened or synced (`PERMISSION`, `READ_ONLY`,
 * `UNSUPPORTED`, `INVALID`), it trusts that those are durable.
 */
export function durableMkdirAll(fs: Fs, path: string): void {
  let existing = normalizePath(path);
  while (!exists(fs, existing)) existing = dirName(existing);
  fs.mkdirAll(path);
  let dir = dirName(path);
  let made = normalizePath(path) !== existing;
  // All the way up: a crash may have come between an earlier call's mkdir and its sync.
  while (true) {
    try {
      syncDirectory(fs, dir);
    } catch (error) {
      const spared = error instanceof FlagstoneError && SPARED.includes(error.code);
      if (made || !spared) throw error;
      return;
    }
    if (dir === existing) made = false;
    const above = dirName(dir);
    if (above === dir) return;
    dir = above;
  }
}

function verify(fs: Fs, path: string, parts: readonly Uint8Array[]): void {
  closing(fs.open(path), (file) => {
    let at = 0;
    for (const part of parts) {
      const found = new Uint8Array(part.length);
      const count = file.readAt(found, at);
      if (count < part.length || found.some((byte, i) => byte !== part[i])) {
        const reason = "what was written is not what is there";
        throw fsError("IO", "atomicWrite", path, reason, { offset: at });
      }
      at += part.length;
    }
    const { size } = file.stat();
    if (size !== at) {
      throw fsError("IO", "atomicWrite", path, `the length is ${size}, not ${at}`);
    }
  });
}

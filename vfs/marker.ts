import { fsError } from "./_check.ts";
import { joinPath, syncDirectory } from "./paths.ts";
import type { Fs } from "./types.ts";

/** What every common file system takes as a name. */
const MAX_NAME_BYTES = 255;

/** A file that says what a marker's value is, or was. */
interface MarkerFile {
  readonly fileName: string;
  /** The highest of a name counts. */
  readonly iteration: number;
  readonly value: string;
}

/**
 * A short text under a name in a directory, such as which of two files is current, that is changed
 * in one step and durably. The value is in the name of an empty file,
 * `marker.<name>.<iteration>.<value>`: of several, the highest iteration counts. So a change
 * rewrites nothing, and works where no rename replaces a file.
 *
 * One owner at a time: what opens a marker holds a lock, or is alone in the directory.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { Marker, MemFs } from "@flagstone/flagstone/vfs";
 * const fs = new MemFs();
 * Marker.open(fs, "/", "current").move("segment-7");
 * assert.equal(Marker.open(fs, "/", "current").value, "segment-7");
 * ```
 */
export class Marker {
  readonly #fs: Fs;
  readonly #dir: string;
  readonly #name: string;
  /** The highest that was ever tried: no file name is used twice. */
  #iteration: number;
  #current: MarkerFile | undefined;
  /** Names of files that count no more and are to be removed. */
  readonly #obsolete: string[];
  #failure: { readonly error: unknown } | undefined;

  private constructor(fs: Fs, dir: string, name: string, files: readonly MarkerFile[]) {
    this.#fs = fs;
    this.#dir = dir;
    this.#name = name;
    this.#current = files.at(-1);
    this.#iteration = this.#current?.iteration ?? 0;
    this.#obsolete = files.slice(0, -1).map(({ fileName }) => fileName);
  }

  /**
   * Opens the marker `name` (no "." or "/") of a directory. If it has a value, that survives a power
   * loss from now on: it is written once more, for a sync that failed in an earlier life may have
   * dropped the name that is seen here, and no later sync brings it back. What earlier changes left
   * is removed.
   *
   * `CORRUPT` if a file of the marker has a name that no change gives, or if two have the same
   * iteration. Otherwise throws what {@linkcode move} throws.
   */
  static open(fs: Fs, dir: string, name: string): Marker {
    const marker = new Marker(fs, dir, name, findFiles(fs, dir, name));
    if (marker.#current !== undefined) marker.move(marker.#current.value);
    return marker;
  }

  /** The value that is seen now, undefined if there is none; it may not be durable. Changes nothing. Throws `CORRUPT` as `open` does. */
  static read(fs: Fs, dir: string, name: string): string | undefined {
    return findFiles(fs, dir, name).at(-1)?.value;
  }

  /**
   * The value, which is durable; undefined before the first {@linkcode move}. Throws what went wrong
   * where a failed `move` left open which of two it is: then only opening anew tells.
   */
  get value(): string | undefined {
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#current?.value;
  }

  /**
   * Gives the marker another value, durably. After a crash at any moment it has the old value or
   * the new one, and the new one if this has returned.
   *
   * If it throws, the value is the old one, durably; unless a sync failed, or what was begun could
   * not be undone: then `value` and every later `move` throw the same error. `INVALID` for a value
   * that is empty, contains "/" or NUL, or is too long for a file name.
   */
  move(value: string): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    const iteration = this.#iteration + 1;
    const digits = String(iteration).padStart(6, "0");
    const fileName = `marker.${this.#name}.${digits}.${value}`;
    checkPart("move", this.#dir, "value", value, /^[^/\0]+$/, fileName);
    // Counted even where it fails: the file may be there all the same.
    this.#iteration = iteration;
    try {
      this.#fs.create(joinPath(this.#dir, fileName)).close();
    } catch (error) {
      this.#undo(fileName, error);
      throw error;
    }
    this.#sync();
    // Not before the new name is durable: of two changes that were not synced, a crash may undo
    // the creation alone, and neither would be left.
    if (this.#current !== undefined) this.#obsolete.push(this.#current.fileName);
    this.#current = { fileName, iteration, value };
    try {
      this.removeObsolete();
    } catch {
      // They count no more; the next change, or the next owner, removes them.
    }
  }

  /**
   * Removes what earlier changes left where it could not be removed then; returns the names.
   * `move` and `open` do so by themselves, but say nothing of failures.
   */
  removeObsolete(): string[] {
    const removed: string[] = [];
    while (this.#obsolete[0] !== undefined) {
      this.#fs.removeAll(joinPath(this.#dir, this.#obsolete[0]));
      removed.push(this.#obsolete[0]);
      this.#obsolete.shift();
    }
    return removed;
  }

  /** A creation failed: makes certain, and durable, that the file is not there. */
  #undo(fileName: string, error: unknown): void {
    try {
      this.#fs.removeAll(joinPath(this.#dir, fileName));
      syncDirectory(this.#fs, this.#dir);
    } catch {
      this.#failure = { error };
    }
  }

  #sync(): void {
    try {
      syncDirectory(this.#fs, this.#dir);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}

/** The files of a marker by iteration, the one that counts last. */
function findFiles(fs: Fs, dir: string, name: string): MarkerFile[] {
  checkPart("open", dir, "name", name, /^[^./\0]+$/);
  const prefix = `marker.${name}.`;
  const files: MarkerFile[] = [];
  for (const fileName of fs.list(dir)) {
    if (!fileName.startsWith(prefix)) continue;
    const found = /^(\d{6,15})\.(.+)$/s.exec(fileName.slice(prefix.length));
    const [, digits, value] = found ?? [];
    if (digits === undefined || value === undefined) {
      throw corrupt(dir, fileName, "its name is none that a change gives");
    }
    files.push({ fileName, iteration: Number(digits), value });
  }
  // By number: a million comes after 999999.
  files.sort((a, b) => a.iteration - b.iteration);
  for (const [at, { fileName, iteration }] of files.entries()) {
    if (files[at + 1]?.iteration !== iteration) continue;
    throw corrupt(dir, fileName, "another file has the same iteration");
  }
  return files;
}

function corrupt(dir: string, fileName: string, reason: string) {
  return fsError("CORRUPT", "open", joinPath(dir, fileName), `${reason}; remove what is wrong`);
}

function checkPart(
  operation: string,
  dir: string,
  part: string,
  text: string,
  allowed: RegExp,
  fileName = "",
): void {
  const { length } = new TextEncoder().encode(fileName);
  if (allowed.test(text) && length <= MAX_NAME_BYTES) return;
  const reason = `${JSON.stringify(text)} cannot be the ${part} of a marker`;
  throw fsError("INVALID", operation, dir, reason);
}

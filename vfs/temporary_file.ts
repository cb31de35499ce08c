import { closedError, fsError } from "./_check.ts";
import { temporarySuffix } from "./atomic.ts";
import { dirName, joinPath, syncDirectory } from "./paths.ts";
import type { File, Fs } from "./types.ts";

/** How {@linkcode TemporaryFile.create} names the file; all of it may be left out. */
export interface TemporaryFileOptions {
  /** What the name begins with, before the suffix: two that are open at once must differ. Default: random. */
  readonly name?: string;
}

/** How {@linkcode TemporaryFile.persist} works; all of it may be left out. */
export interface PersistOptions {
  /**
   * False: throws `EXISTS` if the name is taken, in the same step that would give it, so that of
   * two processes one wins; needs hard links (`UNSUPPORTED`). Default true: replaces a file.
   */
  readonly replace?: boolean;
  /** False: syncs nothing, neither content nor name. Default true. */
  readonly sync?: boolean;
}

/**
 * A file that is removed when it is closed, unless it was given a name to stay. What a crash leaves
 * ends in `temporarySuffix`, for `removeTemporaries` to remove.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { MemFs, TemporaryFile } from "@flagstone/flagstone/vfs";
 * const fs = new MemFs();
 * {
 *   using temporary = TemporaryFile.create(fs, "/");
 *   temporary.file.write(new Uint8Array(10));
 *   temporary.persist("/report"); // without this line nothing would be left
 * }
 * assert.deepEqual(fs.list("/"), ["report"]);
 * ```
 */
export class TemporaryFile implements Disposable {
  /** The name that it has until it is persisted. */
  readonly path: string;
  /** The file, open for reading and writing until {@linkcode close}. */
  readonly file: File;
  readonly #fs: Fs;
  /** The name is there and is ours to remove. */
  #temporary = true;
  /** It has another name, or was kept. */
  #stays = false;
  #closed = false;

  private constructor(fs: Fs, path: string) {
    this.#fs = fs;
    this.path = path;
    this.file = fs.create(path);
  }

  /**
   * Creates one, empty, in the directory `dir`: best the one where it will stay, for no rename
   * leads from one device to another.
   */
  static create(fs: Fs, dir: string, options: TemporaryFileOptions = {}): TemporaryFile {
    const name = options.name ?? crypto.randomUUID();
    return new TemporaryFile(fs, joinPath(dir, name + temporarySuffix));
  }

  /**
   * Gives the file a name to stay, once. When this has returned, content and name survive a power
   * loss; until then, `path` leads to what it did before or to all of the content. The file stays
   * open.
   *
   * Throws what the sync, the rename or the link throws. Then it is temporary still; only if the
   * last step throws, the sync of the directory, it is there under the new name, perhaps not
   * durably.
   */
  persist(path: string, options: PersistOptions = {}): void {
    this.#checkTemporary("persist");
    const sync = options.sync ?? true;
    if (sync) this.file.sync();
    if (options.replace ?? true) {
      this.#fs.rename(this.path, path);
      this.#temporary = false;
    } else {
      // The first name is removed with the end of the handle: Windows removes nothing that is open.
      this.#fs.link(this.path, path);
    }
    this.#stays = true;
    if (sync) syncDirectory(this.#fs, dirName(path));
  }

  /** Leaves the file under its own name, which is returned, when it is closed. Syncs nothing. */
  keep(): string {
    this.#checkTemporary("keep");
    this.#temporary = false;
    this.#stays = true;
    return this.path;
  }

  /** Closes the file, and removes it unless it stays. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.file.close();
    } finally {
      if (this.#temporary) this.#fs.removeAll(this.path);
    }
  }

  /** See {@linkcode close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkTemporary(operation: string): void {
    if (this.#closed) throw closedError(operation, this.path);
    if (!this.#stays) return;
    throw fsError("INVALID", operation, this.path, "it has a name to stay already");
  }
}

/** What {@linkcode Fs.stat} and {@linkcode File.stat} tell. */
export interface FileInfo {
  /** Length in bytes; 0 for a directory. */
  readonly size: number;
  /** True for a regular file. */
  readonly isFile: boolean;
  /** True for a directory. */
  readonly isDirectory: boolean;
  /** Number of the device that holds it; with `inode` it identifies a file for as long as it lives. */
  readonly device: number;
  /** Number of the file on its device. */
  readonly inode: number;
  /** How many names the file has. */
  readonly links: number;
}

/** Space on the file system that holds a path, in bytes. */
export interface DiskUsage {
  /** What an unprivileged process can still write. */
  readonly availableBytes: number;
  /** The size of the file system. */
  readonly totalBytes: number;
  /** What is taken. */
  readonly usedBytes: number;
}

/** A lock held on a path; closing it (again and again, if you like) gives it up. */
export interface Lock extends Disposable {
  /** Gives the lock up. Idempotent. */
  close(): void;
}

/**
 * How another thread can make the same file system: plain data that `postMessage` can carry.
 * `kind` names the implementation, the rest are its settings.
 */
export type FsSpec =
  | { readonly kind: "deno" }
  /** A file system of another thread, reached through memory that both share; see `serveFs`. */
  | { readonly kind: "proxy"; readonly name: string; readonly memory: SharedArrayBuffer };

/**
 * An open file or directory. A handle belongs to one thread. Calls are synchronous but for
 * `readAtAsync`; a call on a closed handle throws `CLOSED`. A negative or fractional offset or
 * length throws `INVALID`. Everything throws {@linkcode FlagstoneError} with `operation` and `path`.
 */
export interface File extends Disposable {
  /** The path that it was opened by; a later rename does not change it. */
  readonly path: string;

  /** Reads at the cursor and advances it. Returns the bytes read: fewer than asked only at the end of the file, 0 at the end. */
  read(into: Uint8Array): number;

  /** Reads at `offset`; the cursor stays. Returns the bytes read: fewer than asked only at the end of the file. */
  readAt(into: Uint8Array, offset: number): number;

  /**
   * As `readAt`, without blocking the thread. Any number may be under way at once, beside
   * synchronous calls too; `into` belongs to the call until it settles. `close` waits for none:
   * a read under way then settles with its data or rejects with `CLOSED`.
   */
  readAtAsync(into: Uint8Array, offset: number): Promise<number>;

  /** Writes all of `bytes` at the cursor and advances it, or throws: then any prefix may have been written, and the cursor stays. */
  write(bytes: Uint8Array): void;

  /** Writes all of `bytes` at `offset`, or throws: then any prefix may have been written. The cursor stays; a gap before `offset` reads as zeros. */
  writeAt(bytes: Uint8Array, offset: number): void;

  /** Writes all of `parts`, one after another, beginning at `offset`, or throws as `writeAt` does. */
  writeVectorAt(parts: readonly Uint8Array[], offset: number): void;

  /**
   * Makes content and metadata durable: survives a power loss once it returns. Of a directory: its
   * entries (names created, renamed or removed so far). A file's own name is made durable only by
   * a sync of its directory. After a throw, nothing written since the last sync can be relied on,
   * and a later sync that succeeds does not change that.
   */
  sync(): void;

  /** As `sync`, without metadata that is not needed to read the data back (fdatasync). */
  syncData(): void;

  /**
   * Asks that the first `length` bytes start on their way to the disk. Returns true if they (and
   * all else) are durable now, as after `syncData`; false if nothing is promised.
   */
  syncTo(length: number): boolean;

  /** Reserves space for `[offset, offset + length)` where the platform can; never changes the content, may extend nothing. A hint. */
  preallocate(offset: number, length: number): void;

  /** Says that `[offset, offset + length)` will be read soon. A hint. */
  prefetch(offset: number, length: number): void;

  /**
   * Gives the space of `[offset, offset + length)` back: it reads as zeros, the length of the file
   * stays, bytes beyond it are not touched. As durable as a write. `UNSUPPORTED`, and nothing has
   * changed, where the platform cannot do it: `DenoFs`, for Deno has no such call, and zeros that
   * are written would take space instead.
   */
  punchHole(offset: number, length: number): void;

  /** Cuts or extends (with zeros, sparse where possible) to `length` bytes. The cursor stays. */
  truncate(length: number): void;

  /** The state of the open file, whatever its names are now. */
  stat(): FileInfo;

  /** Closes the handle, without any sync. Idempotent. */
  close(): void;
}

/**
 * A file system: what Flagstone asks of the world. Paths use "/". Calls are synchronous. Changes
 * of names (create, link, rename, remove, mkdirAll) are visible at once, and durable once the
 * directory that holds the name is synced: `openDir(dir).sync()`.
 *
 * Failures throw {@linkcode FlagstoneError} with one of the file-system codes.
 */
export interface Fs {
  /** Short name for messages, such as `deno` or `mem`. */
  readonly name: string;

  /** How another thread can make the same file system; absent where only this thread can reach it. */
  readonly spec?: FsSpec;

  /** Creates a new, empty file, open for reading and writing. An existing file of that name is unlinked first: its other links and open handles keep the old content. `IS_A_DIRECTORY` if a directory has the name, `NOT_FOUND` without the parent. */
  create(path: string): File;

  /** Opens an existing file for reading; its writes throw `READ_ONLY`. `IS_A_DIRECTORY` on a directory. */
  open(path: string): File;

  /** Opens for reading and writing, content kept; creates the file if missing. */
  openReadWrite(path: string): File;

  /** Opens a directory, to be synced or statted: reads and writes throw `IS_A_DIRECTORY`. `NOT_A_DIRECTORY` on a file. */
  openDir(path: string): File;

  /** Gives the file `existing` a second name. `EXISTS` if `path` is taken. */
  link(existing: string, path: string): void;

  /** Removes a name of a file, or an empty directory (`NOT_EMPTY` otherwise). */
  remove(path: string): void;

  /** Removes a file or a whole tree; fine if it, or its parents, are missing. */
  removeAll(path: string): void;

  /**
   * Renames a file or directory in one step: at every moment `to` names the old or the new. A file
   * replaces a file, a directory an empty directory; anything else throws (`IS_A_DIRECTORY`,
   * `NOT_A_DIRECTORY`, `NOT_EMPTY`) and changes nothing.
   */
  rename(from: string, to: string): void;

  /** Renames `from` to `to` and opens it for reading and writing, its old bytes kept: the caller overwrites them. */
  reuseForWrite(from: string, to: string): File;

  /** Creates a directory and those above it; fine if it exists. `NOT_A_DIRECTORY` if a file is in the way. */
  mkdirAll(path: string): void;

  /** Takes the exclusive lock of a file, creating it if missing. `LOCKED` if anyone, in this process or another, holds it. */
  lock(path: string): Lock;

  /** Names in a directory, sorted by code unit. */
  list(path: string): string[];

  /** The state of what has the name. */
  stat(path: string): FileInfo;

  /** Space on the file system that holds `path`; `UNSUPPORTED` where nobody knows. */
  diskUsage(path: string): DiskUsage;

  /**
   * `path` as it is now, wherever the program goes (`Deno.chdir`) while something there is in use.
   * Absent where a relative path always leads to the same place; a wrapper asks what it wraps, or a
   * relative path leads elsewhere after such a move.
   */
  absolutePath?(path: string): string;
}

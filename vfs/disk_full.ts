import { FlagstoneError } from "../errors/mod.ts";
import { ForwardFile, ForwardFs, type OpenKind } from "./_forward_fs.ts";
import type { File, Fs, Lock } from "./types.ts";

/** The call that found the disk full. */
export interface DiskFullInfo {
  /** What could not be done, such as `writeAt`. */
  readonly operation: string;
  /** The file or directory. */
  readonly path: string;
}

/**
 * Tells when the disk is full, and tries once more: `onFull` may make room (remove a reserve file,
 * drop a cache). It is called once for each episode, which ends with the first call that needs
 * space and gets it. Every call that finds the disk full is tried exactly once more; a sync never
 * is, for what a failed sync dropped does not come back.
 */
export function withDiskFull(fs: Fs, onFull: (info: DiskFullInfo) => void): Fs {
  return new DiskFullFs(fs, new Episode(onFull));
}

/** Whether the disk is known to be full, and who was told. */
class Episode {
  readonly #onFull: (info: DiskFullInfo) => void;
  #full = false;

  constructor(onFull: (info: DiskFullInfo) => void) {
    this.#onFull = onFull;
  }

  /** Does something that needs space. */
  run<T>(operation: string, path: string, action: () => T): T {
    let result: T;
    try {
      result = action();
    } catch (error) {
      this.meet(error, operation, path);
      result = action();
    }
    this.end();
    return result;
  }

  /** Tells of a full disk; returns if the call is to be tried once more. */
  meet(error: unknown, operation: string, path: string): void {
    if (!isFull(error)) throw error;
    if (this.#full) return;
    // Before the call, so that what it writes itself does not tell again.
    this.#full = true;
    this.#onFull({ operation, path });
  }

  /** Something that needs space got it. */
  end(): void {
    this.#full = false;
  }
}

function isFull(error: unknown): boolean {
  return error instanceof FlagstoneError && error.code === "NO_SPACE";
}

class DiskFullFs extends ForwardFs {
  readonly #episode: Episode;

  constructor(inner: Fs, episode: Episode) {
    super("diskFull", inner);
    this.#episode = episode;
  }

  override create(path: string): File {
    return this.#episode.run("create", path, () => super.create(path));
  }

  override openReadWrite(path: string): File {
    return this.#episode.run("openReadWrite", path, () => super.openReadWrite(path));
  }

  override link(existing: string, path: string): void {
    this.#episode.run("link", path, () => super.link(existing, path));
  }

  override rename(from: string, to: string): void {
    this.#episode.run("rename", to, () => super.rename(from, to));
  }

  override reuseForWrite(from: string, to: string): File {
    return this.#episode.run("reuseForWrite", to, () => super.reuseForWrite(from, to));
  }

  override mkdirAll(path: string): void {
    this.#episode.run("mkdirAll", path, () => super.mkdirAll(path));
  }

  override lock(path: string): Lock {
    return this.#episode.run("lock", path, () => super.lock(path));
  }

  protected override wrap(file: File, how: OpenKind): File {
    return how === "open" || how === "openDir" ? file : new DiskFullFile(file, this.#episode);
  }
}

class DiskFullFile extends ForwardFile {
  readonly #episode: Episode;

  constructor(inner: File, episode: Episode) {
    super(inner);
    this.#episode = episode;
  }

  // A write that stopped half way is done anew from its start: the cursor has not moved. Written
  // out, because a closure for each write would cost more than the rest.
  override write(bytes: Uint8Array): void {
    try {
      this.inner.write(bytes);
    } catch (error) {
      this.#episode.meet(error, "write", this.path);
      this.inner.write(bytes);
    }
    this.#episode.end();
  }

  override writeAt(bytes: Uint8Array, offset: number): void {
    try {
      this.inner.writeAt(bytes, offset);
    } catch (error) {
      this.#episode.meet(error, "writeAt", this.path);
      this.inner.writeAt(bytes, offset);
    }
    this.#episode.end();
  }

  override writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    this.#episode.run("writeVectorAt", this.path, () => super.writeVectorAt(parts, offset));
  }

  override preallocate(offset: number, length: number): void {
    this.#episode.run("preallocate", this.path, () => super.preallocate(offset, length));
  }

  override truncate(length: number): void {
    this.#episode.run("truncate", this.path, () => super.truncate(length));
  }
}

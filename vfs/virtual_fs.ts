import { checkExtent, closedError, fsError } from "./_check.ts";
import { type Descriptor, DescriptorCache } from "./_descriptors.ts";
import { fixedPath, normalizePath } from "./paths.ts";
import type { DiskUsage, File, FileInfo, Fs, Lock } from "./types.ts";

/** How a {@linkcode VirtualFs} is made. */
export interface VirtualFsOptions {
  /** How many descriptors stay open; at least 1. */
  readonly maxOpen: number;
}

/** What a {@linkcode VirtualFs} has done. */
export interface VirtualFsStats {
  /** Handles that were opened and not closed. */
  readonly handles: number;
  /** Descriptors that are open. */
  readonly descriptors: number;
  /** Descriptors that were closed to make room. */
  readonly evictions: number;
}

/**
 * Any number of open files with few open descriptors: one that was not used for a while is closed,
 * and opened again when it is needed.
 *
 * - A file is opened again under the name that it has by now, as far as it was renamed through this
 *   object. If the name leads to another file, the call throws `NOT_FOUND`, and nothing is created.
 * - What was written is synced before its descriptor is closed; if that fails, the next call that
 *   writes or syncs throws the error, and so does every later one.
 * - A file without a name keeps its descriptor, as do reads under way and locks: where all are kept,
 *   there are more than `maxOpen` for a while. Nothing ever waits for a descriptor.
 * - An open needs one more descriptor for a moment: the oldest goes only when the open went well.
 */
export class VirtualFs implements Fs {
  /** `virtual(…)` with the name of the file system below. */
  readonly name: string;
  readonly #inner: Fs;
  readonly #cache: DescriptorCache;
  readonly #handles = new Set<Descriptor>();

  /** Wraps `inner`. `INVALID` unless `maxOpen` is an integer from 1 up. */
  constructor(inner: Fs, options: VirtualFsOptions) {
    const { maxOpen } = options;
    if (!Number.isSafeInteger(maxOpen) || maxOpen < 1) {
      throw fsError("INVALID", "open", "/", `maxOpen must be an integer from 1 up, not ${maxOpen}`);
    }
    this.name = `virtual(${inner.name})`;
    this.#inner = inner;
    this.#cache = new DescriptorCache(inner, maxOpen);
  }

  /** Handles, descriptors and evictions so far. */
  stats(): VirtualFsStats {
    const { openCount: descriptors, evictions } = this.#cache;
    return { handles: this.#handles.size, descriptors, evictions };
  }

  /** See {@linkcode Fs.create}. */
  create(path: string): File {
    const file = this.#unnaming(path, false, () => this.#inner.create(path));
    return this.#handle(path, file, "write");
  }

  /** See {@linkcode Fs.open}. */
  open(path: string): File {
    return this.#handle(path, this.#inner.open(path), "read");
  }

  /** See {@linkcode Fs.openReadWrite}. */
  openReadWrite(path: string): File {
    return this.#handle(path, this.#inner.openReadWrite(path), "write");
  }

  /** See {@linkcode Fs.openDir}. */
  openDir(path: string): File {
    return this.#handle(path, this.#inner.openDir(path), "directory");
  }

  /** See {@linkcode Fs.link}. */
  link(existing: string, path: string): void {
    this.#inner.link(existing, path);
  }

  /** See {@linkcode Fs.remove}. */
  remove(path: string): void {
    this.#unnaming(path, false, () => this.#inner.remove(path));
  }

  /** See {@linkcode Fs.removeAll}. */
  removeAll(path: string): void {
    this.#unnaming(path, true, () => this.#inner.removeAll(path));
  }

  /** See {@linkcode Fs.rename}. */
  rename(from: string, to: string): void {
    if (normalizePath(from) === normalizePath(to)) return this.#inner.rename(from, to);
    this.#unnaming(to, false, () => this.#inner.rename(from, to));
    this.#moved(from, to);
  }

  /** See {@linkcode Fs.reuseForWrite}. */
  reuseForWrite(from: string, to: string): File {
    if (normalizePath(from) === normalizePath(to)) {
      return this.#handle(to, this.#inner.reuseForWrite(from, to), "write");
    }
    const file = this.#unnaming(to, false, () => this.#inner.reuseForWrite(from, to));
    this.#moved(from, to);
    return this.#handle(to, file, "write");
  }

  /** See {@linkcode Fs.mkdirAll}. */
  mkdirAll(path: string): void {
    this.#inner.mkdirAll(path);
  }

  /** See {@linkcode Fs.lock}. A lock has a descriptor of its own, which is not counted. */
  lock(path: string): Lock {
    return this.#inner.lock(path);
  }

  /** See {@linkcode Fs.list}. */
  list(path: string): string[] {
    return this.#inner.list(path);
  }

  /** See {@linkcode Fs.stat}. */
  stat(path: string): FileInfo {
    return this.#inner.stat(path);
  }

  /** See {@linkcode Fs.diskUsage}. */
  diskUsage(path: string): DiskUsage {
    return this.#inner.diskUsage(path);
  }

  /** See {@linkcode Fs.absolutePath}. */
  absolutePath(path: string): string {
    return fixedPath(this.#inner, path);
  }

  #handle(path: string, inner: File, open: Descriptor["open"]): File {
    const { device, inode } = inner.stat();
    const descriptor: Descriptor = {
      path: normalizePath(path),
      open,
      device,
      inode,
      inner,
      dirty: false,
      pins: 0,
      nameless: inode === 0,
      used: true,
      failure: undefined,
    };
    this.#handles.add(descriptor);
    this.#cache.add(descriptor);
    return new VirtualFile(path, descriptor, this.#cache, () => this.#handles.delete(descriptor));
  }

  /**
   * Does something that takes the name from what has it, `below` also from what is below it: what
   * is open there keeps its descriptor from now on.
   */
  #unnaming<T>(path: string, below: boolean, action: () => T): T {
    const normal = normalizePath(path);
    const losing: Descriptor[] = [];
    for (const descriptor of this.#handles) {
      const named = descriptor.path === normal ||
        (below && descriptor.path.startsWith(normal === "/" ? "/" : `${normal}/`));
      if (!named || descriptor.nameless) continue;
      this.#cache.file(descriptor, "open");
      // At once: opening the next one must not close this one again.
      descriptor.nameless = true;
      losing.push(descriptor);
    }
    try {
      return action();
    } catch (error) {
      for (const descriptor of losing) descriptor.nameless = false;
      throw error;
    }
  }

  #moved(from: string, to: string): void {
    const [old, fresh] = [normalizePath(from), normalizePath(to)];
    for (const descriptor of this.#handles) {
      if (descriptor.nameless) continue;
      if (descriptor.path === old) descriptor.path = fresh;
      else if (descriptor.path.startsWith(`${old}/`)) {
        descriptor.path = fresh + descriptor.path.slice(old.length);
      }
    }
  }
}

class VirtualFile implements File {
  readonly path: string;
  readonly #descriptor: Descriptor;
  readonly #cache: DescriptorCache;
  readonly #onClose: () => void;
  /** Kept here, for the descriptor's own is lost with it. */
  #cursor = 0;
  #closed = false;

  constructor(path: string, descriptor: Descriptor, cache: DescriptorCache, onClose: () => void) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#cache = cache;
    this.#onClose = onClose;
  }

  read(into: Uint8Array): number {
    const count = this.#file("read").readAt(into, this.#cursor);
    this.#cursor += count;
    return count;
  }

  readAt(into: Uint8Array, offset: number): number {
    return this.#file("readAt").readAt(into, offset);
  }

  async readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    checkExtent("readAtAsync", this.path, offset);
    const file = this.#file("readAtAsync");
    this.#descriptor.pins++;
    try {
      return await file.readAtAsync(into, offset);
    } finally {
      this.#descriptor.pins--;
    }
  }

  write(bytes: Uint8Array): void {
    this.#changing("write").writeAt(bytes, this.#cursor);
    this.#cursor += bytes.length;
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    this.#changing("writeAt").writeAt(bytes, offset);
  }

  writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    this.#changing("writeVectorAt").writeVectorAt(parts, offset);
  }

  sync(): void {
    this.#checkFailure();
    this.#file("sync").sync();
    this.#descriptor.dirty = false;
  }

  syncData(): void {
    this.#checkFailure();
    this.#file("syncData").syncData();
    this.#descriptor.dirty = false;
  }

  syncTo(length: number): boolean {
    this.#checkFailure();
    const durable = this.#file("syncTo").syncTo(length);
    if (durable) this.#descriptor.dirty = false;
    return durable;
  }

  preallocate(offset: number, length: number): void {
    this.#file("preallocate").preallocate(offset, length);
  }

  prefetch(offset: number, length: number): void {
    this.#file("prefetch").prefetch(offset, length);
  }

  punchHole(offset: number, length: number): void {
    this.#changing("punchHole").punchHole(offset, length);
  }

  truncate(length: number): void {
    this.#changing("truncate").truncate(length);
  }

  stat(): FileInfo {
    return this.#file("stat").stat();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
    this.#cache.close(this.#descriptor);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #file(operation: string): File {
    if (this.#closed) throw closedError(operation, this.path);
    return this.#cache.file(this.#descriptor, operation);
  }

  /** The file, to be changed. */
  #changing(operation: string): File {
    this.#checkFailure();
    const file = this.#file(operation);
    this.#descriptor.dirty = this.#descriptor.open === "write";
    return file;
  }

  #checkFailure(): void {
    if (this.#descriptor.failure !== undefined) throw this.#descriptor.failure;
  }
}

import { failSync, isLosable, type LosableFile } from "./_lose_dirty.ts";
import type { FsOperation, FsOperationKind } from "./operations.ts";
import { fixedPath } from "./paths.ts";
import type { DiskUsage, File, FileInfo, Fs, Lock } from "./types.ts";

/**
 * What happens around each call. Every method but `call` and `callAsync` has the meaning of those
 * two unless it is given: it may look at the bytes and at the file underneath.
 */
export interface InterceptHooks {
  /** Around a call; `run` does it. */
  call<T>(operation: FsOperation, run: () => T): T;
  /** Around an asynchronous call. */
  callAsync<T>(operation: FsOperation, run: () => Promise<T>): Promise<T>;
  /** `write` writes what it is given, all or a first part, where the call wanted it; to be called once at most. */
  write?(
    operation: FsOperation,
    parts: readonly Uint8Array[],
    write: (parts: readonly Uint8Array[]) => void,
  ): void;
  /** Around a read; what it returns is the number of bytes read. */
  read?(operation: FsOperation, into: Uint8Array, run: () => number): number;
  /** Around an asynchronous read. */
  readAsync?(operation: FsOperation, into: Uint8Array, run: () => Promise<number>): Promise<number>;
  /** Of `sync` and `syncData` the result counts for nothing. */
  sync?(operation: FsOperation, file: File, run: () => boolean): boolean;
  /** A file or directory was opened; what is returned takes its place. */
  opened?(file: File): File;
}

/** A file system with hooks around every call, for wrappers that care about more than speed. */
export class InterceptFs implements Fs {
  /** See {@linkcode Fs.name}. */
  readonly name: string;
  readonly #inner: Fs;
  readonly #hooks: InterceptHooks;

  /** Calls `inner` through `hooks`; the name becomes `name(inner)`. */
  constructor(name: string, inner: Fs, hooks: InterceptHooks) {
    this.name = `${name}(${inner.name})`;
    this.#inner = inner;
    this.#hooks = hooks;
  }

  /** See {@linkcode Fs.create}. */
  create(path: string): File {
    return this.#open({ kind: "create", path }, () => this.#inner.create(path));
  }

  /** See {@linkcode Fs.open}. */
  open(path: string): File {
    return this.#open({ kind: "open", path }, () => this.#inner.open(path));
  }

  /** See {@linkcode Fs.openReadWrite}. */
  openReadWrite(path: string): File {
    return this.#open({ kind: "openReadWrite", path }, () => this.#inner.openReadWrite(path));
  }

  /** See {@linkcode Fs.openDir}. */
  openDir(path: string): File {
    return this.#open({ kind: "openDir", path }, () => this.#inner.openDir(path));
  }

  /** See {@linkcode Fs.link}. */
  link(existing: string, path: string): void {
    const operation: FsOperation = { kind: "link", path: existing, to: path };
    this.#hooks.call(operation, () => this.#inner.link(existing, path));
  }

  /** See {@linkcode Fs.remove}. */
  remove(path: string): void {
    this.#hooks.call({ kind: "remove", path }, () => this.#inner.remove(path));
  }

  /** See {@linkcode Fs.removeAll}. */
  removeAll(path: string): void {
    this.#hooks.call({ kind: "removeAll", path }, () => this.#inner.removeAll(path));
  }

  /** See {@linkcode Fs.rename}. */
  rename(from: string, to: string): void {
    this.#hooks.call({ kind: "rename", path: from, to }, () => this.#inner.rename(from, to));
  }

  /** See {@linkcode Fs.reuseForWrite}. */
  reuseForWrite(from: string, to: string): File {
    const operation: FsOperation = { kind: "reuseForWrite", path: from, to };
    return this.#open(operation, () => this.#inner.reuseForWrite(from, to));
  }

  /** See {@linkcode Fs.mkdirAll}. */
  mkdirAll(path: string): void {
    this.#hooks.call({ kind: "mkdirAll", path }, () => this.#inner.mkdirAll(path));
  }

  /** See {@linkcode Fs.lock}. */
  lock(path: string): Lock {
    const lock = this.#hooks.call({ kind: "lock", path }, () => this.#inner.lock(path));
    const close = () => this.#hooks.call({ kind: "unlock", path }, () => lock.close());
    return { close, [Symbol.dispose]: close };
  }

  /** See {@linkcode Fs.list}. */
  list(path: string): string[] {
    return this.#hooks.call({ kind: "list", path }, () => this.#inner.list(path));
  }

  /** See {@linkcode Fs.stat}. */
  stat(path: string): FileInfo {
    return this.#hooks.call({ kind: "stat", path }, () => this.#inner.stat(path));
  }

  /** See {@linkcode Fs.diskUsage}. */
  diskUsage(path: string): DiskUsage {
    return this.#hooks.call({ kind: "diskUsage", path }, () => this.#inner.diskUsage(path));
  }

  /** See {@linkcode Fs.absolutePath}. No hook is called: nothing is asked of the disk. */
  absolutePath(path: string): string {
    return fixedPath(this.#inner, path);
  }

  #open(operation: FsOperation, open: () => File): File {
    const file = new InterceptFile(this.#hooks.call(operation, open), this.#hooks);
    return this.#hooks.opened?.(file) ?? file;
  }
}

class InterceptFile implements LosableFile {
  readonly path: string;
  readonly #inner: File;
  readonly #hooks: InterceptHooks;
  /** Where the cursor of the file underneath is. */
  #cursor = 0;

  constructor(inner: File, hooks: InterceptHooks) {
    this.path = inner.path;
    this.#inner = inner;
    this.#hooks = hooks;
  }

  read(into: Uint8Array): number {
    const operation = this.#operation("read", this.#cursor, into.length);
    return this.#read(operation, into, () => {
      const count = this.#inner.read(into);
      this.#cursor += count;
      return count;
    });
  }

  readAt(into: Uint8Array, offset: number): number {
    const operation = this.#operation("readAt", offset, into.length);
    return this.#read(operation, into, () => this.#inner.readAt(into, offset));
  }

  readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    const operation = this.#operation("readAtAsync", offset, into.length);
    const run = () => this.#inner.readAtAsync(into, offset);
    return this.#hooks.readAsync?.(operation, into, run) ?? this.#hooks.callAsync(operation, run);
  }

  write(bytes: Uint8Array): void {
    const operation = this.#operation("write", this.#cursor, bytes.length);
    this.#write(operation, [bytes], ([part]) => {
      if (part?.length === bytes.length) {
        this.#inner.write(part);
        this.#cursor += part.length;
      } else if (part !== undefined) {
        // A write that will fail half way leaves the cursor.
        this.#inner.writeAt(part, this.#cursor);
      }
    });
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    const operation = this.#operation("writeAt", offset, bytes.length);
    this.#write(operation, [bytes], (parts) => {
      for (const part of parts) this.#inner.writeAt(part, offset);
    });
  }

  writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const operation = this.#operation("writeVectorAt", offset, length);
    this.#write(operation, parts, (some) => this.#inner.writeVectorAt(some, offset));
  }

  sync(): void {
    this.#sync(this.#operation("sync"), () => {
      this.#inner.sync();
      return true;
    });
  }

  syncData(): void {
    this.#sync(this.#operation("syncData"), () => {
      this.#inner.syncData();
      return true;
    });
  }

  syncTo(length: number): boolean {
    const operation = this.#operation("syncTo", undefined, length);
    return this.#sync(operation, () => this.#inner.syncTo(length));
  }

  [failSync](reached: () => boolean): void {
    if (isLosable(this.#inner)) this.#inner[failSync](reached);
  }

  preallocate(offset: number, length: number): void {
    const operation = this.#operation("preallocate", offset, length);
    this.#hooks.call(operation, () => this.#inner.preallocate(offset, length));
  }

  prefetch(offset: number, length: number): void {
    const operation = this.#operation("prefetch", offset, length);
    this.#hooks.call(operation, () => this.#inner.prefetch(offset, length));
  }

  punchHole(offset: number, length: number): void {
    const operation = this.#operation("punchHole", offset, length);
    this.#hooks.call(operation, () => this.#inner.punchHole(offset, length));
  }

  truncate(length: number): void {
    const operation = this.#operation("truncate", undefined, length);
    this.#hooks.call(operation, () => this.#inner.truncate(length));
  }

  stat(): FileInfo {
    return this.#hooks.call(this.#operation("fileStat"), () => this.#inner.stat());
  }

  close(): void {
    this.#hooks.call(this.#operation("close"), () => this.#inner.close());
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #operation(kind: FsOperationKind, offset?: number, length?: number): FsOperation {
    return {
      kind,
      path: this.path,
      ...(offset === undefined ? undefined : { offset }),
      ...(length === undefined ? undefined : { length }),
    };
  }

  #read(operation: FsOperation, into: Uint8Array, run: () => number): number {
    if (this.#hooks.read === undefined) return this.#hooks.call(operation, run);
    return this.#hooks.read(operation, into, run);
  }

  #write(
    operation: FsOperation,
    parts: readonly Uint8Array[],
    write: (parts: readonly Uint8Array[]) => void,
  ): void {
    if (this.#hooks.write === undefined) this.#hooks.call(operation, () => write(parts));
    else this.#hooks.write(operation, parts, write);
  }

  #sync(operation: FsOperation, run: () => boolean): boolean {
    if (this.#hooks.sync === undefined) return this.#hooks.call(operation, run);
    return this.#hooks.sync(operation, this.#inner, run);
  }
}

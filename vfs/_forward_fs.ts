import { failSync, isLosable, type LosableFile } from "./_lose_dirty.ts";
import { fixedPath } from "./paths.ts";
import type { DiskUsage, File, FileInfo, Fs, FsSpec, Lock } from "./types.ts";

/** How a file came to be open. */
export type OpenKind = "create" | "open" | "openReadWrite" | "openDir" | "reuseForWrite";

/** A file system that passes every call on; wrappers that must cost little override what they need. */
export abstract class ForwardFs implements Fs {
  readonly name: string;
  /** Another thread would get the file system without the wrapper: there is no spec. */
  declare readonly spec?: FsSpec;
  protected readonly inner: Fs;

  constructor(name: string, inner: Fs) {
    this.name = `${name}(${inner.name})`;
    this.inner = inner;
  }

  /** What takes the place of a file that was opened. */
  protected abstract wrap(file: File, how: OpenKind): File;

  create(path: string): File {
    return this.wrap(this.inner.create(path), "create");
  }

  open(path: string): File {
    return this.wrap(this.inner.open(path), "open");
  }

  openReadWrite(path: string): File {
    return this.wrap(this.inner.openReadWrite(path), "openReadWrite");
  }

  openDir(path: string): File {
    return this.wrap(this.inner.openDir(path), "openDir");
  }

  link(existing: string, path: string): void {
    this.inner.link(existing, path);
  }

  remove(path: string): void {
    this.inner.remove(path);
  }

  removeAll(path: string): void {
    this.inner.removeAll(path);
  }

  rename(from: string, to: string): void {
    this.inner.rename(from, to);
  }

  reuseForWrite(from: string, to: string): File {
    return this.wrap(this.inner.reuseForWrite(from, to), "reuseForWrite");
  }

  mkdirAll(path: string): void {
    this.inner.mkdirAll(path);
  }

  lock(path: string): Lock {
    return this.inner.lock(path);
  }

  list(path: string): string[] {
    return this.inner.list(path);
  }

  stat(path: string): FileInfo {
    return this.inner.stat(path);
  }

  diskUsage(path: string): DiskUsage {
    return this.inner.diskUsage(path);
  }

  absolutePath(path: string): string {
    return fixedPath(this.inner, path);
  }
}

/** A file that passes every call on. */
export class ForwardFile implements LosableFile {
  readonly path: string;
  protected readonly inner: File;

  constructor(inner: File) {
    this.path = inner.path;
    this.inner = inner;
  }

  read(into: Uint8Array): number {
    return this.inner.read(into);
  }

  readAt(into: Uint8Array, offset: number): number {
    return this.inner.readAt(into, offset);
  }

  readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    return this.inner.readAtAsync(into, offset);
  }

  write(bytes: Uint8Array): void {
    this.inner.write(bytes);
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    this.inner.writeAt(bytes, offset);
  }

  writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    this.inner.writeVectorAt(parts, offset);
  }

  sync(): void {
    this.inner.sync();
  }

  syncData(): void {
    this.inner.syncData();
  }

  syncTo(length: number): boolean {
    return this.inner.syncTo(length);
  }

  [failSync](reached: () => boolean): void {
    if (isLosable(this.inner)) this.inner[failSync](reached);
  }

  preallocate(offset: number, length: number): void {
    this.inner.preallocate(offset, length);
  }

  prefetch(offset: number, length: number): void {
    this.inner.prefetch(offset, length);
  }

  punchHole(offset: number, length: number): void {
    this.inner.punchHole(offset, length);
  }

  truncate(length: number): void {
    this.inner.truncate(length);
  }

  stat(): FileInfo {
    return this.inner.stat();
  }

  close(): void {
    this.inner.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

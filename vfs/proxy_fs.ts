import { Channel } from "./_channel.ts";
import { checkExtent, checkPath, closedError, isExtent } from "./_check.ts";
import type { DiskUsage, File, FileInfo, Fs, FsSpec, Lock } from "./types.ts";

/** A path, and what else a call needs. */
type Call = (method: string, args: readonly (string | number)[]) => unknown;

/**
 * A file system that lives on another thread, which serves it with `serveFs`. Each call blocks this
 * thread until that one has answered; so that one must not block on this one, and a thread must not
 * make a proxy of its own file system.
 *
 * Reads and writes longer than the shared memory has room for are done in pieces. `readAtAsync`
 * blocks like the rest.
 */
export class ProxyFs implements Fs {
  /** `proxy(…)` with the name of the file system that is served. */
  readonly name: string;
  /** Any thread can make another proxy of the same. */
  readonly spec: FsSpec;
  readonly #channel: Channel;

  /** Reaches what `spec` of a server leads to. */
  constructor(spec: FsSpec & { readonly kind: "proxy" }) {
    this.name = `proxy(${spec.name})`;
    this.spec = spec;
    this.#channel = new Channel(spec.memory);
  }

  /** See {@linkcode Fs.create}. */
  create(path: string): File {
    return this.#open("create", path, [path]);
  }

  /** See {@linkcode Fs.open}. */
  open(path: string): File {
    return this.#open("open", path, [path]);
  }

  /** See {@linkcode Fs.openReadWrite}. */
  openReadWrite(path: string): File {
    return this.#open("openReadWrite", path, [path]);
  }

  /** See {@linkcode Fs.openDir}. */
  openDir(path: string): File {
    return this.#open("openDir", path, [path]);
  }

  /** See {@linkcode Fs.link}. */
  link(existing: string, path: string): void {
    this.#call("link", [existing, path]);
  }

  /** See {@linkcode Fs.remove}. */
  remove(path: string): void {
    this.#call("remove", [path]);
  }

  /** See {@linkcode Fs.removeAll}. */
  removeAll(path: string): void {
    this.#call("removeAll", [path]);
  }

  /** See {@linkcode Fs.rename}. */
  rename(from: string, to: string): void {
    this.#call("rename", [from, to]);
  }

  /** See {@linkcode Fs.reuseForWrite}. */
  reuseForWrite(from: string, to: string): File {
    return this.#open("reuseForWrite", to, [from, to]);
  }

  /** See {@linkcode Fs.mkdirAll}. */
  mkdirAll(path: string): void {
    this.#call("mkdirAll", [path]);
  }

  /** See {@linkcode Fs.lock}. */
  lock(path: string): Lock {
    const handle = this.#call("lock", [path]) as number;
    let open = true;
    const close = () => {
      if (!open) return;
      open = false;
      this.#channel.call({ method: "close", handle, args: [] });
    };
    return { close, [Symbol.dispose]: close };
  }

  /** See {@linkcode Fs.list}. */
  list(path: string): string[] {
    return this.#call("list", [path]) as string[];
  }

  /** See {@linkcode Fs.stat}. */
  stat(path: string): FileInfo {
    return this.#call("stat", [path]) as FileInfo;
  }

  /** See {@linkcode Fs.diskUsage}. */
  diskUsage(path: string): DiskUsage {
    return this.#call("diskUsage", [path]) as DiskUsage;
  }

  /** See {@linkcode Fs.absolutePath}. */
  absolutePath(path: string): string {
    return this.#call("absolutePath", [path]) as string;
  }

  readonly #call: Call = (method, args) => {
    for (const path of args) if (typeof path === "string") checkPath(method, path);
    return this.#channel.call({ method, args });
  };

  #open(method: string, path: string, args: readonly string[]): File {
    return new ProxyFile(path, this.#call(method, args) as number, this.#channel);
  }
}

class ProxyFile implements File {
  readonly path: string;
  readonly #handle: number;
  readonly #channel: Channel;
  #closed = false;

  constructor(path: string, handle: number, channel: Channel) {
    this.path = path;
    this.#handle = handle;
    this.#channel = channel;
  }

  read(into: Uint8Array): number {
    return this.#read("read", into, undefined);
  }

  readAt(into: Uint8Array, offset: number): number {
    return this.#read("readAt", into, offset);
  }

  readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    try {
      return Promise.resolve(this.#read("readAtAsync", into, offset));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  write(bytes: Uint8Array): void {
    this.#write("write", bytes, undefined);
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    this.#write("writeAt", bytes, offset);
  }

  writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    checkExtent("writeVectorAt", this.path, offset);
    const total = parts.reduce((sum, part) => sum + part.length, 0);
    if (parts.length > 1 && total <= this.#channel.dataRoom) {
      const joined = new Uint8Array(total);
      let filled = 0;
      for (const part of parts) {
        joined.set(part, filled);
        filled += part.length;
      }
      this.#write("writeVectorAt", joined, offset);
      return;
    }
    let at = offset;
    for (const part of parts) {
      this.#write("writeVectorAt", part, at);
      at += part.length;
    }
  }

  sync(): void {
    this.#call("sync");
  }

  syncData(): void {
    this.#call("syncData");
  }

  syncTo(length: number): boolean {
    checkExtent("syncTo", this.path, length);
    return this.#call("syncTo", [length]) as boolean;
  }

  preallocate(offset: number, length: number): void {
    checkExtent("preallocate", this.path, offset);
    checkExtent("preallocate", this.path, length);
    this.#call("preallocate", [offset, length]);
  }

  prefetch(offset: number, length: number): void {
    checkExtent("prefetch", this.path, offset);
    checkExtent("prefetch", this.path, length);
    this.#call("prefetch", [offset, length]);
  }

  punchHole(offset: number, length: number): void {
    checkExtent("punchHole", this.path, offset);
    checkExtent("punchHole", this.path, length);
    this.#call("punchHole", [offset, length]);
  }

  truncate(length: number): void {
    checkExtent("truncate", this.path, length);
    this.#call("truncate", [length]);
  }

  stat(): FileInfo {
    return this.#call("stat") as FileInfo;
  }

  close(): void {
    if (this.#closed) return;
    this.#call("close");
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #call(method: string, args: readonly number[] = [], send?: Uint8Array, receive?: Uint8Array) {
    if (this.#closed) throw closedError(method, this.path);
    return this.#channel.call({ method, handle: this.#handle, args }, send, receive);
  }

  /** In pieces; ends at the first that is short. */
  #read(method: string, into: Uint8Array, offset: number | undefined): number {
    if (offset !== undefined && !isExtent(offset)) checkExtent(method, this.path, offset);
    let done = 0;
    do {
      const piece = into.subarray(done, done + this.#channel.dataRoom);
      const args = offset === undefined ? [piece.length] : [piece.length, offset + done];
      const count = this.#call(method, args, undefined, piece) as number;
      done += count;
      if (count < piece.length) break;
    } while (done < into.length);
    return done;
  }

  #write(method: string, bytes: Uint8Array, offset: number | undefined): void {
    if (offset !== undefined && !isExtent(offset)) checkExtent(method, this.path, offset);
    let done = 0;
    do {
      const piece = bytes.subarray(done, done + this.#channel.dataRoom);
      this.#call(method, offset === undefined ? [] : [offset + done], piece);
      done += piece.length;
    } while (done < bytes.length);
  }
}

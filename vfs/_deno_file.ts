import { badExtent, checkExtent, closedError, fsError, isExtent } from "./_check.ts";
import { denoError, isInterrupted, isMissing } from "./_deno_errors.ts";
import { DenoReaders } from "./_deno_readers.ts";
import type { File, FileInfo } from "./types.ts";

/** Parts that together are no longer than this are copied into one write: a copy is cheaper than a system call. */
const GATHER_BYTES = 64 * 1024;
let gatherBuffer: Uint8Array | undefined;

/** Where the descriptor's cursor stands after a call that failed half way. */
const UNKNOWN = -1;

/** What is used of `Deno.FsFile`; tests put one here that counts short. */
export type DenoDescriptor = Pick<
  Deno.FsFile,
  | "close"
  | "readSync"
  | "seekSync"
  | "statSync"
  | "syncDataSync"
  | "syncSync"
  | "truncateSync"
  | "writeSync"
>;

/** What `stat` of the system tells, in our terms. */
export function toFileInfo(info: Deno.FileInfo): FileInfo {
  return {
    size: info.isDirectory ? 0 : info.size,
    isFile: info.isFile,
    isDirectory: info.isDirectory,
    device: info.dev,
    inode: info.ino ?? 0,
    links: info.nlink ?? 1,
  };
}

/**
 * An open file of the operating system. The descriptor's cursor is scratch: each call seeks to
 * where it wants to be, unless the last call already ended there.
 */
export class DenoFile implements File {
  readonly path: string;
  readonly #file: DenoDescriptor;
  /** Open, and for writing. */
  #writable: boolean;
  readonly #device: number;
  readonly #inode: number;
  /** The descriptor's cursor, or UNKNOWN. */
  #at = 0;
  /** The cursor of `read` and `write`. */
  #cursor = 0;
  #closed = false;
  #readers: DenoReaders | undefined;

  constructor(path: string, file: DenoDescriptor, writable: boolean, info: Deno.FileInfo) {
    this.path = path;
    this.#file = file;
    this.#writable = writable;
    this.#device = info.dev;
    this.#inode = info.ino ?? 0;
  }

  read(into: Uint8Array): number {
    const count = this.#readAt("read", into, this.#cursor);
    this.#cursor += count;
    return count;
  }

  readAt(into: Uint8Array, offset: number): number {
    return this.#readAt("readAt", into, offset);
  }

  async readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    checkExtent("readAtAsync", this.path, offset);
    if (this.#closed) throw closedError("readAtAsync", this.path);
    this.#readers ??= new DenoReaders(this.path, this.#device, this.#inode);
    const count = await this.#readers.readAt(into, offset);
    return count ?? this.#readAt("readAtAsync", into, offset);
  }

  write(bytes: Uint8Array): void {
    this.#writeAt("write", bytes, this.#cursor);
    this.#cursor += bytes.length;
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    this.#writeAt("writeAt", bytes, offset);
  }

  writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    let total = 0;
    for (const part of parts) total += part.length;
    if (parts.length > 1 && total <= GATHER_BYTES) {
      const gathered = gatherBuffer ??= new Uint8Array(GATHER_BYTES);
      let filled = 0;
      for (const part of parts) {
        gathered.set(part, filled);
        filled += part.length;
      }
      this.#writeAt("writeVectorAt", gathered.subarray(0, total), offset);
      return;
    }
    checkExtent("writeVectorAt", this.path, offset);
    let at = offset;
    for (const part of parts) {
      this.#writeAt("writeVectorAt", part, at);
      at += part.length;
    }
  }

  sync(): void {
    try {
      this.#file.syncSync();
    } catch (error) {
      throw denoError(error, "sync", this.path);
    }
  }

  syncData(): void {
    try {
      this.#file.syncDataSync();
    } catch (error) {
      throw denoError(error, "syncData", this.path);
    }
  }

  syncTo(length: number): boolean {
    checkExtent("syncTo", this.path, length);
    // Deno has no sync_file_range: the whole file is what can be sent on its way, and the answer
    // says so.
    try {
      this.#file.syncDataSync();
    } catch (error) {
      throw denoError(error, "syncTo", this.path);
    }
    return true;
  }

  preallocate(offset: number, length: number): void {
    this.#checkHint("preallocate", offset, length);
    this.#checkWritable("preallocate");
  }

  prefetch(offset: number, length: number): void {
    this.#checkHint("prefetch", offset, length);
  }

  punchHole(offset: number, length: number): void {
    checkExtent("punchHole", this.path, offset);
    checkExtent("punchHole", this.path, length);
    this.#checkWritable("punchHole");
    throw fsError("UNSUPPORTED", "punchHole", this.path, "Deno cannot punch holes");
  }

  truncate(length: number): void {
    checkExtent("truncate", this.path, length);
    this.#checkWritable("truncate");
    try {
      this.#file.truncateSync(length);
    } catch (error) {
      throw denoError(error, "truncate", this.path);
    }
  }

  stat(): FileInfo {
    try {
      return toFileInfo(this.#file.statSync());
    } catch (error) {
      if (isMissing(error)) return this.#statWithoutPath();
      throw denoError(error, "stat", this.path);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writable = false;
    this.#readers?.close();
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Deno 2.9 looks at the path that a handle was opened by before it stats the handle, unless all
   * permissions are granted, and fails where that path now leads through a file. What the handle
   * itself tells is its length; no name that we know leads to it.
   */
  #statWithoutPath(): FileInfo {
    this.#at = UNKNOWN;
    try {
      const size = this.#file.seekSync(0, Deno.SeekMode.End);
      const [device, inode] = [this.#device, this.#inode];
      return { size, isFile: true, isDirectory: false, device, inode, links: 0 };
    } catch (error) {
      throw denoError(error, "stat", this.path);
    }
  }

  #readAt(operation: string, into: Uint8Array, offset: number): number {
    if (!isExtent(offset)) throw badExtent(operation, this.path, offset);
    // Deno itself lets an empty read of a closed file pass.
    if (this.#closed) throw closedError(operation, this.path);
    let count: number | null;
    try {
      if (this.#at !== offset) this.#file.seekSync(offset, Deno.SeekMode.Start);
      count = this.#file.readSync(into);
    } catch (error) {
      this.#at = UNKNOWN;
      if (!isInterrupted(error)) throw denoError(error, operation, this.path);
      return this.#readRest(operation, into, offset, 0);
    }
    if (count === into.length) {
      this.#at = offset + count;
      return count;
    }
    this.#at = UNKNOWN;
    return count === null ? 0 : this.#readRest(operation, into, offset, count);
  }

  /** After a short count: goes on until the buffer is full or the file ends. */
  #readRest(operation: string, into: Uint8Array, offset: number, done: number): number {
    while (done < into.length) {
      try {
        this.#file.seekSync(offset + done, Deno.SeekMode.Start);
        const count = this.#file.readSync(into.subarray(done));
        if (count === null || count === 0) break;
        done += count;
      } catch (error) {
        if (!isInterrupted(error)) throw denoError(error, operation, this.path);
      }
    }
    return done;
  }

  #writeAt(operation: string, bytes: Uint8Array, offset: number): void {
    if (!isExtent(offset)) throw badExtent(operation, this.path, offset);
    this.#checkWritable(operation);
    let count: number;
    try {
      if (this.#at !== offset) this.#file.seekSync(offset, Deno.SeekMode.Start);
      count = this.#file.writeSync(bytes);
    } catch (error) {
      this.#at = UNKNOWN;
      if (!isInterrupted(error)) throw denoError(error, operation, this.path);
      count = 0;
    }
    if (count === bytes.length) {
      this.#at = offset + count;
      return;
    }
    this.#at = UNKNOWN;
    this.#writeRest(operation, bytes, offset, count);
  }

  /** After a short count: goes on until all is written or the system says why not. */
  #writeRest(operation: string, bytes: Uint8Array, offset: number, done: number): void {
    while (done < bytes.length) {
      try {
        this.#file.seekSync(offset + done, Deno.SeekMode.Start);
        const count = this.#file.writeSync(bytes.subarray(done));
        if (count === 0) throw fsError("IO", operation, this.path, "the device takes no bytes");
        done += count;
      } catch (error) {
        if (!isInterrupted(error)) throw denoError(error, operation, this.path);
      }
    }
  }

  #checkWritable(operation: string): void {
    if (this.#writable) return;
    if (this.#closed) throw closedError(operation, this.path);
    throw fsError("READ_ONLY", operation, this.path, "the file is open for reading only");
  }

  #checkHint(operation: string, offset: number, length: number): void {
    checkExtent(operation, this.path, offset);
    checkExtent(operation, this.path, length);
    if (this.#closed) throw closedError(operation, this.path);
  }
}

import { checkExtent, closedError, fsError, isExtent } from "./_check.ts";
import { MAX_FILE_BYTES } from "./_mem_content.ts";
import { DirHandle } from "./_dir_handle.ts";
import type { DirNode, FileNode } from "./_mem_node.ts";
import { failSync, type LosableFile } from "./_lose_dirty.ts";
import type { FileInfo } from "./types.ts";

/** What a handle asks of its file system. */
export interface HandleHost {
  readonly device: number;
  syncFile(node: FileNode, path: string, kind: "sync" | "syncData" | "syncTo"): void;
  syncDir(node: DirNode, path: string): void;
  failSyncDir(node: DirNode, reached: () => boolean): void;
  closed(handle: MemFileHandle | MemDirHandle): void;
}

/** An open file in memory. */
export class MemFileHandle implements LosableFile {
  readonly path: string;
  readonly node: FileNode;
  readonly #host: HandleHost;
  readonly #writable: boolean;
  #cursor = 0;
  #closed = false;

  constructor(path: string, node: FileNode, host: HandleHost, writable: boolean) {
    this.path = path;
    this.node = node;
    this.#host = host;
    this.#writable = writable;
    node.handles++;
  }

  read(into: Uint8Array): number {
    const count = this.#readAt("read", into, this.#cursor);
    this.#cursor += count;
    return count;
  }

  readAt(into: Uint8Array, offset: number): number {
    return this.#readAt("readAt", into, offset);
  }

  readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    // What is wrong rejects, as it does where the read really waits.
    try {
      return Promise.resolve(this.#readAt("readAtAsync", into, offset));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  write(bytes: Uint8Array): void {
    this.#writeAt("write", bytes, this.#cursor);
    this.#cursor += bytes.length;
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    this.#writeAt("writeAt", bytes, offset);
  }

  writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    checkExtent("writeVectorAt", this.path, offset);
    let at = offset;
    for (const part of parts) {
      this.#writeAt("writeVectorAt", part, at);
      at += part.length;
    }
  }

  sync(): void {
    if (this.#closed) throw closedError("sync", this.path);
    this.#host.syncFile(this.node, this.path, "sync");
  }

  syncData(): void {
    if (this.#closed) throw closedError("syncData", this.path);
    this.#host.syncFile(this.node, this.path, "syncData");
  }

  [failSync](reached: () => boolean): void {
    if (this.#closed) throw closedError("sync", this.path);
    this.node.content.failSync(reached);
  }

  syncTo(length: number): boolean {
    checkExtent("syncTo", this.path, length);
    if (this.#closed) throw closedError("syncTo", this.path);
    // Promises nothing, as the cheaper of the real ones does.
    return false;
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
    this.node.content.punch(offset, length);
  }

  truncate(length: number): void {
    checkExtent("truncate", this.path, length);
    this.#checkWritable("truncate");
    if (length > MAX_FILE_BYTES) throw fsError("INVALID", "truncate", this.path, "file too large");
    if (!this.node.content.truncate(length)) {
      throw fsError("NO_SPACE", "truncate", this.path, "no space left");
    }
  }

  stat(): FileInfo {
    if (this.#closed) throw closedError("stat", this.path);
    return fileInfo(this.node, this.#host.device);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.node.handles--;
    this.node.releaseIfGone();
    this.#host.closed(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #readAt(operation: string, into: Uint8Array, offset: number): number {
    if (!isExtent(offset)) checkExtent(operation, this.path, offset);
    if (this.#closed) throw closedError(operation, this.path);
    return this.node.content.read(into, offset);
  }

  #writeAt(operation: string, bytes: Uint8Array, offset: number): void {
    if (!isExtent(offset)) checkExtent(operation, this.path, offset);
    this.#checkWritable(operation);
    if (offset + bytes.length > MAX_FILE_BYTES) {
      throw fsError("INVALID", operation, this.path, "file too large");
    }
    const count = this.node.content.write(bytes, offset);
    if (count < bytes.length) {
      throw fsError("NO_SPACE", operation, this.path, "no space left", { offset: offset + count });
    }
  }

  #checkWritable(operation: string): void {
    if (this.#closed) throw closedError(operation, this.path);
    if (!this.#writable) {
      throw fsError("READ_ONLY", operation, this.path, "the file is open for reading only");
    }
  }

  #checkHint(operation: string, offset: number, length: number): void {
    checkExtent(operation, this.path, offset);
    checkExtent(operation, this.path, length);
    if (this.#closed) throw closedError(operation, this.path);
  }
}

/** An open directory in memory. */
export class MemDirHandle extends DirHandle implements LosableFile {
  readonly node: DirNode;
  readonly #host: HandleHost;

  constructor(path: string, node: DirNode, host: HandleHost) {
    super(path);
    this.node = node;
    this.#host = host;
    node.handles++;
  }

  protected override syncEntries(): void {
    this.#host.syncDir(this.node, this.path);
  }

  [failSync](reached: () => boolean): void {
    this.#host.failSyncDir(this.node, reached);
  }

  protected override statOpen(): FileInfo {
    return dirInfo(this.node, this.#host.device);
  }

  protected override closeOnce(): void {
    this.node.handles--;
    this.#host.closed(this);
  }
}

/** The state of a file node. */
export function fileInfo(node: FileNode, device: number): FileInfo {
  return {
    size: node.content.size,
    isFile: true,
    isDirectory: false,
    device,
    inode: node.inode,
    links: node.links,
  };
}

/** The state of a directory node. */
export function dirInfo(node: DirNode, device: number): FileInfo {
  return { size: 0, isFile: false, isDirectory: true, device, inode: node.inode, links: 1 };
}

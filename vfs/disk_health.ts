import { HealthBoard, kindNumber } from "./_health_board.ts";
import { ForwardFile, ForwardFs, type OpenKind } from "./_forward_fs.ts";
import type { FsOperationKind } from "./operations.ts";
import type { DiskUsage, File, FileInfo, Fs, Lock } from "./types.ts";

/** A call that takes long, and goes on. */
export interface SlowOperation {
  /** Which call. */
  readonly operation: FsOperationKind;
  /** What it is about; the end of it where it is long. */
  readonly path: string;
  /** How much it reads or writes, in bytes, rounded up to KiB; 0 where that means nothing. */
  readonly bytes: number;
  /** For how long it has been going on at least, in milliseconds. */
  readonly durationMs: number;
}

/** A file system whose calls can be watched. */
export interface DiskHealthFs extends Fs {
  /** What goes on, for {@linkcode watchDiskHealth} in this thread or in another one. */
  readonly memory: SharedArrayBuffer;
}

/**
 * Notes in shared memory which call is going on, so that another thread can tell while it hangs. Costs
 * one atomic store a call and no clock. Covers every call of the file system and of all its files.
 * `memory` is what `diskHealthMemory` made; without it, it is made here.
 */
export function withDiskHealth(fs: Fs, memory?: SharedArrayBuffer): DiskHealthFs {
  return new DiskHealth(fs, new HealthBoard(memory));
}

/** Memory for {@linkcode withDiskHealth}, made by the thread that will watch: 132 KiB. It is for one file system. */
export function diskHealthMemory(): SharedArrayBuffer {
  return new HealthBoard().memory;
}

/** How {@linkcode watchDiskHealth} watches. */
export interface DiskHealthOptions {
  /** From how many milliseconds on a call is slow. */
  readonly thresholdMs: number;
  /** Called once when a call becomes slow, and again each time its duration has doubled, as long as it goes on. */
  readonly onSlow: (slow: SlowOperation) => void;
  /** How often to look, in milliseconds; 0: only when {@linkcode DiskHealthWatch.poll} is called. Default: a quarter of the threshold. */
  readonly intervalMs?: number;
  /** The clock, in milliseconds. Default: `performance.now`. */
  readonly now?: () => number;
}

/** A watch over a disk. */
export interface DiskHealthWatch extends Disposable {
  /** Looks now. */
  poll(): void;
  /** True if the last look found a slow call. */
  readonly isSlow: boolean;
  /** Ends the watch. Idempotent. */
  close(): void;
}

/**
 * Tells of calls that hang while they hang. Blocking calls of a thread can only be seen from another
 * one, so watch a worker's file system from the main thread: post it the `memory`. A call is timed
 * from the first look that finds it, so a report comes up to one interval late. The timer keeps no
 * process alive.
 */
export function watchDiskHealth(
  memory: SharedArrayBuffer,
  options: DiskHealthOptions,
): DiskHealthWatch {
  const board = new HealthBoard(memory);
  const now = options.now ?? (() => performance.now());
  /** For each slot the call that was seen there last, since when, and from when on to tell. */
  const seen = new Map<number, { call: number; since: number; tellAt: number }>();
  let isSlow = false;
  const poll = () => {
    const time = now();
    isSlow = false;
    for (let slot = 0; slot < HealthBoard.slots; slot++) {
      const call = board.callOf(slot);
      if (call === undefined) {
        seen.delete(slot);
        continue;
      }
      let entry = seen.get(slot);
      if (entry?.call !== call) {
        entry = { call, since: time, tellAt: options.thresholdMs };
        seen.set(slot, entry);
      }
      const durationMs = time - entry.since;
      isSlow ||= durationMs >= options.thresholdMs;
      if (durationMs < entry.tellAt) continue;
      const details = board.detailsOf(slot);
      // It may have ended while its details were read: then they are another call's.
      if (board.callOf(slot) !== call) continue;
      entry.tellAt = 2 * durationMs;
      options.onSlow({ ...details, durationMs });
    }
  };
  const intervalMs = options.intervalMs ?? Math.max(1, options.thresholdMs / 4);
  const timer = intervalMs > 0 ? setInterval(poll, intervalMs) : undefined;
  if (timer !== undefined) Deno.unrefTimer(timer);
  const close = () => clearInterval(timer);
  return {
    poll,
    close,
    get isSlow() {
      return isSlow;
    },
    [Symbol.dispose]: close,
  };
}

class DiskHealth extends ForwardFs implements DiskHealthFs {
  readonly memory: SharedArrayBuffer;
  readonly #board: HealthBoard;

  constructor(inner: Fs, board: HealthBoard) {
    super("health", inner);
    this.#board = board;
    this.memory = board.memory;
  }

  override create(path: string): File {
    return this.#board.runPath("create", path, () => super.create(path));
  }

  override open(path: string): File {
    return this.#board.runPath("open", path, () => super.open(path));
  }

  override openReadWrite(path: string): File {
    return this.#board.runPath("openReadWrite", path, () => super.openReadWrite(path));
  }

  override openDir(path: string): File {
    return this.#board.runPath("openDir", path, () => super.openDir(path));
  }

  override link(existing: string, path: string): void {
    this.#board.runPath("link", path, () => super.link(existing, path));
  }

  override remove(path: string): void {
    this.#board.runPath("remove", path, () => super.remove(path));
  }

  override removeAll(path: string): void {
    this.#board.runPath("removeAll", path, () => super.removeAll(path));
  }

  override rename(from: string, to: string): void {
    this.#board.runPath("rename", from, () => super.rename(from, to));
  }

  override reuseForWrite(from: string, to: string): File {
    return this.#board.runPath("reuseForWrite", from, () => super.reuseForWrite(from, to));
  }

  override mkdirAll(path: string): void {
    this.#board.runPath("mkdirAll", path, () => super.mkdirAll(path));
  }

  override lock(path: string): Lock {
    const lock = this.#board.runPath("lock", path, () => super.lock(path));
    const close = () => this.#board.runPath("unlock", path, () => lock.close());
    return { close, [Symbol.dispose]: close };
  }

  override list(path: string): string[] {
    return this.#board.runPath("list", path, () => super.list(path));
  }

  override stat(path: string): FileInfo {
    return this.#board.runPath("stat", path, () => super.stat(path));
  }

  override diskUsage(path: string): DiskUsage {
    return this.#board.runPath("diskUsage", path, () => super.diskUsage(path));
  }

  protected override wrap(file: File, _how: OpenKind): File {
    return new HealthFile(file, this.#board);
  }
}

const READ = kindNumber("read");
const READ_AT = kindNumber("readAt");
const READ_AT_ASYNC = kindNumber("readAtAsync");
const WRITE = kindNumber("write");
const WRITE_AT = kindNumber("writeAt");

class HealthFile extends ForwardFile {
  readonly #board: HealthBoard;
  readonly #pathNumber: number;
  #closed = false;

  constructor(inner: File, board: HealthBoard) {
    super(inner);
    this.#board = board;
    this.#pathNumber = board.addPath(inner.path);
  }

  override read(into: Uint8Array): number {
    const before = this.#board.begin(0, READ, this.#pathNumber, into.length);
    try {
      return this.inner.read(into);
    } finally {
      this.#board.end(0, before);
    }
  }

  override readAt(into: Uint8Array, offset: number): number {
    const before = this.#board.begin(0, READ_AT, this.#pathNumber, into.length);
    try {
      return this.inner.readAt(into, offset);
    } finally {
      this.#board.end(0, before);
    }
  }

  override async readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    const slot = this.#board.takeSlot();
    if (slot === undefined) return await this.inner.readAtAsync(into, offset);
    const before = this.#board.begin(slot, READ_AT_ASYNC, this.#pathNumber, into.length);
    try {
      return await this.inner.readAtAsync(into, offset);
    } finally {
      this.#board.end(slot, before);
      this.#board.giveSlot(slot);
    }
  }

  override write(bytes: Uint8Array): void {
    const before = this.#board.begin(0, WRITE, this.#pathNumber, bytes.length);
    try {
      this.inner.write(bytes);
    } finally {
      this.#board.end(0, before);
    }
  }

  override writeAt(bytes: Uint8Array, offset: number): void {
    const before = this.#board.begin(0, WRITE_AT, this.#pathNumber, bytes.length);
    try {
      this.inner.writeAt(bytes, offset);
    } finally {
      this.#board.end(0, before);
    }
  }

  override writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    let length = 0;
    for (const part of parts) length += part.length;
    this.#run("writeVectorAt", length, () => super.writeVectorAt(parts, offset));
  }

  override sync(): void {
    this.#run("sync", 0, () => super.sync());
  }

  override syncData(): void {
    this.#run("syncData", 0, () => super.syncData());
  }

  override syncTo(length: number): boolean {
    return this.#run("syncTo", length, () => super.syncTo(length));
  }

  override preallocate(offset: number, length: number): void {
    this.#run("preallocate", length, () => super.preallocate(offset, length));
  }

  override prefetch(offset: number, length: number): void {
    this.#run("prefetch", length, () => super.prefetch(offset, length));
  }

  override punchHole(offset: number, length: number): void {
    this.#run("punchHole", length, () => super.punchHole(offset, length));
  }

  override truncate(length: number): void {
    this.#run("truncate", length, () => super.truncate(length));
  }

  override stat(): FileInfo {
    return this.#run("fileStat", 0, () => super.stat());
  }

  override close(): void {
    this.#run("close", 0, () => super.close());
    if (this.#closed) return;
    this.#closed = true;
    this.#board.dropPath(this.#pathNumber);
  }

  #run<T>(kind: FsOperationKind, bytes: number, action: () => T): T {
    const before = this.#board.begin(0, kindNumber(kind), this.#pathNumber, bytes);
    try {
      return action();
    } finally {
      this.#board.end(0, before);
    }
  }
}

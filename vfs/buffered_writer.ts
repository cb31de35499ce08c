import { checkExtent, closedError, fsError } from "./_check.ts";
import type { File } from "./types.ts";

/** How a {@linkcode BufferedWriter} writes; all of it may be left out. */
export interface BufferedWriterOptions {
  /** How much it holds in memory, in bytes, from 1 up. Default 64 KiB. */
  readonly bufferBytes?: number;
  /** Where in the file it begins, in bytes. Default: at the end. */
  readonly position?: number;
}

/**
 * Collects small writes, one after another, and passes them on in large ones. Memory is bounded:
 * what does not fit is written before {@linkcode write} returns.
 *
 * An error of the file is thrown by the call that met it and by every later one: it is unknown how
 * much of what was taken is in the file, and nothing is tried again. Only `close` is silent then.
 *
 * The file belongs to the caller, who closes it after the writer, and meanwhile writes nothing to it
 * from the position on.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { BufferedWriter, MemFs, readText } from "@flagstone/flagstone/vfs";
 * const fs = new MemFs();
 * using file = fs.create("/log");
 * using writer = new BufferedWriter(file);
 * for (const line of ["one\n", "two\n"]) writer.write(new TextEncoder().encode(line));
 * assert.equal(readText(fs, "/log"), "");
 * writer.sync();
 * assert.equal(readText(fs, "/log"), "one\ntwo\n");
 * ```
 */
export class BufferedWriter implements Disposable {
  readonly #file: File;
  readonly #buffer: Uint8Array;
  /** How much of the buffer is taken. */
  #filled = 0;
  /** Where in the file the buffer belongs. */
  #start: number;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  /** Writes to `file`, which must be open for writing. `INVALID` for options out of range. */
  constructor(file: File, options: BufferedWriterOptions = {}) {
    const { bufferBytes = 64 * 1024, position = file.stat().size } = options;
    checkExtent("write", file.path, position);
    if (!Number.isSafeInteger(bufferBytes) || bufferBytes < 1) {
      const reason = `bufferBytes must be an integer from 1 up, not ${bufferBytes}`;
      throw fsError("INVALID", "write", file.path, reason);
    }
    this.#file = file;
    this.#buffer = new Uint8Array(bufferBytes);
    this.#start = position;
  }

  /** Where in the file the next byte goes: behind all that was taken, written or not. */
  get position(): number {
    return this.#start + this.#filled;
  }

  /** How many bytes were taken and are not in the file yet. */
  get bufferedBytes(): number {
    return this.#filled;
  }

  /** Takes bytes; the caller may change them afterwards. Throws what the writes of the file throw. */
  write(bytes: Uint8Array): void {
    this.#check("write");
    if (this.#filled + bytes.length > this.#buffer.length) {
      if (bytes.length >= this.#buffer.length) return this.#pass([this.#taken(), bytes]);
      // The buffer goes full, so that pieces of the file have one length.
      const room = this.#buffer.length - this.#filled;
      this.#buffer.set(bytes.subarray(0, room), this.#filled);
      this.#filled += room;
      this.#pass([this.#taken()]);
      bytes = bytes.subarray(room);
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** Reads at `offset` what the file holds with all that was taken. Returns the bytes read: fewer than asked only at the end. */
  readAt(into: Uint8Array, offset: number): number {
    this.#check("readAt");
    checkExtent("readAt", this.#file.path, offset);
    let count = 0;
    if (offset < this.#start) {
      const room = into.subarray(0, this.#start - offset);
      count = this.#file.readAt(room, offset);
      // The writer began behind the end of the file: the gap is zeros once the file is longer.
      if (count < room.length && this.#filled > 0) {
        room.fill(0, count);
        count = room.length;
      }
      if (count < room.length) return count;
    }
    const from = offset + count - this.#start;
    const found = this.#taken().subarray(from, from + into.length - count);
    into.set(found, count);
    return count + found.length;
  }

  /** Writes what was taken to the file. Nothing is durable by it. */
  flush(): void {
    this.#check("flush");
    if (this.#filled > 0) this.#pass([this.#taken()]);
  }

  /** Flushes, then makes the file durable: content and metadata. */
  sync(): void {
    this.flush();
    this.#try(() => this.#file.sync());
  }

  /** Flushes, then makes the content of the file durable. */
  syncData(): void {
    this.flush();
    this.#try(() => this.#file.syncData());
  }

  /** Flushes, syncs nothing, and takes no more. After a failure it drops what was not written. Idempotent. */
  close(): void {
    if (this.#closed) return;
    try {
      if (this.#failure === undefined) this.flush();
    } finally {
      this.#closed = true;
    }
  }

  /** See {@linkcode close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #taken(): Uint8Array {
    return this.#buffer.subarray(0, this.#filled);
  }

  /** Writes parts, the buffer first; it is empty then. */
  #pass(parts: readonly Uint8Array[]): void {
    this.#try(() => this.#file.writeVectorAt(parts, this.#start));
    for (const part of parts) this.#start += part.length;
    this.#filled = 0;
  }

  #try(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  #check(operation: string): void {
    if (this.#closed) throw closedError(operation, this.#file.path);
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

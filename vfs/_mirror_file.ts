import { failSync, isLosable, type LosableFile } from "./_lose_dirty.ts";
import type { File, FileInfo } from "./types.ts";

/** An open file of another file system, and the same file in the model that knows what is synced. */
export class MirrorFile implements LosableFile {
  readonly path: string;
  readonly #inner: File;
  readonly #model: File;
  readonly #closed: () => void;

  constructor(inner: File, model: File, closed: () => void) {
    this.path = inner.path;
    this.#inner = inner;
    this.#model = model;
    this.#closed = closed;
  }

  read(into: Uint8Array): number {
    const count = this.#inner.read(into);
    // The model has a cursor too, which a later write uses.
    this.#model.read(into.slice(0, count));
    return count;
  }

  readAt(into: Uint8Array, offset: number): number {
    return this.#inner.readAt(into, offset);
  }

  readAtAsync(into: Uint8Array, offset: number): Promise<number> {
    return this.#inner.readAtAsync(into, offset);
  }

  write(bytes: Uint8Array): void {
    this.#inner.write(bytes);
    this.#model.write(bytes);
  }

  writeAt(bytes: Uint8Array, offset: number): void {
    this.#inner.writeAt(bytes, offset);
    this.#model.writeAt(bytes, offset);
  }

  writeVectorAt(parts: readonly Uint8Array[], offset: number): void {
    this.#inner.writeVectorAt(parts, offset);
    this.#model.writeVectorAt(parts, offset);
  }

  sync(): void {
    this.#sync(() => this.#inner.sync());
    this.#model.sync();
  }

  syncData(): void {
    this.#sync(() => this.#inner.syncData());
    this.#model.syncData();
  }

  [failSync](reached: () => boolean): void {
    if (isLosable(this.#model)) this.#model[failSync](reached);
  }

  syncTo(length: number): boolean {
    const durable = this.#sync(() => this.#inner.syncTo(length));
    if (durable) this.#model.syncData();
    return durable;
  }

  preallocate(offset: number, length: number): void {
    this.#inner.preallocate(offset, length);
  }

  prefetch(offset: number, length: number): void {
    this.#inner.prefetch(offset, length);
  }

  punchHole(offset: number, length: number): void {
    this.#inner.punchHole(offset, length);
    this.#model.punchHole(offset, length);
  }

  truncate(length: number): void {
    this.#inner.truncate(length);
    this.#model.truncate(length);
  }

  stat(): FileInfo {
    return this.#inner.stat();
  }

  close(): void {
    this.#inner.close();
    this.#model.close();
    this.#closed();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #sync<T>(inner: () => T): T {
    try {
      return inner();
    } catch (error) {
      // The real one failed: nothing that was unsynced can be relied on any more.
      if (isLosable(this.#model)) this.#model[failSync](() => false);
      throw error;
    }
  }
}

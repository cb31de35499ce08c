import type { FlagstoneError } from "../errors/mod.ts";
import { closedError, fsError } from "./_check.ts";
import type { File, FileInfo } from "./types.ts";

/** What every open directory has in common: it can be synced, statted and closed, and nothing else. */
export abstract class DirHandle implements File {
  readonly path: string;
  #closed = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the entries durable; the handle is open. */
  protected abstract syncEntries(operation: "sync" | "syncData" | "syncTo"): void;
  /** Tells about the directory; the handle is open. */
  protected abstract statOpen(): FileInfo;
  /** Gives up what the handle holds; called once. */
  protected abstract closeOnce(): void;

  sync(): void {
    this.#checkOpen("sync");
    this.syncEntries("sync");
  }

  syncData(): void {
    this.#checkOpen("syncData");
    this.syncEntries("syncData");
  }

  syncTo(_length: number): boolean {
    this.#checkOpen("syncTo");
    this.syncEntries("syncTo");
    return true;
  }

  stat(): FileInfo {
    this.#checkOpen("stat");
    return this.statOpen();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.closeOnce();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  read(_into: Uint8Array): number {
    throw this.#refusal("read");
  }

  readAt(_into: Uint8Array, _offset: number): number {
    throw this.#refusal("readAt");
  }

  readAtAsync(_into: Uint8Array, _offset: number): Promise<number> {
    return Promise.reject(this.#refusal("readAtAsync"));
  }

  write(_bytes: Uint8Array): void {
    throw this.#refusal("write");
  }

  writeAt(_bytes: Uint8Array, _offset: number): void {
    throw this.#refusal("writeAt");
  }

  writeVectorAt(_parts: readonly Uint8Array[], _offset: number): void {
    throw this.#refusal("writeVectorAt");
  }

  preallocate(_offset: number, _length: number): void {
    throw this.#refusal("preallocate");
  }

  prefetch(_offset: number, _length: number): void {
    throw this.#refusal("prefetch");
  }

  punchHole(_offset: number, _length: number): void {
    throw this.#refusal("punchHole");
  }

  truncate(_length: number): void {
    throw this.#refusal("truncate");
  }

  #checkOpen(operation: string): void {
    if (this.#closed) throw closedError(operation, this.path);
  }

  #refusal(operation: string): FlagstoneError {
    if (this.#closed) return closedError(operation, this.path);
    return fsError("IS_A_DIRECTORY", operation, this.path, "it is a directory");
  }
}

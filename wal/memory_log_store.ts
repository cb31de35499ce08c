import { FlagstoneError } from "../errors/mod.ts";
import {
  checkBytes,
  checkInteger,
  checkPosition,
  checkTruncate,
  checkTruncateBefore,
  checkWrite,
} from "./_log_store_arguments.ts";
import { LogStoreState } from "./_log_store_state.ts";
import { type LogStore, MAX_LOG_LENGTH } from "./log_store.ts";

/** How a {@linkcode MemoryLogStore} is made; all of it may be left out. */
export interface MemoryLogStoreOptions {
  /** Room that is made at once, in bytes, so that growing to it copies nothing. Default 0. */
  readonly reserveBytes?: number;
  /** How much it may hold, in bytes; a write beyond it fails with `NO_SPACE`. Default: no limit but memory's. */
  readonly capacityBytes?: number;
}

const LEAST_ROOM_BYTES = 256;

/**
 * A {@linkcode LogStore} in memory, for tests and for measuring a log without a disk. There is
 * nothing that a crash would leave: `sync` only keeps the contract. Drops a prefix to the byte.
 */
export class MemoryLogStore implements LogStore {
  readonly #state = new LogStoreState("memory");
  readonly #capacityBytes: number;
  /** From position `#base` on; behind the end there is room, all zeros. */
  #room: Uint8Array<ArrayBuffer>;
  /** At most the head: what lies between is let go when that is worth a copy. */
  #base = 0;
  #head = 0;
  #length = 0;

  /** An empty store. */
  constructor(options: MemoryLogStoreOptions = {}) {
    const { reserveBytes = 0, capacityBytes = MAX_LOG_LENGTH } = options;
    checkInteger("options.capacityBytes", capacityBytes, 0, MAX_LOG_LENGTH);
    checkInteger("options.reserveBytes", reserveBytes, 0, capacityBytes);
    this.#capacityBytes = capacityBytes;
    this.#room = allocate(reserveBytes);
  }

  /** A store that holds a copy of `bytes`, from position 0 on. */
  static from(bytes: Uint8Array, options: MemoryLogStoreOptions = {}): MemoryLogStore {
    checkBytes("bytes", bytes);
    const store = new MemoryLogStore(options);
    store.writeAt(bytes, 0);
    return store;
  }

  /** See {@linkcode LogStore.head}. */
  get head(): number {
    return this.#head;
  }

  /** See {@linkcode LogStore.length}. */
  get length(): number {
    return this.#length;
  }

  /** A deep copy, head and all: neither sees what is done to the other. */
  clone(): MemoryLogStore {
    this.#state.checkOpen("clone");
    const copy = new MemoryLogStore({ capacityBytes: this.#capacityBytes });
    copy.#room = this.#room.slice(this.#head - this.#base, this.#length - this.#base);
    copy.#base = copy.#head = this.#head;
    copy.#length = this.#length;
    return copy;
  }

  /** See {@linkcode LogStore.writeAt}. */
  writeAt(bytes: Uint8Array, position: number): void {
    checkBytes("bytes", bytes);
    this.writeVectorAt([bytes], position);
  }

  /** See {@linkcode LogStore.writeVectorAt}. */
  writeVectorAt(parts: readonly Uint8Array[], position: number): void {
    this.#state.checkWritable("writeVectorAt");
    const count = checkWrite(parts, position, this.#head);
    if (count === 0) return;
    this.#state.change("writeVectorAt", () => {
      this.#grow(position + count);
      let at = position - this.#base;
      for (const part of parts) {
        this.#room.set(part, at);
        at += part.length;
      }
      this.#length = Math.max(this.#length, position + count);
    });
  }

  /** See {@linkcode LogStore.readAt}. */
  readAt(into: Uint8Array, position: number): number {
    this.#state.checkOpen("readAt");
    checkBytes("into", into);
    checkPosition(position, this.#head);
    const count = Math.min(into.length, Math.max(0, this.#length - position));
    const from = position - this.#base;
    if (count > 0) into.set(this.#room.subarray(from, from + count));
    return count;
  }

  /** See {@linkcode LogStore.truncate}. */
  truncate(length: number): void {
    this.#state.checkWritable("truncate");
    checkTruncate(length, this.#head, this.#length);
    // Zeros, for a later write may leave a gap here.
    this.#room.fill(0, length - this.#base, this.#length - this.#base);
    this.#length = length;
  }

  /** See {@linkcode LogStore.sync}. */
  sync(): void {
    this.#state.checkWritable("sync");
  }

  /** See {@linkcode LogStore.truncateBefore}. */
  truncateBefore(position: number): number {
    this.#state.checkWritable("truncateBefore");
    checkTruncateBefore(position, this.#length);
    if (position <= this.#head) return this.#head;
    this.#head = position;
    if (position - this.#base >= this.#length - position) this.#move(this.#length - position);
    return position;
  }

  /** See {@linkcode LogStore.close}. Gives the memory back. */
  close(): void {
    if (this.#state.close()) this.#room = new Uint8Array();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }

  #grow(end: number): void {
    const bytes = end - this.#head;
    if (bytes > this.#capacityBytes) throw noSpace(bytes, this.#capacityBytes);
    if (end - this.#base <= this.#room.length) return;
    const wanted = Math.max(bytes, 2 * (this.#length - this.#head), LEAST_ROOM_BYTES);
    this.#move(Math.min(wanted, this.#capacityBytes));
  }

  /** Moves what is kept into new room, which begins at the head. */
  #move(roomBytes: number): void {
    const room = allocate(roomBytes);
    room.set(this.#room.subarray(this.#head - this.#base, this.#length - this.#base));
    this.#room = room;
    this.#base = this.#head;
  }
}

function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw noSpace(bytes, undefined, cause);
  }
}

function noSpace(bytes: number, capacity: number | undefined, cause?: unknown): FlagstoneError {
  const limit = capacity === undefined ? "there is no such memory" : `the capacity is ${capacity}`;
  return new FlagstoneError("NO_SPACE", `Cannot hold ${bytes} bytes in memory: ${limit}.`, {
    path: "memory",
    cause,
  });
}

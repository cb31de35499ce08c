import { FlagstoneError } from "../errors/mod.ts";
import type { LogWriter } from "../log/mod.ts";
import { orAborted } from "./aborting.ts";
import { nextTurn } from "./next_turn.ts";

/** What a {@linkcode DiskRoom} works with. */
export interface DiskRoomParts {
  readonly directory: string;
  readonly maxBytes: number;
  readonly slabBytes: number;
  readonly slabs: number;
  /** Length of all files, but those of large values that are being written. */
  readonly usedBytes: () => number;
  /** Room is, or soon will be, short. */
  readonly onShort: () => void;
  readonly log: LogWriter;
}

/** A claim on the room for one file that is being written. */
export interface RoomClaim {
  /** Resolves when there is room for `bytes` more. Rejects with `TOO_LARGE`, `NO_SPACE`, `ABORTED`. */
  take(bytes: number, signal: AbortSignal | undefined): Promise<void>;
  /** The file is complete; its record is about to go into the log. */
  complete(): void;
  /** The file is known by now, or gone. */
  end(): void;
}

/**
 * Who may take how much of the disk, in a store with `maxBytes`. Two things grow: the log, by slabs, and
 * files of large values. Both ask here first, and wait until there is room; what a compaction writes, and
 * the footers of slabs that are no segments yet, have room of their own, which is never given away.
 */
export class DiskRoom {
  /** How often something had to wait. */
  waits = 0;
  /** Up to here, room is given. */
  readonly limit: number;
  /** From here on, room is made: before anybody waits. */
  readonly target: number;
  /** No value can be larger. */
  readonly mostBytes: number;
  readonly #parts: DiskRoomParts;
  #writing = 0;
  /** Files that are being written, those that wait for room among them. */
  #claims = 0;
  /** What the log needs and did not get. */
  #slab = 0;
  readonly #waiters: { bytes: number; resolve: () => void; reject: (error: unknown) => void }[] =
    [];

  /** Gives room as `parts` say. */
  constructor(parts: DiskRoomParts) {
    this.#parts = parts;
    const { maxBytes, slabBytes, slabs } = parts;
    // A footer is no longer than its records. A compaction writes a slab of records, and their footer.
    this.limit = maxBytes - (slabs + 2) * slabBytes;
    this.target = this.limit - slabs * slabBytes;
    this.mostBytes = this.target;
  }

  /** Length of all files. */
  get usedBytes(): number {
    return this.#parts.usedBytes() + this.#writing;
  }

  /** True if room is to be made. */
  get isShort(): boolean {
    const { usedBytes } = this;
    const needed = Math.max(
      this.#parts.log.space.length > 0 ? this.#slab : 0,
      this.#waiters[0]?.bytes ?? 0,
    );
    return usedBytes > this.target || usedBytes + needed > this.limit;
  }

  /** True if something waits. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0 || this.#parts.log.space.length > 0;
  }

  /** True while a file is being written that waits for nothing: when it is done, it may go, or something for it. */
  get isWriting(): boolean {
    return this.#claims > this.#waiters.length;
  }

  /** So many bytes must go. */
  get missingBytes(): number {
    const waiting = this.#waiters[0]?.bytes ?? 0;
    return Math.max(1, this.usedBytes - this.target, this.usedBytes + waiting - this.limit);
  }

  /** Whether there is room for a slab of `bytes`. Else who needs it is let in later, by `LogWriter.roomMade`. */
  admitsSlab(bytes: number): boolean {
    const cost = this.#costOf(bytes);
    const { usedBytes } = this;
    if (usedBytes + cost <= this.limit) {
      this.#slab = 0;
      return true;
    }
    this.#slab = Math.max(this.#slab, cost);
    this.#parts.onShort();
    return false;
  }

  /** Throws `TOO_LARGE` if a batch of `bytes` could never get its slab. */
  checkBatch(bytes: number): void {
    if (bytes > this.#parts.slabBytes && this.#costOf(bytes) > this.mostBytes) {
      throw this.#tooLarge(bytes);
    }
  }

  /** Begins a claim for a file. */
  claim(): RoomClaim {
    let claimed = 0;
    let isOpen = false;
    const close = () => {
      if (!isOpen) return;
      isOpen = false;
      this.#claims--;
      if (this.isAwaited && this.isShort) this.#parts.onShort();
    };
    return {
      take: async (bytes, signal) => {
        if (claimed + bytes > this.mostBytes) throw this.#tooLarge(claimed + bytes);
        if (!isOpen) this.#claims++;
        isOpen = true;
        await this.#take(bytes, signal);
        claimed += bytes;
      },
      complete: () => {
        // By then its record is in the log, or waits for room there, as others do.
        nextTurn().then(close);
      },
      end: () => {
        this.#writing -= claimed;
        claimed = 0;
        close();
        this.serve();
      },
    };
  }

  /** Lets those files in for which there is room. */
  admit(): void {
    for (let first = this.#waiters[0]; first !== undefined; first = this.#waiters[0]) {
      if (this.usedBytes + first.bytes > this.limit) break;
      this.#waiters.shift();
      this.#writing += first.bytes;
      first.resolve();
    }
  }

  /** Something went: there may be more room than before. */
  serve(): void {
    this.admit();
    this.#parts.log.roomMade();
    if (this.isAwaited && this.isShort) this.#parts.onShort();
  }

  /** There is no room, and there will be none: who waits is told. */
  refuse(cause: FlagstoneError | undefined): void {
    if (!this.isAwaited) return;
    const { directory, maxBytes, log } = this.#parts;
    const why = cause === undefined
      ? "a snapshot sees what is there, or it is being written"
      : cause.message;
    const error = new FlagstoneError(
      "NO_SPACE",
      `Cannot make room in ${directory}: maxBytes is ${maxBytes}, and nothing can go: ${why}. It was ` +
        `not written. Try again later.`,
      { path: directory, cause },
    );
    log.space.fail(error);
    // The last one only: others may have room when it gives up what it has.
    this.#waiters.pop()?.reject(error);
  }

  /** The log has failed: no record will ever point at a file that waits for room. */
  fail(error: FlagstoneError): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }

  async #take(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const { failure } = this.#parts.log;
    if (failure !== undefined) throw failure;
    const { limit, target, usedBytes } = this;
    if (usedBytes + bytes > target) this.#parts.onShort();
    if (this.#waiters.length === 0 && usedBytes + bytes <= limit) {
      this.#writing += bytes;
      return;
    }
    this.waits++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ bytes, resolve, reject });
    this.#parts.onShort();
    await orAborted(promise, signal, () => {
      this.#writing -= bytes;
      this.serve();
    });
  }

  #costOf(slabBytes: number): number {
    return slabBytes > this.#parts.slabBytes ? 2 * slabBytes : slabBytes;
  }

  #tooLarge(bytes: number): FlagstoneError {
    const { maxBytes } = this.#parts;
    return new FlagstoneError(
      "TOO_LARGE",
      `Cannot write ${bytes} bytes: the store may take ${maxBytes} bytes of the disk (maxBytes), of ` +
        `which one value, or half of it a batch, can have ${this.mostBytes}.`,
    );
  }
}

import { FlagstoneError, refuseUnknown } from "../errors/mod.ts";
import { Slab } from "../memtable/mod.ts";
import {
  Control,
  fillRecord,
  kindAndFlags,
  RecordKind,
  recordSpace,
  SegmentImage,
  SharedWriter,
  SlotWord,
  TakeResult,
  Word,
  WorkerLife,
} from "../wal/mod.ts";
import { AckQueue } from "./ack_queue.ts";
import type { Durability } from "./log_parts.ts";
import { SpaceQueue } from "./space_queue.ts";
import { BYTES, encodeWith, writeDurability } from "./wal_options.ts";
import type { AppendOptions, Codec, WalHandle } from "./wal_types.ts";
import { settle } from "./watermarks.ts";

const NO_KEY = new Int32Array(0);
/** Value of `rotateWanted` when there is no active slab at all. */
const NO_SLAB = -1;
/** How often who waits looks around, in case nobody calls. */
const LOOK_MS = 1000;

/** Where a record is. */
interface Place {
  readonly slab: Slab;
  readonly start: number;
  readonly end: number;
}

/**
 * A log that another thread owns, as a thread that appends to it sees it: made by `attachWal`. An
 * append takes space in shared memory, without a message and without a lock; owner and log worker do
 * the rest. It belongs to the thread that attached it.
 */
export class AttachedWal<T = Uint8Array> implements Disposable {
  readonly #control: Control;
  readonly #handle: WalHandle;
  readonly #images: readonly SegmentImage[];
  readonly #codec: Codec<T>;
  readonly #writer: SharedWriter;
  readonly #space = new SpaceQueue();
  readonly #written = new AckQueue();
  readonly #synced = new AckQueue();
  /** Slabs that hold records of this thread and may not be durable, the oldest first. */
  readonly #slabs: Slab[] = [];
  #closed = false;
  #watching = false;
  #rung = false;

  /** Not for users: see `attachWal`. */
  constructor(handle: WalHandle, codec: Codec<T>) {
    this.#handle = handle;
    this.#control = new Control(handle.control);
    this.#images = handle.slabs.map((buffer) => new SegmentImage(buffer));
    this.#codec = codec;
    if (Atomics.load(this.#control.words, Word.stop) !== 0) throw closedError();
    const writer = SharedWriter.register(this.#control);
    if (writer === undefined) {
      throw new FlagstoneError(
        "BUSY",
        "Cannot attach to the log: 15 threads are attached already. Close one of them. Those that " +
          "ended without closing are found out in ten seconds: then try again.",
      );
    }
    this.#writer = writer;
    this.#answer();
  }

  /**
   * Appends a record; resolves to its LSN as `Wal.append` does (by default once it is in the log's
   * memory), and waits for memory if the disk is slower. `TOO_LARGE` also for what does not fit into
   * a segment; `CLOSED` once the log or this handle is closed, or has become useless.
   */
  append(value: T, options?: AppendOptions): Promise<number> {
    try {
      if (options !== undefined) refuseUnknown(options, ["durability"], "options");
      const durability = writeDurability(options ?? {}, "memory");
      const bytes = this.#encode(value);
      this.#assertOpen();
      if (this.#space.length === 0) {
        const place = this.#tryAppend(bytes);
        if (place !== undefined) return this.#acknowledge(place, durability);
      }
      return this.#appendLater(new Uint8Array(bytes), durability);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** As `append`, durable. */
  appendAndSync(value: T): Promise<number> {
    return this.append(value, { durability: "synced" });
  }

  /** Resolves when everything that this thread has appended so far is durable. */
  async sync(): Promise<void> {
    this.#assertOpen();
    const slab = this.#slabs.at(-1);
    if (slab === undefined) return;
    await this.#acknowledge({ slab, start: 0, end: this.#lastEnd }, "synced");
  }

  /** Detaches. What was appended stays; what waits rejects with `CLOSED`. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writer.release();
    this.#failAll(closedError());
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #lastEnd = 0;

  #tryAppend(bytes: Uint8Array): Place | undefined {
    const { words } = this.#control;
    const space = recordSpace(0, bytes.length);
    for (;;) {
      const slot = Atomics.load(words, Word.activeSlot);
      if (slot === -1) {
        Atomics.compareExchange(words, Word.rotateWanted, 0, NO_SLAB);
        return undefined;
      }
      const image = this.#imageOf(slot);
      if (!this.#writer.aim(slot, image, space)) {
        const segment = this.#control.get(slot, SlotWord.segment);
        if (Atomics.load(words, Word.activeSlot) !== slot) continue;
        Atomics.compareExchange(words, Word.rotateWanted, 0, segment);
        return undefined;
      }
      if (this.#writer.take() === TakeResult.taken) return this.#fill(slot, image, bytes, space);
    }
  }

  #fill(slot: number, image: SegmentImage, bytes: Uint8Array, space: number): Place {
    let slab = this.#slabs.at(-1);
    if (slab?.slot !== slot || slab.segment !== this.#control.get(slot, SlotWord.segment) >>> 0) {
      slab = new Slab(this.#control, slot, image);
      this.#slabs.push(slab);
    }
    const start = this.#writer.offset;
    const mark = this.#control.get(slot, SlotWord.synced);
    const kind = kindAndFlags(RecordKind.put, 0);
    const sequence = slab.baseSequence + start;
    const length = fillRecord(image, start, kind, sequence, mark, NO_KEY, 0, bytes, slab.salt);
    // Looked at on both sides: whoever has other memory now does not see what is published here.
    const published = this.#isCurrent(slot) && this.#writer.publish(image, length);
    if (!published || !this.#isCurrent(slot)) {
      this.#closed = true;
      const error = closedError("this thread was so slow that the log went on without it");
      this.#failAll(error);
      throw error;
    }
    this.#lastEnd = start + space;
    return { slab, start, end: start + space };
  }

  async #appendLater(bytes: Uint8Array, durability: Durability): Promise<number> {
    let turn = this.#space.wait();
    this.#askForSpace();
    for (;;) {
      await turn;
      try {
        this.#assertOpen();
        const place = this.#tryAppend(bytes);
        if (place !== undefined) {
          // In this order: promises stand in the order of the log.
          const kept = this.#acknowledge(place, durability);
          this.#space.done();
          return await kept;
        }
      } catch (error) {
        this.#space.done();
        throw error;
      }
      turn = this.#space.again();
      this.#askForSpace();
    }
  }

  /** The owner rotates; until then the first in line waits for the epoch to change. */
  #askForSpace(): void {
    const { words } = this.#control;
    const epoch = Atomics.load(words, Word.epoch);
    this.#control.announce();
    // It may have changed since the space was found to be full: then the next try succeeds at once.
    const waiting = Atomics.waitAsync(words, Word.epoch, epoch, LOOK_MS);
    const next = () => this.#space.offer(() => true);
    if (waiting.async) waiting.value.then(next);
    else queueMicrotask(next);
  }

  #acknowledge({ slab, start, end }: Place, durability: Durability): Promise<number> {
    this.#ring();
    const lsn = slab.baseSequence + start;
    if (durability === "memory") return Promise.resolve(lsn);
    const isSynced = durability === "synced";
    this.#control.raise(slab.slot, isSynced ? SlotWord.syncWanted : SlotWord.writeWanted, end);
    const kept = (isSynced ? this.#synced : this.#written).push(slab.baseSequence + end, lsn);
    this.#watch();
    return kept;
  }

  /** Whenever somebody asks whether this thread is still there: it is. */
  async #answer(): Promise<void> {
    while (!this.#closed) await this.#writer.whenAsked(this.#writer.answer());
  }

  /** Calls the log worker at the end of the turn; if it has ended, the owner, who starts it again. */
  #ring(): void {
    if (this.#rung) return;
    this.#rung = true;
    queueMicrotask(() => {
      this.#rung = false;
      this.#control.ring(Word.logDoorbell, Word.logParked);
      const { words } = this.#control;
      if (Atomics.load(words, Word.logLife) !== WorkerLife.running) this.#control.announce();
    });
  }

  #watch(): void {
    if (this.#watching || this.#written.length + this.#synced.length === 0) return;
    this.#watching = true;
    const { words } = this.#control;
    const progress = Atomics.load(words, Word.progress);
    this.#settle();
    const waiting = Atomics.waitAsync(words, Word.progress, progress, LOOK_MS);
    const next = () => {
      this.#watching = false;
      this.#settle();
      this.#watch();
    };
    if (waiting.async) waiting.value.then(next);
    else queueMicrotask(next);
  }

  #settle(): void {
    settle(this.#control, this.#slabs, this.#written, this.#synced);
    const failure = this.#control.failure();
    if (failure !== undefined) this.#failAll(failure);
    else if (Atomics.load(this.#control.words, Word.stop) !== 0) this.#failAll(closedError());
  }

  #failAll(error: FlagstoneError): void {
    this.#written.rejectAll(error);
    this.#synced.rejectAll(error);
    this.#space.fail(error);
  }

  #imageOf(slot: number): SegmentImage {
    if (this.#isCurrent(slot)) return this.#images[slot]!;
    throw closedError("the log's memory has changed since; attach with a new handle");
  }

  #isCurrent(slot: number): boolean {
    return this.#handle.generations[slot] === this.#control.get(slot, SlotWord.generation);
  }

  #encode(value: T): Uint8Array {
    const bytes = encodeWith(this.#codec, value);
    const most = Math.min(this.#handle.maxRecordBytes, this.#mostBytes());
    if (bytes.length <= most) return bytes;
    throw new FlagstoneError(
      "TOO_LARGE",
      `Cannot append a record of ${bytes.length} bytes from an attached thread: ${most} is the most.`,
    );
  }

  #mostBytes(): number {
    return this.#images[0]!.bytes.length - 4096;
  }

  #assertOpen(): void {
    if (this.#closed || Atomics.load(this.#control.words, Word.stop) !== 0) throw closedError();
    const failure = this.#control.failure();
    if (failure !== undefined) throw failure;
  }
}

/**
 * Attaches to a log that another thread of this program has opened, with the handle that its
 * `share()` gave. `codec` as for `Wal.open`; the log does not know it. `BUSY` if 15 are attached.
 */
export function attachWal<T = Uint8Array>(handle: WalHandle, codec?: Codec<T>): AttachedWal<T> {
  return new AttachedWal(handle, codec ?? BYTES as Codec<T>);
}

function closedError(why = "it was closed"): FlagstoneError {
  return new FlagstoneError("CLOSED", `Cannot append to the log: ${why}.`);
}

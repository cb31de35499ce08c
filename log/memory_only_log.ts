import type { FlagstoneError } from "../errors/mod.ts";
import { Memtable, type Slab, SlabPool } from "../memtable/mod.ts";
import { Control, SlotState, SlotWord } from "../wal/mod.ts";
import { endOf } from "./acknowledgements.ts";
import type { Durability, StoreLog } from "./log_parts.ts";
import type { LogWriter } from "./log_writer.ts";
import { SpaceQueue } from "./space_queue.ts";

/** Parts of a {@linkcode MemoryOnlyLog}. */
export interface MemoryOnlyLogParts {
  /** The log that has failed: its slabs are taken over. */
  readonly from: LogWriter;
  readonly failure: FlagstoneError;
  readonly storeId: Uint8Array;
  readonly slabs: number;
  /** Told of each slab that becomes active. */
  readonly onActive: (slab: Slab) => void;
  /** Told of each slab that is dropped to make room, whose records end at `end`. */
  readonly onDropped: (slab: Slab, end: number) => void;
}

/**
 * What takes the place of a log that has failed, in a store that is to go on as a cache: records in
 * slabs as before, but nobody writes them to a file. It has as many slabs as the log had; when they
 * are full, the oldest one is dropped.
 *
 * Words and memory are its own: a worker of the failed log may hang in a call of the system, and go
 * on when that returns. Slabs of that log are only read.
 */
export class MemoryOnlyLog implements StoreLog {
  readonly control: Control;
  readonly pool: SlabPool;
  readonly memtable: Memtable;
  readonly space: SpaceQueue = new SpaceQueue();
  /** Nothing waits. */
  readonly pendingAcks = 0;
  /** It takes every write. */
  readonly failure = undefined;
  readonly #parts: MemoryOnlyLogParts;

  /** Goes on where `from` has failed, with the numbers that follow. */
  constructor(parts: MemoryOnlyLogParts) {
    const { from, storeId, slabs } = parts;
    this.#parts = parts;
    this.control = new Control(slabs);
    this.pool = new SlabPool(this.control, {
      slabBytes: from.pool.slabBytes,
      storeId,
      onBuffer: () => {},
      // No recovery will ever skip these numbers.
      windowBytes: Infinity,
    });
    for (const slab of from.pool.residents) this.pool.inherit(slab, endOf(from.control, slab));
    const { nextSegment, nextSequence } = from.memtable;
    this.memtable = new Memtable(this.control, this.pool, undefined, nextSegment, nextSequence);
  }

  /** See {@linkcode StoreLog.reserve}. There is always room. Throws `TOO_LARGE` without memory. */
  reserve(bytes: number): number {
    const offset = this.memtable.reserve(bytes);
    if (offset !== -1) return offset;
    this.#goOn(bytes);
    return this.memtable.reserve(bytes);
  }

  /** See {@linkcode StoreLog.rotate}. */
  rotate(): void {
    this.#goOn(0);
  }

  /** See {@linkcode StoreLog.acknowledge}. At once, and never more than that readers see it. */
  acknowledge<T extends number | boolean>(
    _slab: Slab,
    _end: number,
    _durability: Durability,
    value: T,
  ): Promise<T> {
    return Promise.resolve((typeof value === "number" ? 0 : value) as T);
  }

  /** See {@linkcode StoreLog.confirm}. */
  confirm<T extends number | boolean>(_durability: Durability, value: T): Promise<T> {
    return Promise.resolve(value);
  }

  /** Rejects: what is in memory only will never be durable. */
  flush(): Promise<void> {
    return Promise.reject(this.#parts.failure);
  }

  /** As `flush`. */
  flushed(): Promise<void> {
    return Promise.reject(this.#parts.failure);
  }

  /** Nobody is to be called. */
  ring(): void {}

  #goOn(bytes: number): void {
    const { active } = this.memtable;
    if (active !== undefined) {
      this.memtable.seal();
      this.control.set(active.slot, SlotWord.state, SlotState.flushed);
      // Fresh memory is zero already; nobody is there to zero this one.
      this.control.set(active.slot, SlotWord.scribbled, 1);
    }
    const dropped = this.pool.replenish(() => {});
    if (dropped !== undefined) {
      this.#parts.onDropped(dropped, this.control.get(dropped.slot, SlotWord.end));
    }
    if (this.memtable.rotate(bytes)) this.#parts.onActive(this.memtable.active!);
  }
}

import type { Slab } from "../memtable/mod.ts";
import { type Control, FILE_HEADER_BYTES, SlotState, SlotWord } from "../wal/mod.ts";
import { AckQueue } from "./ack_queue.ts";
import type { Durability } from "./log_parts.ts";
import { SyncWaiters } from "./sync_waiters.ts";
import { settle } from "./watermarks.ts";

/**
 * What the log has promised to writers, and how far it is durable: the slabs that may not be durable
 * in full, and the promises that their watermarks will keep.
 */
export class Acknowledgements {
  readonly #control: Control;
  readonly #written = new AckQueue();
  readonly #synced = new AckQueue();
  /** Of writes that wait for nothing: if they are many, timers and workers' news have their turn in between. */
  readonly #inMemory = new AckQueue();
  readonly #waiters = new SyncWaiters();
  /** Slabs that are not durable in full, the oldest first. */
  readonly #undurable: Slab[] = [];
  /** Nothing of this session is in the log yet. */
  #isFresh = true;
  /** The log that recovery handed on, and where it ended. */
  #adopted: Slab | undefined;
  #adoptedEnd = 0;
  /** Everything below is durable. */
  #durable = 0;

  /** Begins with the log that goes on, if one does. */
  constructor(control: Control, adopted: Slab | undefined) {
    this.#control = control;
    if (adopted === undefined) return;
    this.#undurable.push(adopted);
    this.#adopted = adopted;
    this.#adoptedEnd = control.get(adopted.slot, SlotWord.written);
    this.#durable = adopted.baseSequence + control.get(adopted.slot, SlotWord.synced);
  }

  /** Every record below this sequence number is durable. */
  get durable(): number {
    return this.#durable;
  }

  /** Writes whose promises are not kept yet. */
  get pending(): number {
    return this.#written.length + this.#synced.length;
  }

  /** True while anybody waits for a watermark. */
  get isAwaited(): boolean {
    return this.pending > 0 || this.#waiters.length > 0;
  }

  /** `slab` takes records from now on. */
  add(slab: Slab): void {
    this.#undurable.push(slab);
  }

  /** Asks for what `durability` means for `slab` up to `end`, and promises `value` for then. */
  promise<T extends number | boolean>(
    slab: Slab,
    end: number,
    durability: Durability,
    value: T,
  ): Promise<T> {
    // Until something of this session is in the log, a number given to a reader of memory only could
    // be given again after a crash.
    if (durability === "memory" && !this.#isFresh) {
      return this.#inMemory.pass(slab.baseSequence + end, value);
    }
    const synced = durability === "synced";
    this.#control.raise(slab.slot, synced ? SlotWord.syncWanted : SlotWord.writeWanted, end);
    return (synced ? this.#synced : this.#written).push(slab.baseSequence + end, value);
  }

  /** Asks for `slab` to be durable up to `end`; resolves when it is, and with it all that is older. */
  wait(slab: Slab, end: number): Promise<void> {
    this.#control.raise(slab.slot, SlotWord.syncWanted, end);
    return this.#waiters.wait(slab.baseSequence + end);
  }

  /** The newest slab that may not be durable in full. */
  get newest(): Slab | undefined {
    return this.#undurable.at(-1);
  }

  /** True if something in `slab`, the newest, is not yet what `durability` says. */
  owes(slab: Slab, durability: Durability): boolean {
    if (durability === "memory") return false;
    const end = endOf(this.#control, slab);
    const isEmpty = end === FILE_HEADER_BYTES && this.#undurable.length === 1;
    const word = durability === "synced" ? SlotWord.synced : SlotWord.written;
    return !isEmpty && end > this.#control.get(slab.slot, word);
  }

  /** Keeps the promises that the watermarks cover. */
  settle(): void {
    const durable = settle(this.#control, this.#undurable, this.#written, this.#synced);
    this.#durable = Math.max(this.#durable, durable);
    if (this.#isFresh) this.#lookWhetherFresh();
    this.#waiters.settle(this.#durable);
  }

  /** Breaks all promises. */
  rejectAll(reason: unknown): void {
    this.#written.rejectAll(reason);
    this.#synced.rejectAll(reason);
    this.#waiters.rejectAll(reason);
  }

  /** Resolves writes, with 0 for their versions; who waits for what is durable is told `reason`. */
  waive(reason: unknown): void {
    this.#written.waive();
    this.#synced.waive();
    this.#waiters.rejectAll(reason);
  }

  #lookWhetherFresh(): void {
    const [oldest] = this.#undurable;
    const start = oldest === this.#adopted ? this.#adoptedEnd : FILE_HEADER_BYTES - 1;
    if (oldest === undefined) return;
    this.#isFresh = this.#control.get(oldest.slot, SlotWord.written) <= start;
  }
}

/** Up to where `slab`'s space is taken. */
export function endOf(control: Control, { slot }: Slab): number {
  const sealed = control.get(slot, SlotWord.state) !== SlotState.active;
  return sealed ? control.get(slot, SlotWord.end) : control.reservedEnd(slot);
}

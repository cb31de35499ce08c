import { ArgumentError, FlagstoneError, show } from "../errors/mod.ts";
import { RECORD_HEADER_BYTES, recordSpace } from "../wal/mod.ts";
import { appendRecords } from "./append_records.ts";
import type { Durability } from "./log_parts.ts";
import type { LogWriter } from "./log_writer.ts";
import { encodeWith, type ResolvedWalOptions } from "./wal_options.ts";

/** The way of an append to a log on its own: bytes, limits, space, record, promise. */
export class WalAppender<T> {
  readonly #directory: string;
  readonly #options: ResolvedWalOptions<T>;
  #appends = 0;
  /** Other threads append, too: slabs have to stay as long as they are. */
  isShared = false;

  /** `directory` is for messages. */
  constructor(directory: string, options: ResolvedWalOptions<T>) {
    this.#directory = directory;
    this.#options = options;
  }

  /** Records appended so far. */
  get appends(): number {
    return this.#appends;
  }

  /** The bytes of a value. Throws `TOO_LARGE`. */
  encode(value: T): Uint8Array {
    const bytes = encodeWith(this.#options.codec, value);
    if (this.isShared && bytes.length > this.#options.slabBytes - 4096) {
      this.#checkLength(Infinity, "a record, while other threads are attached,");
    }
    this.#checkLength(bytes.length, "a record");
    return bytes;
  }

  /** The bytes of several values, which go together. */
  encodeAll(values: readonly T[]): Uint8Array[] {
    if (!Array.isArray(values)) {
      throw new ArgumentError("values", `A batch must be an array: ${show(values)}`);
    }
    // Copied: a codec may use one buffer for all of them.
    const all = Array.from(values, (value) => new Uint8Array(this.encode(value)));
    const total = all.reduce((sum, bytes) => sum + recordSpace(0, bytes.length), 0);
    this.#checkLength(total - RECORD_HEADER_BYTES, "a batch");
    return all;
  }

  /** Appends records next to one another; resolves to the first one's LSN. */
  append(
    log: LogWriter,
    values: readonly Uint8Array[],
    durability: Durability,
  ): Promise<number> {
    if (log.space.length === 0) {
      const place = appendRecords(log, values);
      if (place !== undefined) {
        this.#appends += values.length;
        const { slab, start, end } = place;
        return log.acknowledge(slab, end, durability, slab.baseSequence + start);
      }
    }
    return this.#appendLater(log, values.map((bytes) => new Uint8Array(bytes)), durability);
  }

  /** Waits for memory, behind those who wait already. */
  async #appendLater(
    log: LogWriter,
    values: readonly Uint8Array[],
    durability: Durability,
  ): Promise<number> {
    const { space } = log;
    let turn = space.wait();
    log.ring();
    for (;;) {
      await turn;
      let place: ReturnType<typeof appendRecords>;
      try {
        place = appendRecords(log, values);
      } catch (error) {
        space.done();
        throw error;
      }
      if (place === undefined) {
        turn = space.again();
        continue;
      }
      this.#appends += values.length;
      const { slab, start, end } = place;
      // In this order: promises stand in the order of the log.
      const kept = log.acknowledge(slab, end, durability, slab.baseSequence + start);
      space.done();
      return await kept;
    }
  }

  #checkLength(bytes: number, what: string): void {
    const { maxRecordBytes } = this.#options;
    if (bytes <= maxRecordBytes) return;
    throw new FlagstoneError(
      "TOO_LARGE",
      `Cannot append ${what} of ${bytes} bytes: maxRecordBytes is ${maxRecordBytes}.`,
      { path: this.#directory },
    );
  }
}

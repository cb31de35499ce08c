import { ArgumentError, FlagstoneError } from "../errors/mod.ts";
import type { Slab } from "../memtable/mod.ts";
import {
  fillRecord,
  kindAndFlags,
  publishRecord,
  RecordFlag,
  RecordKind,
  recordSpace,
  SlotWord,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { refuseUnknown, show, writeDurability } from "./options.ts";
import { fingerprintOf, type PreparedWrite } from "./pending_writes.ts";
import type { BatchOperation, Durability, Key, Value, WriteOptions } from "./types.ts";

/** Longest value, in bytes: 1 GiB. A batch may hold that much in all. */
export const MAX_VALUE_BYTES = 1024 * 1024 * 1024;

const encoder = new TextEncoder();

/** Where a write went in the log. */
interface Place {
  readonly slab: Slab;
  /** Offset behind its last record. */
  readonly end: number;
  /** Sequence number of its last record. */
  readonly version: number;
}

/**
 * The way of a write: key's lock, space in the active slab, record, publication, index, unlock; then
 * the promise waits for its watermark. A write that can go all the way at once does so without a
 * promise but its own; one that cannot (no slab free, key locked) is prepared and waits its turn.
 */
export class WritePath {
  readonly #core: StoreCore;

  /** Writes into `core`. */
  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** See `Store.put`. */
  put(key: Key, value: Value, options: WriteOptions | undefined): Promise<number> {
    const core = this.#core;
    core.assertWritable();
    const durability = this.#durability(options);
    const bytes = value instanceof Uint8Array ? value : valueBytes(value);
    const { keys, locks } = core;
    keys.set(key);
    checkSize(keys.length + bytes.length);
    const lock = keys.lock;
    if (core.space.length === 0 && locks.tryAcquire(lock)) {
      const space = recordSpace(keys.length, bytes.length);
      const offset = core.reserve(space);
      if (offset !== -1) {
        const slab = core.memtable.active!;
        const length = this.#fill(slab, offset, RecordKind.put, keys.flags, bytes);
        publishRecord(slab.image, offset, length);
        locks.release(lock);
        const version = slab.baseSequence + offset;
        return core.acknowledge(slab, offset + space, durability, version);
      }
      locks.release(lock);
    }
    const write = this.#prepare(RecordKind.put, bytes);
    return this.#later([write], durability, (place) => place.version);
  }

  /** See `Store.delete`. */
  delete(key: Key, options: WriteOptions | undefined): Promise<boolean> {
    const core = this.#core;
    core.assertWritable();
    const durability = this.#durability(options);
    const { keys, locks } = core;
    keys.set(key);
    const lock = keys.lock;
    if (core.space.length === 0 && locks.tryAcquire(lock)) {
      const space = recordSpace(keys.length, 0);
      const exists = core.index.find(keys.hash);
      const offset = exists ? core.reserve(space) : -1;
      if (offset !== -1) {
        const slab = core.memtable.active!;
        const length = this.#fill(slab, offset, RecordKind.delete, keys.flags, undefined);
        publishRecord(slab.image, offset, length);
        locks.release(lock);
        return core.acknowledge(slab, offset + space, durability, true);
      }
      locks.release(lock);
      if (!exists) return Promise.resolve(false);
    }
    return this.#later([this.#prepare(RecordKind.delete, undefined)], durability, () => true);
  }

  /** See `Store.batch`. */
  batch(operations: readonly BatchOperation[], options: WriteOptions | undefined): Promise<number> {
    const core = this.#core;
    core.assertWritable();
    const durability = this.#durability(options);
    if (!Array.isArray(operations)) {
      throw new ArgumentError("operations", `A batch must be an array: ${show(operations)}`);
    }
    const writes = operations.map((operation, i) => this.#prepareOperation(operation, i));
    checkSize(writes.reduce((sum, write) => sum + write.space, 0));
    if (writes.length === 0) return Promise.resolve(0);
    const locks = locksOf(writes);
    if (core.space.length === 0 && this.#tryAcquireAll(locks)) {
      const place = this.#append(writes);
      for (const lock of locks) core.locks.release(lock);
      if (place !== undefined) {
        return core.acknowledge(place.slab, place.end, durability, place.version);
      }
    }
    return this.#later(writes, durability, (place) => place.version);
  }

  /** See `Store.update`. */
  async update(
    key: Key,
    change: (old: Uint8Array | undefined) => Value | undefined | Promise<Value | undefined>,
    read: (key: Key) => Promise<Uint8Array | undefined>,
    options: WriteOptions | undefined,
  ): Promise<number | undefined> {
    const core = this.#core;
    core.assertWritable();
    if (typeof change !== "function") {
      throw new ArgumentError("change", `An update needs a function: ${show(change)}`);
    }
    const durability = this.#durability(options);
    core.keys.set(key);
    const lock = core.keys.lock;
    const place = await core.pending.during([], async () => {
      await core.locks.acquire(lock);
      try {
        const value = await change(await read(key));
        const bytes = value === undefined ? undefined : valueBytes(value);
        core.keys.set(key);
        checkSize(core.keys.length + (bytes?.length ?? 0));
        if (bytes === undefined && !core.index.find(core.keys.hash)) return undefined;
        const kind = bytes === undefined ? RecordKind.delete : RecordKind.put;
        return await this.#appendInTurn([this.#prepare(kind, bytes)]);
      } finally {
        core.locks.release(lock);
      }
    });
    if (place === undefined) return undefined;
    return await core.acknowledge(place.slab, place.end, durability, place.version);
  }

  /** Waits for the locks and for space, in the order of calling, then writes. */
  async #later<T extends number | boolean>(
    writes: readonly PreparedWrite[],
    durability: Durability,
    result: (place: Place) => T,
  ): Promise<T> {
    const core = this.#core;
    const place = await core.pending.during(writes, async () => {
      const locks = locksOf(writes);
      for (const lock of locks) await core.locks.acquire(lock);
      try {
        return await this.#appendInTurn(writes);
      } finally {
        for (const lock of locks) core.locks.release(lock);
      }
    });
    return await core.acknowledge(place.slab, place.end, durability, result(place));
  }

  /** With the locks held: waits for space behind those who wait already. */
  async #appendInTurn(writes: readonly PreparedWrite[]): Promise<Place> {
    const core = this.#core;
    if (core.failure !== undefined) throw core.failure;
    let place = core.space.length === 0 ? this.#append(writes) : undefined;
    if (place !== undefined) return place;
    let turn = core.space.wait();
    core.ringLog();
    for (;;) {
      await turn;
      place = this.#append(writes);
      if (place !== undefined) break;
      turn = core.space.again();
    }
    core.space.done();
    return place;
  }

  /**
   * Writes records next to one another, as one batch if they are several, and publishes the first
   * one last: the log worker sees all of them or none. `undefined` if there is no space.
   */
  #append(writes: readonly PreparedWrite[]): Place | undefined {
    const core = this.#core;
    let space = 0;
    for (const write of writes) space += write.space;
    const start = core.reserve(space);
    if (start === -1) return undefined;
    const slab = core.memtable.active!;
    let offset = start;
    let firstLength = 0;
    let version = 0;
    writes.forEach((write, i) => {
      core.keys.load(write.key, write.flags);
      const flags = write.flags | (i < writes.length - 1 ? RecordFlag.batchContinues : 0);
      const length = this.#fill(slab, offset, write.kind, flags, write.value);
      if (i === 0) firstLength = length;
      else publishRecord(slab.image, offset, length);
      version = slab.baseSequence + offset;
      offset += write.space;
    });
    publishRecord(slab.image, start, firstLength);
    return { slab, end: offset, version };
  }

  /** Fills the record of the key in `keys`, and points the index to it. Returns its length. */
  #fill(
    slab: Slab,
    offset: number,
    kind: number,
    flags: number,
    value: Uint8Array | undefined,
  ): number {
    const { keys, control, index } = this.#core;
    const sequence = slab.baseSequence + offset;
    const length = fillRecord(
      slab.image,
      offset,
      kindAndFlags(kind, flags),
      sequence,
      control.get(slab.slot, SlotWord.synced),
      keys.words,
      keys.length,
      value,
      slab.salt,
    );
    if (kind === RecordKind.put) {
      index.put(keys.hash, sequence, slab.segment, offset, length, keys.flags);
    } else {
      index.remove(keys.hash);
    }
    this.#core.writes++;
    return length;
  }

  #prepareOperation(operation: BatchOperation, i: number): PreparedWrite {
    const argument = `operations[${i}]`;
    const type: unknown = operation?.type;
    if (type !== "put" && type !== "delete") {
      throw new ArgumentError(
        `${argument}.type`,
        `${argument}.type must be "put" or "delete": ${show(type)}`,
      );
    }
    refuseUnknown(operation, type === "put" ? ["type", "key", "value"] : ["type", "key"], argument);
    this.#core.keys.set(operation.key);
    if (operation.type === "delete") return this.#prepare(RecordKind.delete, undefined);
    const bytes = valueBytes(operation.value);
    checkSize(bytes.length);
    return this.#prepare(RecordKind.put, bytes);
  }

  /** Takes the write of the key in `keys` apart. The value is copied: the caller may reuse its buffer once the call returns. */
  #prepare(kind: number, value: Uint8Array | undefined): PreparedWrite {
    const { keys } = this.#core;
    return {
      kind,
      key: keys.copy(),
      flags: keys.flags,
      value: value?.slice(),
      space: recordSpace(keys.length, value?.length ?? 0),
      lock: keys.lock,
      fingerprint: fingerprintOf(keys),
    };
  }

  #tryAcquireAll(locks: readonly number[]): boolean {
    for (let i = 0; i < locks.length; i++) {
      if (this.#core.locks.tryAcquire(locks[i]!)) continue;
      for (const taken of locks.slice(0, i)) this.#core.locks.release(taken);
      return false;
    }
    return true;
  }

  #durability(options: WriteOptions | undefined): Durability {
    const fallback = this.#core.options.durability;
    return options === undefined ? fallback : writeDurability(options, fallback);
  }
}

/** The locks of writes, each once, ascending: acquired in that order, they cannot deadlock. */
function locksOf(writes: readonly PreparedWrite[]): number[] {
  return [...new Set(writes.map((write) => write.lock))].sort((a, b) => a - b);
}

function valueBytes(value: Value): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return encoder.encode(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw new ArgumentError(
    "value",
    `A value must be a Uint8Array, an ArrayBuffer or a string: ${show(value)}`,
  );
}

function checkSize(bytes: number): void {
  if (bytes <= MAX_VALUE_BYTES) return;
  throw new FlagstoneError(
    "TOO_LARGE",
    `Cannot write ${bytes} bytes at once: a value, or a batch, may have ${MAX_VALUE_BYTES}.`,
  );
}

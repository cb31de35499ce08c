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

/** A write that is in the log; kept in an object, so that waiting for it does not wait for its durability. */
interface Appended {
  /** Version of its last record, once it is as durable as asked. */
  readonly acknowledged: Promise<number>;
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
    const bytes = valueBytes(value);
    const { keys, locks } = core;
    keys.set(key);
    checkSize(keys.length + bytes.length);
    const lock = keys.lock;
    if (core.log.space.length === 0 && locks.tryAcquire(lock)) {
      try {
        const space = recordSpace(keys.length, bytes.length);
        const offset = core.log.reserve(space);
        if (offset !== -1) {
          const slab = core.log.memtable.active!;
          const length = this.#fill(slab, offset, RecordKind.put, keys.flags, bytes);
          publishRecord(slab.image, offset, length);
          return core.log.acknowledge(slab, offset + space, durability, slab.baseSequence + offset);
        }
      } finally {
        locks.release(lock);
      }
    }
    return this.#later([this.#prepare(RecordKind.put, bytes)], durability);
  }

  /** See `Store.delete`. */
  delete(key: Key, options: WriteOptions | undefined): Promise<boolean> {
    const core = this.#core;
    core.assertWritable();
    const durability = this.#durability(options);
    const { keys, locks } = core;
    keys.set(key);
    const lock = keys.lock;
    if (core.log.space.length === 0 && locks.tryAcquire(lock)) {
      try {
        if (!core.index.find(keys.hash)) return Promise.resolve(false);
        const space = recordSpace(keys.length, 0);
        const offset = core.log.reserve(space);
        if (offset !== -1) {
          const slab = core.log.memtable.active!;
          const length = this.#fill(slab, offset, RecordKind.delete, keys.flags, undefined);
          publishRecord(slab.image, offset, length);
          return core.log.acknowledge(slab, offset + space, durability, true);
        }
      } finally {
        locks.release(lock);
      }
    }
    return this.#deleteLater(this.#prepare(RecordKind.delete, undefined), durability);
  }

  /** See `Store.batch`. */
  batch(operations: readonly BatchOperation[], options: WriteOptions | undefined): Promise<number> {
    const core = this.#core;
    core.assertWritable();
    const durability = this.#durability(options);
    if (!Array.isArray(operations)) {
      throw new ArgumentError("operations", `A batch must be an array: ${show(operations)}`);
    }
    // Array.from also visits holes, which are refused like anything else that is no operation.
    const writes = Array.from(
      operations,
      (operation: BatchOperation, i) => this.#prepareOperation(operation, i),
    );
    checkSize(writes.reduce((sum, write) => sum + write.space, 0));
    if (writes.length === 0) return Promise.resolve(0);
    const locks = [...new Set(writes.map((write) => write.lock))];
    if (core.log.space.length === 0 && this.#tryAcquireAll(locks)) {
      try {
        const appended = this.#append(writes, durability);
        if (appended !== undefined) return appended.acknowledged;
      } finally {
        for (const lock of locks) core.locks.release(lock);
      }
    }
    return this.#later(writes, durability);
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
    const own: Key = typeof key === "string" ? key : core.keys.copy();
    const { lock } = core.keys;
    const fingerprint = fingerprintOf(core.keys);
    // While the user's function runs, nothing is pending: flush and close do not wait for it. A
    // close takes the lock away from it, and the update is refused when the function returns.
    let held = true;
    const giveUp = () => {
      if (held) core.locks.releaseKey(lock, fingerprint);
      held = false;
    };
    await core.locks.acquire(lock, fingerprint);
    core.updates.add(giveUp);
    try {
      core.assertWritable();
      const value = await change(await read(own));
      core.assertWritable();
      const bytes = value === undefined ? undefined : valueBytes(value);
      core.keys.set(own);
      checkSize(core.keys.length + (bytes?.length ?? 0));
      if (bytes === undefined && !core.index.find(core.keys.hash)) return undefined;
      const kind = bytes === undefined ? RecordKind.delete : RecordKind.put;
      const owned = bytes === undefined ? undefined : new Uint8Array(bytes);
      const write = this.#prepare(kind, owned);
      core.updates.delete(giveUp);
      const appended = await core.pending.during(
        [],
        () => this.#appendInTurn([write], durability),
      );
      giveUp();
      return await appended.acknowledged;
    } finally {
      core.updates.delete(giveUp);
      giveUp();
    }
  }

  /**
   * Waits for the keys and for space, in the order of calling, then writes. Values are copied: the
   * caller may reuse its buffers once the call has returned.
   */
  async #later(called: readonly PreparedWrite[], durability: Durability): Promise<number> {
    const writes = called.map((write) => ({
      ...write,
      value: write.value === undefined ? undefined : new Uint8Array(write.value),
    }));
    const appended = await this.#core.pending.during(
      writes,
      () => this.#locked(writes, () => this.#appendInTurn(writes, durability)),
    );
    return await appended.acknowledged;
  }

  /** As `#later`; whether there is something to delete is known once the key is locked. */
  async #deleteLater(write: PreparedWrite, durability: Durability): Promise<boolean> {
    const core = this.#core;
    const appended = await core.pending.during([write], () =>
      this.#locked([write], async () => {
        core.keys.load(write.key, write.flags);
        if (!core.index.find(core.keys.hash)) return undefined;
        return await this.#appendInTurn([write], durability);
      }));
    if (appended === undefined) return false;
    await appended.acknowledged;
    return true;
  }

  /** Does `work` with the keys of `writes` locked. All are asked for in this turn: see `KeyLocks`. */
  async #locked<T>(writes: readonly PreparedWrite[], work: () => Promise<T>): Promise<T> {
    const { locks } = this.#core;
    const keys = new Map(writes.map(({ fingerprint, lock }) => [fingerprint, lock]));
    await Promise.all(Array.from(keys, ([key, lock]) => locks.acquire(lock, key)));
    try {
      return await work();
    } finally {
      for (const [key, lock] of keys) locks.releaseKey(lock, key);
    }
  }

  /** With the keys locked: waits for space behind those who wait already. */
  async #appendInTurn(
    writes: readonly PreparedWrite[],
    durability: Durability,
  ): Promise<Appended> {
    const core = this.#core;
    if (core.log.failure !== undefined) throw core.log.failure;
    if (core.log.space.length === 0) {
      const appended = this.#append(writes, durability);
      if (appended !== undefined) return appended;
    }
    let turn = core.log.space.wait();
    core.log.ring();
    for (;;) {
      await turn;
      try {
        if (core.log.failure !== undefined) throw core.log.failure;
        const appended = this.#append(writes, durability);
        if (appended !== undefined) {
          core.log.space.done();
          return appended;
        }
      } catch (error) {
        core.log.space.done();
        throw error;
      }
      turn = core.log.space.again();
    }
  }

  /**
   * Writes records next to one another, as one batch if they are several, and publishes the first
   * one last: the log worker sees all of them or none. `undefined` if there is no space. The promise
   * is made in the same turn: promises wait in the order of the log.
   */
  #append(writes: readonly PreparedWrite[], durability: Durability): Appended | undefined {
    const core = this.#core;
    let space = 0;
    for (const write of writes) space += write.space;
    const start = core.log.reserve(space);
    if (start === -1) return undefined;
    const slab = core.log.memtable.active!;
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
    const acknowledged = core.log.acknowledge(slab, offset, durability, version);
    // Whoever asked gets to this promise some turns later; until then a failure is not unhandled.
    acknowledged.catch(() => {});
    return { acknowledged };
  }

  /** Fills the record of the key in `keys`, and points the index to it. Returns its length. */
  #fill(
    slab: Slab,
    offset: number,
    kind: number,
    flags: number,
    value: Uint8Array | undefined,
  ): number {
    const { keys, index } = this.#core;
    const { control } = this.#core.log;
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

  /** Takes the write of the key in `keys` apart. The value is still the caller's. */
  #prepare(kind: number, value: Uint8Array | undefined): PreparedWrite {
    const { keys } = this.#core;
    return {
      kind,
      key: keys.copy(),
      flags: keys.flags,
      value,
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

/** The bytes of a value. One whose buffer was transferred away has none, and is refused. */
function valueBytes(value: Value): Uint8Array {
  if (value instanceof Uint8Array) {
    if (value.length > 0 || !isDetached(value.buffer)) return value;
  } else if (typeof value === "string") {
    return encoder.encode(value);
  } else if (value instanceof ArrayBuffer && !value.detached) {
    return new Uint8Array(value);
  }
  throw new ArgumentError(
    "value",
    `A value must be a Uint8Array, an ArrayBuffer (not detached) or a string: ${show(value)}`,
  );
}

function isDetached(buffer: ArrayBufferLike): boolean {
  return buffer instanceof ArrayBuffer && buffer.detached;
}

function checkSize(bytes: number): void {
  if (bytes <= MAX_VALUE_BYTES) return;
  throw new FlagstoneError(
    "TOO_LARGE",
    `Cannot write ${bytes} bytes at once: a value, or a batch, may have ${MAX_VALUE_BYTES}.`,
  );
}

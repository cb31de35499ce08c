import { ArgumentError, show } from "../errors/mod.ts";
import { publishRecord, RecordFlag, RecordKind, recordSpace } from "../wal/mod.ts";
import { throwIfAborted } from "./aborting.ts";
import { Appender } from "./appender.ts";
import { checkCondition, checkConditions } from "./conditions.ts";
import type { StoreCore } from "./core.ts";
import { MAX_BATCH_BYTES } from "./limits.ts";
import { putSource } from "./put_source.ts";
import type { PreparedWrite } from "./pending_writes.ts";
import type {
  BatchOperation,
  DeleteOptions,
  Key,
  PutOptions,
  PutValue,
  UpdateOptions,
  ValueOptions,
} from "./types.ts";
import { type Change, updateKey } from "./update.ts";
import {
  checkSize,
  compressWrite,
  prepareOperation,
  prepareWrite,
  spaceOf,
  valueBytes,
} from "./write_arguments.ts";
import { WriteQueue } from "./write_queue.ts";
import {
  batchSettings,
  defaultSettings,
  deleteSettings,
  NO_CONDITION,
  putSettings,
  updateSettings,
  type WriteSettings,
} from "./write_settings.ts";

/**
 * The way of a write: key's lock, space in the active slab, record, publication, index, unlock; then
 * the promise waits for its watermark. A write that can go all the way at once does so without a
 * promise but its own; one that cannot (no slab free, key locked) is prepared and waits its turn.
 */
export class WritePath {
  readonly #core: StoreCore;
  readonly #appender: Appender;
  readonly #queue: WriteQueue;
  readonly #defaults: WriteSettings;

  /** Writes into `core`. */
  constructor(core: StoreCore) {
    this.#core = core;
    this.#appender = new Appender(core);
    this.#queue = new WriteQueue(core, this.#appender);
    this.#defaults = defaultSettings(core.options.durability, core.compression);
  }

  /** See `Store.put`. */
  put(key: Key, value: PutValue, options: PutOptions | undefined): Promise<number> {
    const core = this.#core;
    core.assertWritable();
    const settings = options === undefined
      ? this.#defaults
      : putSettings(options, this.#defaults, core.codecs, core.options.clock.exactMs);
    if (value instanceof ReadableStream || value instanceof Blob) {
      return this.#putSource(key, value, settings);
    }
    let bytes = valueBytes(value);
    const { keys, locks } = core;
    keys.set(key);
    const { condition, durability, expiresAt } = settings;
    throwIfAborted(settings.signal);
    const { compression } = settings;
    if (
      compression !== undefined && bytes.length >= compression.minBytes &&
      bytes.length <= MAX_BATCH_BYTES
    ) {
      if (core.compressor.isLarge(bytes, compression)) return this.#putLarge(bytes, settings);
      const stored = core.compressor.compress(bytes, compression);
      if (stored !== undefined && !core.isLarge(keys.length, stored.length)) {
        bytes = stored;
        keys.flags |= RecordFlag.compressed;
      }
    }
    if (core.isLarge(keys.length, bytes.length)) {
      return this.#later([prepareWrite(keys, bytes, { condition, expiresAt })], settings);
    }
    if (expiresAt !== 0) keys.flags |= RecordFlag.expires;
    const lock = keys.lock;
    if (core.log.space.length === 0 && locks.tryAcquire(lock)) {
      try {
        if (condition !== NO_CONDITION) checkCondition(core, condition);
        const space = spaceOf(keys.length, bytes.length, expiresAt);
        const offset = core.log.reserve(space);
        if (offset !== -1) {
          const slab = core.log.memtable.active!;
          const { flags } = keys;
          const length = this.#appender.fill(
            slab,
            offset,
            RecordKind.put,
            flags,
            bytes,
            expiresAt,
          );
          publishRecord(slab.image, offset, length);
          if (core.blobs.hasDying) core.blobs.buried(slab, offset + space);
          return core.log.acknowledge(slab, offset + space, durability, slab.baseSequence + offset);
        }
      } finally {
        locks.release(lock);
      }
    }
    return this.#later([prepareWrite(keys, bytes, { condition, expiresAt })], settings);
  }

  /** See `Store.delete`. */
  delete(key: Key, options: DeleteOptions | undefined): Promise<boolean> {
    const core = this.#core;
    core.assertWritable();
    const settings = options === undefined
      ? this.#defaults
      : deleteSettings(options, this.#defaults);
    const { keys, locks } = core;
    keys.set(key);
    const { condition, durability } = settings;
    throwIfAborted(settings.signal);
    const lock = keys.lock;
    if (core.log.space.length === 0 && locks.tryAcquire(lock)) {
      try {
        if (condition !== NO_CONDITION) checkCondition(core, condition);
        if (!core.find()) return core.log.confirm(durability, false);
        const space = recordSpace(keys.length, 0);
        const offset = core.log.reserve(space);
        if (offset !== -1) {
          const slab = core.log.memtable.active!;
          const { flags } = keys;
          const length = this.#appender.fill(slab, offset, RecordKind.delete, flags, undefined, 0);
          publishRecord(slab.image, offset, length);
          if (core.blobs.hasDying) core.blobs.buried(slab, offset + space);
          return core.log.acknowledge(slab, offset + space, durability, true);
        }
      } finally {
        locks.release(lock);
      }
    }
    return this.#deleteLater(prepareWrite(keys, undefined, { condition }), settings);
  }

  /** See `Store.batch`. */
  batch(operations: readonly BatchOperation[], options: ValueOptions | undefined): Promise<number> {
    const core = this.#core;
    core.assertWritable();
    const settings = options === undefined
      ? this.#defaults
      : batchSettings(options, this.#defaults, core.codecs);
    if (!Array.isArray(operations)) {
      throw new ArgumentError("operations", `A batch must be an array: ${show(operations)}`);
    }
    const { keys, codecs, options: { clock: { exactMs: now } } } = core;
    const parts = { keys, codecs, now, compression: settings.compression };
    // Array.from also visits holes, which are refused like anything else that is no operation.
    const prepared = Array.from(
      operations,
      (operation: BatchOperation, i) => prepareOperation(parts, operation, i),
    );
    const space = prepared.reduce((sum, write) => sum + write.space, 0);
    checkSize(space);
    core.eviction?.room.checkBatch(space);
    throwIfAborted(settings.signal);
    if (prepared.length === 0) return Promise.resolve(0);
    const writes = this.#compressAll(prepared, space);
    if (writes.some(({ lent }) => lent !== undefined)) return this.#later(writes, settings);
    const locks = [...new Set(writes.map((write) => write.lock))];
    if (core.log.space.length === 0 && this.#tryAcquireAll(locks)) {
      try {
        checkConditions(core, writes);
        const appended = this.#appender.append(writes, settings.durability);
        if (appended !== undefined) return appended.acknowledged;
      } finally {
        for (const lock of locks) core.locks.release(lock);
      }
    }
    return this.#later(writes, settings);
  }

  /** See `Store.update`. */
  async update(
    key: Key,
    change: Change,
    read: (key: Key) => Promise<Uint8Array | undefined>,
    options: UpdateOptions | undefined,
  ): Promise<number | undefined> {
    const core = this.#core;
    core.assertWritable();
    const settings = options === undefined
      ? this.#defaults
      : updateSettings(options, this.#defaults, core.codecs, core.options.clock.exactMs);
    const parts = { core, appender: this.#appender, queue: this.#queue, read };
    return await updateKey(parts, key, change, settings);
  }

  #putSource(
    key: Key,
    source: ReadableStream<Uint8Array> | Blob,
    settings: WriteSettings,
  ): Promise<number> {
    this.#core.keys.set(key);
    throwIfAborted(settings.signal);
    const parts = { core: this.#core, appender: this.#appender, queue: this.#queue };
    return putSource(parts, source, settings);
  }

  /** Its key's lock keeps its place while another thread compresses it. */
  #putLarge(bytes: Uint8Array, settings: WriteSettings): Promise<number> {
    const { keys, pending, compressor } = this.#core;
    const { condition, expiresAt } = settings;
    const write = prepareWrite(keys, bytes, { condition, expiresAt });
    pending.admit(write.space);
    return this.#later([compressWrite(write, compressor, settings.compression)], settings);
  }

  /** A batch that has to wait for another thread must be admitted before its values are copied for it. */
  #compressAll(writes: PreparedWrite[], space: number): PreparedWrite[] {
    const { pending, compressor } = this.#core;
    if (!writes.some(({ compression }) => compression !== undefined)) return writes;
    const large = writes.some(({ value, compression }) =>
      value !== undefined && compression !== undefined && value.length >= compression.minBytes &&
      compressor.isLarge(value, compression)
    );
    if (large) pending.admit(space);
    return writes.map((write) => compressWrite(write, compressor, write.compression));
  }

  async #later(writes: readonly PreparedWrite[], settings: WriteSettings): Promise<number> {
    const appended = await this.#queue.enqueue(writes, settings);
    return await appended!.acknowledged;
  }

  /** As `#later`; whether there is something to delete is known once the key is locked. */
  async #deleteLater(write: PreparedWrite, settings: WriteSettings): Promise<boolean> {
    const core = this.#core;
    const appended = await this.#queue.enqueue([write], settings, () => {
      core.keys.load(write.key, write.flags);
      return core.find();
    });
    if (appended === undefined) return await core.log.confirm(settings.durability, false);
    await appended.acknowledged;
    return true;
  }

  #tryAcquireAll(locks: readonly number[]): boolean {
    for (let i = 0; i < locks.length; i++) {
      if (this.#core.locks.tryAcquire(locks[i]!)) continue;
      for (const taken of locks.slice(0, i)) this.#core.locks.release(taken);
      return false;
    }
    return true;
  }
}

import { encodeBlobReference } from "../blobs/mod.ts";
import { valueHeader } from "../codec/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { Slab } from "../memtable/mod.ts";
import {
  fillRecord,
  kindAndFlags,
  publishRecord,
  RecordFlag,
  RecordKind,
  SlotWord,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import type { PreparedWrite } from "./pending_writes.ts";
import type { Durability } from "./types.ts";

/** A write that is in the log; kept in an object, so that waiting for it does not wait for its durability. */
export interface Appended {
  /** Version of its last record, once it is as durable as asked. */
  readonly acknowledged: Promise<number>;
}

/** Puts records into the active slab and points the index to them. Whoever calls holds the keys' locks. */
export class Appender {
  readonly #core: StoreCore;

  /** Appends to the log of `core`. */
  constructor(core: StoreCore) {
    this.#core = core;
  }

  /**
   * Writes records next to one another, as one batch if they are several, and publishes the first
   * one last: the log worker sees all of them or none. `undefined` if there is no space. The promise
   * is made in the same turn: promises wait in the order of the log.
   */
  append(writes: readonly PreparedWrite[], durability: Durability): Appended | undefined {
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
      const { file, kind, key } = write;
      const lasting = write.flags | (file === undefined ? 0 : RecordFlag.external);
      core.keys.load(key, lasting);
      const flags = lasting | (i < writes.length - 1 ? RecordFlag.batchContinues : 0);
      const stored = file === undefined ? write.value : encodeBlobReference(file);
      const length = this.fill(slab, offset, kind, flags, stored, write.expiresAt);
      if (i === 0) firstLength = length;
      else publishRecord(slab.image, offset, length);
      version = slab.baseSequence + offset;
      offset += write.space;
    });
    publishRecord(slab.image, start, firstLength);
    if (core.blobs.hasDying) core.blobs.buried(slab, offset);
    if (core.pending.size > 0) { for (const write of writes) core.pending.placed(write); }
    const acknowledged = core.log.acknowledge(slab, offset, durability, version);
    // Whoever asked gets to this promise some turns later; until then a failure is not unhandled.
    acknowledged.catch(() => {});
    return { acknowledged };
  }

  /**
   * Fills the record of the key in `keys`, whose flags must be those of the record, and points the
   * index to it. `expiresAt` is 0 for a value that does not. Returns the record's length. If it throws
   * (there is no memory for the index), the log has failed.
   */
  fill(
    slab: Slab,
    offset: number,
    kind: number,
    flags: number,
    value: Uint8Array | undefined,
    expiresAt: number,
  ): number {
    try {
      const { keys, index, expiry, segments } = this.#core;
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
        expiresAt,
      );
      const { hash } = keys;
      if (this.#core.snapshots.isOpen) this.#core.snapshots.save(hash);
      const hadValue = kind === RecordKind.put
        ? index.put(hash, sequence, slab.segment, offset, length, keys.flags)
        : index.remove(hash);
      if (hadValue) {
        if (index.segment !== slab.segment) segments.live.lost(index.segment, index.length);
        if ((index.flags & RecordFlag.external) !== 0) {
          this.#core.blobs.kill(index.sequence, sequence);
        }
      }
      const didExpire = hadValue && (index.flags & RecordFlag.expires) !== 0;
      if (expiresAt !== 0) expiry.set(hash, sequence, expiresAt, didExpire);
      else if (didExpire) expiry.forget(hash);
      this.#core.writes++;
      if (value !== undefined) this.#count(value, sequence);
      return length;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The place of a record is taken, and stays empty: nothing behind it could ever become durable. */
  #failed(cause: unknown): FlagstoneError {
    const { directory, durableLog, log } = this.#core;
    const failure = new FlagstoneError(
      "WRITE_FAILED",
      `Cannot write to the store in ${directory}: ${cause}. It takes no more writes, reads go on; ` +
        `reopen it.`,
      { path: directory, cause },
    );
    if (log === durableLog) {
      log.control.fail(failure);
      log.ring();
    }
    return failure;
  }

  /** Counts the value of the key in `keys`; one that is in a file of its own is known from now on. */
  #count(stored: Uint8Array, version: number): void {
    const core = this.#core;
    const { flags } = core.keys;
    if ((flags & RecordFlag.external) !== 0) {
      const { length } = core.blobs.add(version, stored);
      core.index.mark(RecordFlag.external);
      core.storedValueBytes += length;
      core.valueBytes += length;
      return;
    }
    core.storedValueBytes += stored.length;
    const compressed = (flags & RecordFlag.compressed) !== 0;
    core.valueBytes += compressed ? valueHeader(stored).rawBytes : stored.length;
  }
}

import type { FlagstoneError } from "../errors/mod.ts";
import { MemoryOnlyLog } from "../log/mod.ts";
import type { Slab } from "../memtable/mod.ts";
import { keyedRecords } from "../segment/mod.ts";
import {
  RECORD_HEADER_BYTES,
  RecordFlag,
  recordFlags,
  recordKeyBytes,
  recordSequence,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { DegradedEvent, FailureEvent, RotationEvent } from "./events.ts";
import { KeyBuffer } from "./keys.ts";
import type { DegradedStats } from "./stats_types.ts";

/** The log of `core` has failed: the store takes no more writes, or goes on without it, as the options say. */
export function logFailed(core: StoreCore, error: FlagstoneError): void {
  core.eviction?.room.fail(error);
  if (error.code === "CLOSED") return;
  if (core.options.onWriteFailure === "memory") Degradation.begin(core, error);
  else core.events.keep("error", () => new FailureEvent(error));
}

/**
 * What a store is after its log has failed, if it was opened with `onWriteFailure: "memory"`: a cache.
 * Writes go on, in slabs that no file holds; when these are full, the oldest slab is dropped, and with
 * it the keys whose newest record is there and not on the disk.
 */
class Degradation {
  /** Why. */
  readonly error: FlagstoneError;
  readonly #core: StoreCore;
  /** Not the store's own: that holds the key of the write for which room is made. */
  readonly #keys: KeyBuffer;
  readonly #writesBefore: number;
  #droppedKeys = 0;

  private constructor(core: StoreCore, error: FlagstoneError) {
    this.error = error;
    this.#core = core;
    this.#keys = new KeyBuffer(core.identity.hashSecret);
    this.#writesBefore = core.writes;
  }

  /** The log of `core` has just failed: from now on writes go to memory. */
  static begin(core: StoreCore, error: FlagstoneError): void {
    const degraded = core.degraded = new Degradation(core, error);
    core.log = new MemoryOnlyLog({
      from: core.durableLog,
      failure: error,
      storeId: core.identity.storeId,
      slabs: core.options.slabs,
      onActive: ({ segment, image }) =>
        core.events.emit("rotation", () => new RotationEvent(segment, image.bytes.length)),
      onDropped: (slab, end) => degraded.#drop(slab, end),
    });
    core.events.keep("degraded", () => new DegradedEvent(error));
  }

  /** See `StoreStats.degraded`. */
  get stats(): DegradedStats {
    const writes = this.#core.writes - this.#writesBefore;
    return { error: this.error, writes, droppedKeys: this.#droppedKeys };
  }

  #drop({ image, segment }: Slab, end: number): void {
    const { expiry, index, segments, snapshots } = this.#core;
    // What is on the disk is read from there.
    if (segments.has(segment)) return;
    if (snapshots.isOpen) {
      snapshots.end("ended as the store, whose disk has failed, dropped values");
    }
    for (const offset of keyedRecords(image, end)) {
      const keyStart = offset + RECORD_HEADER_BYTES;
      const flags = recordFlags(image, offset);
      this.#keys.extend(0, image.bytes, keyStart, recordKeyBytes(image, offset), flags);
      const { hash } = this.#keys;
      if (!index.find(hash) || index.sequence !== recordSequence(image, offset)) continue;
      index.remove(hash);
      if ((flags & RecordFlag.expires) !== 0) expiry.forget(hash);
      this.#droppedKeys++;
    }
  }
}

import { SlotState, Word } from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import type { StoreStats } from "./stats_types.ts";

/** See `Store.stats`. */
export function statsOf(core: StoreCore): StoreStats {
  const { segments } = core;
  const { pool } = core.log;
  const { control } = core.durableLog;
  return {
    keys: core.index.size,
    expiry: {
      keys: core.expiry.table.size,
      expired: core.expiry.expired,
      memoryBytes: core.expiry.table.memoryBytes,
    },
    segments: segments.size,
    segmentBytes: segments.totalBytes,
    blobFiles: core.blobs.size,
    blobBytes: core.blobs.bytes,
    liveBytes: segments.liveBytes,
    deadBytes: segments.deadBytes,
    compaction: core.compaction.stats,
    eviction: core.eviction?.stats,
    snapshots: core.snapshots.size,
    snapshotEntries: core.snapshots.entries,
    slabMemoryBytes: pool.memoryBytes,
    readCacheMemoryBytes: core.blocks.memoryBytes,
    indexMemoryBytes: core.index.memoryBytes,
    slabs: {
      free: pool.count(SlotState.free),
      next: pool.count(SlotState.next),
      active: pool.count(SlotState.active),
      sealed: pool.count(SlotState.sealed),
      logged: pool.count(SlotState.logged),
      flushed: pool.count(SlotState.flushed),
    },
    writes: core.writes,
    valueBytes: core.valueBytes,
    storedValueBytes: core.storedValueBytes,
    waitingWrites: core.pending.calls,
    waitingBytes: core.pending.bytes,
    stalls: core.log.space.stalls,
    contendedLocks: core.locks.contended,
    pendingAcks: core.log.pendingAcks,
    logBytes: core.durableLog.memtable.takenBytes,
    logWrites: Atomics.load(control.words, Word.logWrites),
    logSyncs: Atomics.load(control.words, Word.logSyncs),
    rotations: core.log.memtable.rotations,
    degraded: core.degraded?.stats,
    threads: core.durableLog.threads + core.compressor.threads + core.blobs.writer.threads +
      core.compaction.threads,
    recovery: core.recovery,
  };
}

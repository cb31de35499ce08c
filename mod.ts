/**
 * Flagstone: an embedded, crash-safe key/blob store for Deno, in TypeScript.
 *
 * ```ts
 * import { open } from "@flagstone/flagstone";
 *
 * const dir = await Deno.makeTempDir();
 * await using store = await open(dir);
 * await store.put("user:1", "Ada"); // resolves once it is on the disk
 * await store.batch([
 *   { type: "put", key: "user:2", value: "Grace" },
 *   { type: "delete", key: "user:1" },
 * ]);
 * for await (const { key, size } of store.list({ prefix: "user:" })) console.log(key, size);
 * console.assert(await store.getText("user:2") === "Grace");
 * ```
 * @module
 */
export { ArgumentError, type ErrorCode, type ErrorDetails, FlagstoneError } from "./errors/mod.ts";
export type { Codec } from "./codec/mod.ts";
export {
  type BatchOperation,
  type BlobRecoveryReport,
  type CheckpointOptions,
  type CheckpointReport,
  type CompactionOptions,
  type CompactionStats,
  type CompactOptions,
  type CompactReport,
  type Compression,
  type CompressionOptions,
  DegradedEvent,
  type DegradedStats,
  type DeleteOptions,
  type Durability,
  type Entry,
  EvictedEvent,
  type EvictionStats,
  ExpiredEvent,
  type Expiring,
  FailureEvent,
  FlushEvent,
  type Key,
  type ListEntry,
  type ListOptions,
  open,
  type OpenOptions,
  type PutCondition,
  type PutOptions,
  type PutValue,
  RecoveryEvent,
  type RecoveryReport,
  RotationEvent,
  type SalvagedFile,
  SlowDiskEvent,
  Snapshot,
  StallEvent,
  Store,
  type StoreEventMap,
  type StoreListener,
  type StoreStats,
  type StreamOptions,
  type UpdateOptions,
  type Value,
  type ValueOptions,
  type VerifyOptions,
  type VerifyProblem,
  type VerifyProgress,
  type VerifyReport,
  type WriteCondition,
  type WriteOptions,
} from "./store/mod.ts";

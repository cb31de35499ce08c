/**
 * A write-ahead log on its own: records in order, group commit, torn told from corrupt, appends from
 * several threads. The store is built on the same code.
 *
 * ```ts
 * import { Wal } from "@flagstone/flagstone/wal";
 * const directory = await Deno.makeTempDir();
 * await using wal = await Wal.open(directory);
 * const lsn = await wal.appendAndSync(new TextEncoder().encode("transfer 7: 100 from a to b"));
 * for (const record of wal.iterateFrom(lsn)) console.assert(record.bytes.length === 27);
 * ```
 * @module
 */
export { ArgumentError, type ErrorCode, type ErrorDetails, FlagstoneError } from "../errors/mod.ts";
export type { DiskUsage, File, FileInfo, Fs, FsSpec, Lock } from "../vfs/mod.ts";
export { AttachedWal, attachWal } from "./attached_wal.ts";
export type { Durability } from "./log_parts.ts";
export { Wal } from "./wal.ts";
export { WalRecord } from "./wal_reader.ts";
export {
  FileLogStore,
  type FileLogStoreOptions,
  type LogStore,
  MemoryLogStore,
  type MemoryLogStoreOptions,
  SegmentedLogStore,
  type SegmentedLogStoreOptions,
} from "../wal/mod.ts";
export type {
  AppendOptions,
  Codec,
  CorruptionPolicy,
  IterateOptions,
  WalHandle,
  WalOptions,
  WalRecovery,
  WalStats,
} from "./wal_types.ts";

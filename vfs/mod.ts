/**
 * File systems: the interface through which Flagstone reaches the world, the operating system's,
 * and one in memory that can lose what was not synced.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { MemFs } from "@flagstone/flagstone/vfs";
 * const fs = new MemFs();
 * using file = fs.create("/a");
 * file.writeAt(new TextEncoder().encode("synced"), 0);
 * file.sync();
 * assert.equal(fs.crashClone({ keep: "synced" }).list("/").length, 0); // its name was not
 * using root = fs.openDir("/");
 * root.sync();
 * assert.equal(fs.crashClone({ keep: "synced" }).stat("/a").size, 6);
 * ```
 * @module
 */
export { type ErrorCode, FlagstoneError } from "../errors/mod.ts";
export {
  atomicWrite,
  type AtomicWriteOptions,
  durableMkdirAll,
  durableRemove,
  durableRename,
  type DurableRenameOptions,
  removeTemporaries,
  temporarySuffix,
} from "./atomic.ts";
export { BufferedWriter, type BufferedWriterOptions } from "./buffered_writer.ts";
export {
  copyAcross,
  type CopyAcrossOptions,
  copyFile,
  type CopyFileOptions,
  linkOrCopy,
  type LinkOrCopyOptions,
} from "./copy.ts";
export {
  CrashFs,
  type CrashFsOptions,
  type CrashOptions,
  type EveryCrashOptions,
} from "./crash_fs.ts";
export {
  type DiskHealthFs,
  diskHealthMemory,
  type DiskHealthOptions,
  type DiskHealthWatch,
  type SlowOperation,
  watchDiskHealth,
  withDiskHealth,
} from "./disk_health.ts";
export { type DiskFullInfo, withDiskFull } from "./disk_full.ts";
export { DenoFs } from "./deno_fs.ts";
export { type ArmedFault, FaultFs, type FaultFsOptions } from "./fault_fs.ts";
export {
  exists,
  type ReadBlock,
  readBlocks,
  type ReadBlocksOptions,
  readFile,
  readText,
  syncPath,
} from "./files.ts";
export { type Fault, type FaultRule } from "./fault_rule.ts";
export {
  allOperations,
  type FsOperation,
  type FsOperationKind,
  nameOperations,
  printOperation,
  readOperations,
  syncOperations,
  writeOperations,
} from "./operations.ts";
export { InterceptFs, type InterceptHooks } from "./intercept_fs.ts";
export { type FsServer, type FsServerOptions, type HeldCall, serveFs } from "./fs_server.ts";
export { classifyIoError, type IoErrorClass } from "./io_error.ts";
export { LatencyHistogram } from "./latency_histogram.ts";
export { Marker } from "./marker.ts";
export { memFile } from "./mem_file.ts";
export {
  type CategoryMetrics,
  type MetricsFs,
  type MetricsOptions,
  type OperationMetrics,
  withMetrics,
} from "./metrics.ts";
export { withLogging } from "./logging.ts";
export { MemFs } from "./mem_fs.ts";
export type { MemCrashOptions, MemFsOptions, SyncKind } from "./mem_options.ts";
export { baseName, dirName, fixedPath, joinPath, normalizePath, syncDirectory } from "./paths.ts";
export { ProxyFs } from "./proxy_fs.ts";
export { fsFromSpec } from "./spec.ts";
export { type SyncingOptions, withSyncing } from "./syncing_files.ts";
export { type PersistOptions, TemporaryFile, type TemporaryFileOptions } from "./temporary_file.ts";
export { type OpenHandle, type TrackingFs, withTracking } from "./tracking.ts";
export type { DiskUsage, File, FileInfo, Fs, FsSpec, Lock } from "./types.ts";
export { VirtualFs, type VirtualFsOptions, type VirtualFsStats } from "./virtual_fs.ts";

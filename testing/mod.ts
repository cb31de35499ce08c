/**
 * Crash tests for your own programs: write them against {@linkcode Fs}, and let the power fail at
 * every moment.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { testCrashes } from "@flagstone/flagstone/testing";
 * const report = await testCrashes<string>({
 *   run(fs, promise) {
 *     using file = fs.create("/greeting");
 *     file.write(new TextEncoder().encode("hello"));
 *     file.sync();
 *     using dir = fs.openDir("/");
 *     dir.sync(); // without this line the check fails: the name may be lost
 *     promise("hello");
 *   },
 *   check(fs, promised) {
 *     if (promised.length > 0 && fs.stat("/greeting").size !== 5) throw new Error("lost");
 *   },
 * });
 * assert.ok(report.crashes > 100);
 * ```
 * @module
 */
export {
  type CrashScenario,
  type CrashTestOptions,
  type CrashTestReport,
  testCrashes,
} from "./test_crashes.ts";
export {
  allOperations,
  type ArmedFault,
  CrashFs,
  type CrashFsOptions,
  type CrashOptions,
  type DiskUsage,
  type ErrorCode,
  type EveryCrashOptions,
  type Fault,
  FaultFs,
  type FaultFsOptions,
  type FaultRule,
  type File,
  type FileInfo,
  FlagstoneError,
  type Fs,
  type FsOperation,
  type FsOperationKind,
  type FsSpec,
  type Lock,
  type MemCrashOptions,
  MemFs,
  type MemFsOptions,
  nameOperations,
  printOperation,
  readOperations,
  syncDirectory,
  type SyncKind,
  syncOperations,
  writeOperations,
} from "../vfs/mod.ts";

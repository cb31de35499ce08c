/**
 * The log: its format, the words that threads share about it, and its recovery.
 *
 * ```ts
 * import { logName, parseFileName } from "./mod.ts";
 * console.assert(logName(7) === "0000000007.log");
 * console.assert(parseFileName("0000000007.seg")?.segment === 7);
 * ```
 * @module
 */
export * from "./check_length.ts";
export * from "./control.ts";
export * from "./control_words.ts";
export * from "./create_log.ts";
export * from "./file_header.ts";
export * from "./file_log_store.ts";
export * from "./file_names.ts";
export * from "./format.ts";
export * from "./image.ts";
export { beginLog, type LogBeginning } from "./load_log.ts";
export * from "./log_recovery.ts";
export * from "./log_store.ts";
export * from "./memory_log_store.ts";
export * from "./range_checksums.ts";
export * from "./record.ts";
export * from "./scan.ts";
export * from "./segmented_log_store.ts";
export * from "./shared_writer.ts";
export * from "./trim_log.ts";

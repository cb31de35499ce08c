/**
 * The log as a whole, from the thread that owns it: space in slabs, workers, watermarks, promises.
 *
 * ```ts
 * import { AckQueue } from "./mod.ts";
 * const queue = new AckQueue();
 * const kept = queue.push(100, true);
 * queue.settle(100);
 * console.assert(await kept);
 * ```
 * @module
 */
export * from "./ack_queue.ts";
export * from "./attached_wal.ts";
export * from "./identity.ts";
export * from "./log_parts.ts";
export * from "./log_writer.ts";
export * from "./memory_only_log.ts";
export * from "./slab_limits.ts";
export * from "./space_queue.ts";
export * from "./start_log.ts";
export * from "./wal.ts";
export * from "./wal_reader.ts";
export * from "./wal_types.ts";
export * from "./watermarks.ts";

/**
 * Compaction: copies what is alive out of sparse segments into a new one. Who decides what is to be
 * compacted, tells the index, and has the sources removed, is the store.
 *
 * ```ts
 * import { Pace } from "./mod.ts";
 * const pace = new Pace(1000, () => 0);
 * console.assert(pace.restMs(500) === 500); // half a second for 500 bytes
 * ```
 * @module
 */
export * from "./compaction.ts";
export * from "./inline_runner.ts";
export * from "./job.ts";
export * from "./pace.ts";
export type { CompactionFailure } from "./protocol.ts";
export * from "./runner.ts";
export { LEAST_DEAD_GAIN_PART } from "./sieve.ts";
export * from "./worker_runner.ts";

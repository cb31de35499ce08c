/**
 * Where a write goes first: slabs of shared memory, the pool that they come from, and the locks
 * that keep writes to one key in order.
 *
 * ```ts
 * import { KeyLocks } from "./mod.ts";
 * const locks = new KeyLocks();
 * await locks.acquire(7, "key");
 * console.assert(!locks.tryAcquire(7));
 * locks.releaseKey(7, "key");
 * ```
 * @module
 */
export * from "./key_locks.ts";
export * from "./memtable.ts";
export * from "./slab.ts";
export * from "./slab_pool.ts";

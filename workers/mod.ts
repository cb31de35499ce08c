/**
 * The loops beside the main thread, and who runs them.
 *
 * ```ts
 * import { Role } from "./mod.ts";
 * console.assert(Role.log === "log");
 * ```
 * @module
 */
export * from "./host.ts";
export * from "./inline_host.ts";
export * from "./log_loop.ts";
export * from "./flush_loop.ts";
export * from "./loop.ts";
export * from "./slab_table.ts";
export * from "./worker_host.ts";

/**
 * The store: options, writing, reading, listing, recovery, and how they hang together.
 *
 * ```ts
 * import { open } from "./mod.ts";
 * const dir = await Deno.makeTempDir();
 * await using store = await open(dir);
 * await store.put("greeting", "hello");
 * console.assert(await store.getText("greeting") === "hello");
 * ```
 * @module
 */
export type { HostFactory } from "../log/mod.ts";
export { open, openWith } from "./open.ts";
export type { CompactionOptions, OpenOptions } from "./options.ts";
export {
  DegradedEvent,
  EvictedEvent,
  ExpiredEvent,
  FailureEvent,
  FlushEvent,
  RecoveryEvent,
  RotationEvent,
  SlowDiskEvent,
  StallEvent,
  type StoreEventMap,
  type StoreListener,
} from "./events.ts";
export { Snapshot } from "./snapshot.ts";
export { Store } from "./store.ts";
export type * from "./maintenance_types.ts";
export type * from "./stats_types.ts";
export type * from "./types.ts";

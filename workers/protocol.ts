import type { FsSpec } from "../vfs/mod.ts";
import type { FinishMode } from "./flush_loop.ts";
import type { Role } from "./host.ts";

/** First message to a worker. */
export interface StartMessage {
  readonly type: "start";
  /** What the worker does. */
  readonly role: Role;
  /** Which worker of that role it is, counted from 0. */
  readonly worker: number;
  /** The control block. */
  readonly control: SharedArrayBuffer;
  /** Directory of the store. */
  readonly directory: string;
  /** How to make the file system. */
  readonly fs: FsSpec;
  /** Where its calls of the file system are noted, for `watchDiskHealth`. */
  readonly disk: SharedArrayBuffer;
  /** What the flush worker makes of full logs. */
  readonly finish: FinishMode;
  /** After how long without work the worker ends. */
  readonly idleMs: number;
}

/** Later messages: a slot has got memory. */
export interface BufferMessage {
  readonly type: "buffer";
  readonly slot: number;
  readonly generation: number;
  readonly buffer: SharedArrayBuffer;
}

/** What main sends to a worker. */
export type ToWorker = StartMessage | BufferMessage;

/** A worker's first message: it has started. */
export const READY = "ready";
/** A worker's last message: it is about to end. */
export const ENDED = "ended";

/** Name of the Worker threads: a module that is also imported elsewhere knows by it where it is. */
export const WORKER_NAME_PREFIX = "flagstone-";

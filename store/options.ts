import type { Codec } from "../codec/mod.ts";
import { ArgumentError, integer, oneOf, refuseUnknown, show } from "../errors/mod.ts";
import { checkSlabs } from "../log/mod.ts";
import { DenoFs, type Fs } from "../vfs/mod.ts";
import { MOST_FLUSH_WORKERS } from "../wal/mod.ts";
import { Clock } from "./clock.ts";
import type { Compression, Durability } from "./types.ts";

/** Options of {@linkcode open}. All are checked before anything is touched. */
export interface OpenOptions {
  // What the store does.

  /**
   * What `open` does with files that were damaged after they were written. `refuse`, the default: it
   * throws `CORRUPT` with the place, and changes nothing. `salvage`: it reads every file whole, which
   * takes as long as the disk needs; a damaged one is set aside under another name (`….aside`, never
   * deleted), and what can be read of it goes to a new one. `stats().recovery.salvaged` and the
   * `recovery` event list what was lost. Of a key whose newest value is lost, an older one may be back;
   * of a batch, what can be read is kept. A directory whose STORE file does not begin as one is no
   * store, also then (`NOT_A_STORE`).
   */
  readonly onCorruption?: "refuse" | "salvage";
  /**
   * What becomes of writes after a write or sync of the log failed (`WRITE_FAILED`, `WORKER_DIED`,
   * `STALLED`). `refuse`, the default: they reject, until the store is reopened. `memory`, for caches:
   * they go on, in memory only. Then nothing that was not durable already will be, and the store says
   * so: a write that stores a value resolves to 0 instead of its version, also one that waited for the
   * disk; a `degraded` event and `stats().degraded` tell why; `flush`, `checkpoint`, `clear`, `compact` and
   * `verify` reject.
   * Values too large for a slab are refused, since they need a file. When all slabs are full
   * (`slabs × slabBytes`), the oldest is dropped, with its keys. A full disk is no such failure:
   * `NO_SPACE` ends by itself.
   */
  readonly onWriteFailure?: "refuse" | "memory";

  /** When a write's promise resolves, unless the write says otherwise. Default `synced`: one fdatasync for all writes that wait. */
  readonly durability?: Durability;
  /** Create the store if the directory is missing or empty. Default true. */
  readonly create?: boolean;
  /** The file system. Default: the operating system's. One that only this thread can reach makes the store work without Workers. */
  readonly fs?: Fs;
  /** How values are compressed unless the write says otherwise. Default `none`. What is stored already stays readable. */
  readonly compression?: Compression;
  /**
   * Makes the store a cache: its files (logs, segments, files of large values) never take more bytes
   * than this. Before they would, keys go that nobody has read of late (SIEVE): see `Store` `evicted`
   * events and `stats().eviction`. Default: no bound. At least `(2 × slabs + 8) × slabBytes`, of which
   * `slabs + 2` slabs are kept free for what is under way; `slabBytes` is then a 64th of it by default, 64 KiB
   * to 16 MiB. A value or batch that could not be stored even if all else went is refused with
   * `TOO_LARGE`; if nothing can go, as a snapshot sees it or the disk fails, writes are with
   * `NO_SPACE`. Costs a byte or two of memory a key. Not counted: the image of the index that
   * `close` leaves, some 45 bytes a key.
   */
  readonly maxBytes?: number;
  /**
   * The clock by which values expire, in ms since the epoch. Default `Date.now`; another for tests. While
   * it throws, or returns what is no time, nothing expires, and a write with `expireIn` is refused.
   */
  readonly now?: () => number;
  /** Codecs beside zstd, for `compression` and for reading what they have written: see `Codec`. */
  readonly codecs?: readonly Codec[];

  // What it costs.

  /** Length of a slab, and so of a log and of most segments, in bytes: 64 KiB to 1 GiB, rounded up to 4 KiB. Default 16 MiB. Larger: fewer files; more memory, and more to replay after a crash. */
  readonly slabBytes?: number;
  /** Number of slabs, 2 to 64. Default 3. Memory grows to `slabs × slabBytes` under load, which may be 8 GiB at most; with more, bursts wait less for the disk. */
  readonly slabs?: number;
  /** Threads that finish segments and share the syncing, 1 to 4. Default 2. One runs all the while, others when there is work for them; each takes some 10 MiB. */
  readonly flushWorkers?: number;
  /** Milliseconds without work after which the worker threads end, 50 to 2000. Default 1000. Then all is synced, and a program that forgot `close` can exit; the next write takes some 15 ms longer. */
  readonly idleWorkerMs?: number;
  /** Milliseconds without any progress of the disk after which waiting writes are rejected with `STALLED`, and after which `close` stops waiting; 1000 to 600000. Default 60000. */
  readonly stallTimeoutMs?: number;
  /** Milliseconds after which a call of the file system by a worker thread, or a disk without progress while writes wait, is told in a `slowdisk` event, while it lasts; 10 to 600000. Default 1000. Nobody looks unless somebody listens. */
  readonly slowDiskMs?: number;
  /** Bytes of blocks of segments that are kept in memory for small gets, 0 to 16 GiB. Default 32 MiB, taken when they are first needed; 0: none, every get of a sealed record is a system call. */
  readonly readCacheBytes?: number;
  /** Bytes of writes that may wait for memory or for their keys, 64 KiB to 1 TiB. Default 1 GiB. A write that would have to wait beyond it is refused with `BUSY`; one alone may be larger. */
  readonly maxWaitingBytes?: number;
  /**
   * When space of overwritten and deleted values is given back by itself: see {@linkcode CompactionOptions}.
   * `"manual"`: only by `Store.compact`, and by `clear`. Default: `{}`.
   */
  readonly compaction?: CompactionOptions | "manual";
  /** `close` leaves an image of the index, if it spares the next `open` the reading of so many keys, and of a sixteenth of all. Default 20000: reading those takes about 10 ms. Writing costs some 45 bytes a key on disk: about 0.1 s for a million, 0.6 s for ten. 2^53 - 1: never. */
  readonly indexImageKeys?: number;
}

/**
 * How the store compacts in the background, on a thread of its own. A value that stays is copied once
 * for each `1 / deadPart - 1` bytes, or fewer, that come back; values that are overwritten soon cost
 * nothing, as segments in which all is dead are just removed.
 */
export interface CompactionOptions {
  /** A segment is compacted once this part of its records is dead, 0.1 to 1. Default 0.5: files take up to about twice the space of what is alive. Lower: less space, more copying. */
  readonly deadPart?: number;
  /** Bytes that are read and written for it in a second, 64 KiB to 1 TiB; more while three quarters of all is dead. Default 128 MiB. While writes come, its thread also rests for two thirds of the time, until three quarters are dead. Lower: less disturbance of other work; space comes back later. */
  readonly bytesPerSecond?: number;
}

/** {@linkcode OpenOptions} with every default filled in. */
export interface ResolvedOptions
  extends Required<Omit<OpenOptions, "compaction" | "maxBytes" | "now">> {
  /** See {@linkcode OpenOptions.now}. */
  readonly clock: Clock;
  /** See {@linkcode OpenOptions.maxBytes}. */
  readonly maxBytes: number | undefined;
  /** See {@linkcode OpenOptions.compaction}. */
  readonly compaction: Required<CompactionOptions> | "manual";
}

const DURABILITIES: readonly Durability[] = ["synced", "written", "memory"];

/** Smallest slab, in bytes. */
export const MIN_SLAB_BYTES = 64 * 1024;
/** Largest slab, in bytes. */
export const MAX_SLAB_BYTES = 1024 * 1024 * 1024;
const SLAB_STEP_BYTES = 4096;

/** Checks options and fills in defaults. Throws {@linkcode ArgumentError}. */
export function resolveOptions(options: OpenOptions = {}): ResolvedOptions {
  const known = [
    "onCorruption",
    "onWriteFailure",
    "durability",
    "create",
    "fs",
    "compression",
    "codecs",
    "now",
    "slabBytes",
    "slabs",
    "flushWorkers",
    "idleWorkerMs",
    "stallTimeoutMs",
    "slowDiskMs",
    "readCacheBytes",
    "maxWaitingBytes",
    "compaction",
    "indexImageKeys",
    "maxBytes",
  ];
  refuseUnknown(options, known, "options");
  const slabBytes = integer(options.slabBytes, "options.slabBytes", {
    least: MIN_SLAB_BYTES,
    most: MAX_SLAB_BYTES,
    fallback: defaultSlabBytes(options.maxBytes),
  });
  const slabs = integer(options.slabs, "options.slabs", { least: 2, most: 64, fallback: 3 });
  checkSlabs(slabs, slabBytes, "options.slabBytes");
  const roundedSlabBytes = Math.ceil(slabBytes / SLAB_STEP_BYTES) * SLAB_STEP_BYTES;
  const fs = options.fs ?? new DenoFs();
  if (typeof fs !== "object" || typeof fs.openReadWrite !== "function") {
    throw new ArgumentError("options.fs", `options.fs must be a file system: ${show(fs)}`);
  }
  const now = options.now ?? Date.now;
  if (typeof now !== "function") {
    throw new ArgumentError("options.now", `options.now must be a function: ${show(now)}`);
  }
  return {
    onCorruption: oneOf<"refuse" | "salvage">(
      options.onCorruption,
      "options.onCorruption",
      ["refuse", "salvage"],
      "refuse",
    ),
    onWriteFailure: oneOf<"refuse" | "memory">(
      options.onWriteFailure,
      "options.onWriteFailure",
      ["refuse", "memory"],
      "refuse",
    ),
    durability: resolveDurability(options.durability, "options.durability") ?? "synced",
    create: oneOf(options.create, "options.create", [true, false], true),
    fs,
    compression: options.compression ?? "none",
    codecs: options.codecs ?? [],
    clock: new Clock(now),
    slabBytes: roundedSlabBytes,
    slabs,
    flushWorkers: integer(options.flushWorkers, "options.flushWorkers", {
      least: 1,
      most: MOST_FLUSH_WORKERS,
      fallback: 2,
    }),
    idleWorkerMs: integer(options.idleWorkerMs, "options.idleWorkerMs", {
      least: 50,
      most: 2000,
      fallback: 1000,
    }),
    stallTimeoutMs: integer(options.stallTimeoutMs, "options.stallTimeoutMs", {
      least: 1000,
      most: 600_000,
      fallback: 60_000,
    }),
    slowDiskMs: integer(options.slowDiskMs, "options.slowDiskMs", {
      least: 10,
      most: 600_000,
      fallback: 1000,
    }),
    readCacheBytes: integer(options.readCacheBytes, "options.readCacheBytes", {
      least: 0,
      most: 16 * 1024 ** 3,
      fallback: 32 * 1024 * 1024,
    }),
    maxWaitingBytes: integer(options.maxWaitingBytes, "options.maxWaitingBytes", {
      least: 64 * 1024,
      most: 1024 ** 4,
      fallback: 1024 ** 3,
    }),
    compaction: resolveCompaction(options.compaction),
    maxBytes: options.maxBytes === undefined ? undefined : integer(
      options.maxBytes,
      "options.maxBytes",
      {
        least: leastMaxBytes(slabs, roundedSlabBytes),
        most: Number.MAX_SAFE_INTEGER,
        fallback: Number.MAX_SAFE_INTEGER,
      },
    ),
    indexImageKeys: integer(options.indexImageKeys, "options.indexImageKeys", {
      least: 0,
      most: Number.MAX_SAFE_INTEGER,
      fallback: 20_000,
    }),
  };
}

/** The least `maxBytes`: slabs that are no segments yet, what is kept free, and six slabs of segments. */
function leastMaxBytes(slabs: number, slabBytes: number): number {
  return (2 * slabs + 8) * slabBytes;
}

function defaultSlabBytes(maxBytes: unknown): number {
  const most = 16 * 1024 * 1024;
  if (typeof maxBytes !== "number" || !(maxBytes > 0)) return most;
  const part = Math.floor(maxBytes / 64 / SLAB_STEP_BYTES) * SLAB_STEP_BYTES;
  return Math.max(MIN_SLAB_BYTES, Math.min(most, part));
}

function resolveCompaction(
  options: CompactionOptions | "manual" = {},
): ResolvedOptions["compaction"] {
  if (options === "manual") return options;
  refuseUnknown(options, ["deadPart", "bytesPerSecond"], "options.compaction");
  const { deadPart = 0.5 } = options;
  if (typeof deadPart !== "number" || !(deadPart >= 0.1 && deadPart <= 1)) {
    throw new ArgumentError(
      "options.compaction.deadPart",
      `options.compaction.deadPart must be a number from 0.1 to 1: ${show(deadPart)}`,
    );
  }
  const bytesPerSecond = integer(
    options.bytesPerSecond,
    "options.compaction.bytesPerSecond",
    { least: 64 * 1024, most: 1024 ** 4, fallback: 128 * 1024 * 1024 },
  );
  return { deadPart, bytesPerSecond };
}

/** Checks a durability; `undefined` stays what it is. */
export function resolveDurability(value: unknown, argument: string): Durability | undefined {
  return oneOf<Durability | undefined>(value, argument, DURABILITIES, undefined);
}

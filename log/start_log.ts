import type { FlagstoneError } from "../errors/mod.ts";
import { type BufferListener, Memtable, type Slab, SlabPool } from "../memtable/mod.ts";
import type { Fs } from "../vfs/mod.ts";
import { Control, type RecoveredLog } from "../wal/mod.ts";
import { type FinishMode, type Host, InlineHost, WorkerHost } from "../workers/mod.ts";
import { LogWriter } from "./log_writer.ts";

/** What a log needs to know of the options of a store, or of a `Wal`. */
export interface LogOptions {
  readonly fs: Fs;
  readonly slabBytes: number;
  readonly slabs: number;
  readonly idleWorkerMs: number;
  readonly stallTimeoutMs: number;
  readonly syncIntervalMs?: number;
  readonly flushWorkers?: number;
}

const DEFAULT_FLUSH_WORKERS = 2;

/** Makes the host of a log's loops; simulations bring their own. */
export type HostFactory = (
  control: Control,
  describe: (listener: BufferListener) => void,
  directory: string,
  options: LogOptions,
) => Host;

/** Where a log goes on. */
export interface LogPosition {
  /** The log that takes the next record, if one is open. */
  readonly active: RecoveredLog | undefined;
  /** Number of the next segment. */
  readonly nextSegment: number;
  /** First sequence number of the next segment. */
  readonly nextSequence: number;
}

/** Parts of a log, for {@linkcode startLog}. */
export interface LogParts {
  readonly directory: string;
  readonly options: LogOptions;
  readonly storeId: Uint8Array;
  readonly finish: FinishMode;
  readonly makeHost: HostFactory | undefined;
  /** Brings the directory back to what was acknowledged. */
  readonly recover: () => LogPosition | Promise<LogPosition>;
  readonly onActive?: (slab: Slab) => void;
  readonly onSegment: (segment: number, fileBytes: number, slab: Slab) => void;
  readonly onFailure?: (error: FlagstoneError) => void;
  /** See `LogWriterParts.waives`. */
  readonly waives?: boolean;
  /** See `SlabPoolOptions.mayGrow`. */
  readonly mayGrow?: ((bytes: number) => boolean) | undefined;
}

/** Starts the workers and recovers meanwhile: starting a thread takes longer than a small recovery. */
export async function startLog(parts: LogParts): Promise<LogWriter> {
  const { directory, options, storeId, onActive, onSegment, onFailure, waives } = parts;
  const { fs, slabBytes, stallTimeoutMs } = options;
  const control = new Control(options.slabs);
  let pool: SlabPool | undefined;
  const describe = (listener: BufferListener) => pool?.describe(listener);
  const host = parts.makeHost?.(control, describe, directory, options) ??
    defaultHost(control, describe, parts);
  const started = host.start(stallTimeoutMs);
  try {
    const onBuffer: BufferListener = (...news) => host.sendBuffer(...news);
    pool = new SlabPool(control, { slabBytes, storeId, onBuffer, mayGrow: parts.mayGrow });
    const found = await parts.recover();
    const active = found.active === undefined ? undefined : pool.adopt(found.active);
    const memtable = new Memtable(control, pool, active, found.nextSegment, found.nextSequence);
    await started;
    const shared = { fs, directory, control, pool, memtable, host };
    const syncIntervalMs = options.syncIntervalMs ?? 0;
    const told = { onActive, onSegment, onFailure, waives };
    return new LogWriter({ ...shared, stallTimeoutMs, syncIntervalMs, ...told });
  } catch (error) {
    await Promise.allSettled([started]);
    await host.stop(stallTimeoutMs);
    throw error;
  }
}

function defaultHost(
  control: Control,
  describe: (listener: BufferListener) => void,
  { directory, finish, options }: LogParts,
): Host {
  const { fs, idleWorkerMs: idleMs, flushWorkers = DEFAULT_FLUSH_WORKERS } = options;
  if (fs.spec === undefined) {
    return new InlineHost(control, fs, directory, finish, undefined, flushWorkers);
  }
  return new WorkerHost(control, {
    directory,
    fs: fs.spec,
    finish,
    idleMs,
    flushWorkers,
    describe,
  });
}

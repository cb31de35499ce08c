import { ArgumentError } from "../errors/mod.ts";
import { HashIndex } from "../index/mod.ts";
import { type Identity, LogWriter, openDirectory, STORE_KIND } from "../log/mod.ts";
import { type BufferListener, Memtable, SlabPool } from "../memtable/mod.ts";
import type { Lock } from "../vfs/mod.ts";
import { Control } from "../wal/mod.ts";
import { type Host, InlineHost, WorkerHost } from "../workers/mod.ts";
import { StoreCore } from "./core.ts";
import { KeyBuffer } from "./keys.ts";
import { type OpenOptions, type ResolvedOptions, resolveOptions, show } from "./options.ts";
import { Recovery } from "./recovery.ts";
import { SegmentSet } from "./segment_set.ts";
import { Store } from "./store.ts";

/** Makes the host of a store's loops; simulations bring their own. */
export type HostFactory = (
  control: Control,
  describe: (listener: BufferListener) => void,
  directory: string,
  options: ResolvedOptions,
) => Host;

/**
 * Opens the store in `directory`, creating it if there is none: reads the footers of its segments,
 * replays its log, cuts off what a crash tore. One owner at a time.
 *
 * @throws {ArgumentError} for a wrong option, before anything is touched
 * @throws {FlagstoneError} `LOCKED` if the store is open elsewhere, in this process or another;
 * `NOT_A_STORE` if the directory holds something else; `NOT_FOUND` if it is missing and `create` is
 * false; `CORRUPT` if something that was durable is damaged, with `path` and `offset`;
 * `NEWER_FORMAT`; `PERMISSION`, `READ_ONLY`, `NO_SPACE`, `IO` as the file system has it
 */
export async function open(directory: string, options?: OpenOptions): Promise<Store> {
  return await openWith(directory, options, defaultHost);
}

/** As {@linkcode open}, with a host of the caller's choice. */
export async function openWith(
  directory: string,
  options: OpenOptions | undefined,
  makeHost: HostFactory,
): Promise<Store> {
  if (typeof directory !== "string" || directory === "") {
    throw new ArgumentError("directory", `The directory must be a path: ${show(directory)}`);
  }
  const resolved = resolveOptions(options);
  // The work below is synchronous; this makes every failure a rejection all the same.
  await Promise.resolve();
  const { fs, create } = resolved;
  const { identity, lock } = openDirectory(fs, directory, STORE_KIND, create);
  try {
    return new Store(await startCore(directory, resolved, identity, lock, makeHost));
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Starts the workers and recovers meanwhile: starting a thread takes longer than a small recovery. */
async function startCore(
  directory: string,
  options: ResolvedOptions,
  identity: Identity,
  lock: Lock,
  makeHost: HostFactory,
): Promise<StoreCore> {
  const control = new Control(options.slabs);
  let pool: SlabPool | undefined;
  const describe = (listener: BufferListener) => pool?.describe(listener);
  const host = makeHost(control, describe, directory, options);
  const started = host.start(options.stallTimeoutMs);
  try {
    pool = new SlabPool(control, {
      slabBytes: options.slabBytes,
      storeId: identity.storeId,
      onBuffer: (slot, generation, buffer) => host.sendBuffer(slot, generation, buffer),
    });
    const { fs, stallTimeoutMs } = options;
    const keys = new KeyBuffer(identity.hashSecret);
    const index = new HashIndex();
    const segments = new SegmentSet(fs, directory);
    const found = new Recovery(fs, directory, identity, keys, index, segments).run();
    const active = found.active === undefined ? undefined : pool.adopt(found.active);
    const memtable = new Memtable(control, pool, active, found.nextSegment, found.nextSequence);
    const onSegment = segments.add.bind(segments);
    const log = new LogWriter({
      fs,
      directory,
      control,
      pool,
      memtable,
      host,
      stallTimeoutMs,
      onSegment,
    });
    await started;
    const recovery = found.report;
    return new StoreCore({ directory, options, lock, keys, index, segments, log, recovery });
  } catch (error) {
    await Promise.allSettled([started]);
    await host.stop(options.stallTimeoutMs);
    throw error;
  }
}

function defaultHost(
  control: Control,
  describe: (listener: BufferListener) => void,
  directory: string,
  options: ResolvedOptions,
): Host {
  const spec = options.fs.spec;
  if (spec === undefined) return new InlineHost(control, options.fs, directory);
  return new WorkerHost(control, {
    directory,
    fs: spec,
    idleMs: options.idleWorkerMs,
    describe,
  });
}

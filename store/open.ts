import { ArgumentError, type FlagstoneError, show } from "../errors/mod.ts";
import {
  type HostFactory,
  type Identity,
  openDirectory,
  startLog,
  STORE_KIND,
} from "../log/mod.ts";
import { fixedPath, type Lock } from "../vfs/mod.ts";
import { recoverBlobs } from "./blob_recovery.ts";
import { type Control, SlotWord } from "../wal/mod.ts";
import { resolveCodecs, resolveCompression } from "./compression.ts";
import { logFailed } from "./degradation.ts";
import { EventSource } from "./event_source.ts";
import { FlushEvent, RecoveryEvent, RotationEvent } from "./events.ts";
import { StoreCore } from "./core.ts";
import { KeyBuffer } from "./keys.ts";
import { type OpenOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { type Recovered, Recovery } from "./recovery.ts";
import { Salvage } from "./salvage.ts";
import { salvageBlobs } from "./salvage_blobs.ts";
import { salvageIdentity } from "./salvage_identity.ts";
import { SegmentSet } from "./segment_set.ts";
import { Store } from "./store.ts";
import type { SalvagedFile } from "./stats_types.ts";

/**
 * Opens the store in `directory`, creating it if there is none: reads the footers of its segments,
 * replays its log, cuts off what a crash tore. One owner at a time. A relative path is made absolute,
 * so that a later `Deno.chdir` changes nothing, if the program may read where it is.
 *
 * @throws {ArgumentError} for a wrong option, before anything is touched
 * @throws {FlagstoneError} `LOCKED` if the store is open elsewhere, in this process or another;
 * `NOT_A_STORE` if the directory holds something else; `NOT_FOUND` if it is missing and `create` is
 * false; `CORRUPT` if something that was durable is damaged, with `path` and `offset`;
 * `NEWER_FORMAT`; `NOT_A_DIRECTORY`, `PERMISSION`, `READ_ONLY`, `NO_SPACE`, `IO` as the file system has it
 */
export async function open(directory: string, options?: OpenOptions): Promise<Store> {
  return await openWith(directory, options, undefined);
}

/** As {@linkcode open}, with a host of the caller's choice. */
export async function openWith(
  path: string,
  options: OpenOptions | undefined,
  makeHost: HostFactory | undefined,
): Promise<Store> {
  if (typeof path !== "string" || path === "") {
    throw new ArgumentError("directory", `The directory must be a path: ${show(path)}`);
  }
  const resolved = resolveOptions(options);
  const directory = fixedPath(resolved.fs, path);
  const codecs = resolveCodecs(resolved.codecs);
  resolveCompression(resolved.compression, codecs);
  // The work below is synchronous; this makes every failure a rejection all the same.
  await Promise.all(Array.from(codecs.values(), (codec) => codec.init?.()));
  const { fs, create, onCorruption } = resolved;
  const isSalvage = onCorruption === "salvage";
  const repaired: SalvagedFile[] = [];
  const repair = (error: FlagstoneError) => {
    const file = isSalvage ? salvageIdentity(fs, directory, error) : undefined;
    if (file !== undefined) repaired.push(file);
    return file !== undefined;
  };
  const { identity, lock } = openDirectory(fs, directory, STORE_KIND, create, repair);
  try {
    const salvaged = isSalvage ? [...repaired, ...new Salvage(fs, directory, identity).run()] : [];
    const core = await startCore(directory, resolved, identity, lock, makeHost, salvaged);
    const store = new Store(core);
    if (!isSalvage) return store;
    try {
      const lost = await salvageBlobs(store, core);
      core.recovery = { ...core.recovery, salvaged: [...salvaged, ...lost] };
      return store;
    } catch (error) {
      // That is the failure to be told.
      await store.close().catch(() => {});
      throw error;
    }
  } catch (error) {
    lock.close();
    throw error;
  }
}

async function startCore(
  directory: string,
  options: ResolvedOptions,
  identity: Identity,
  lock: Lock,
  makeHost: HostFactory | undefined,
  salvaged: readonly SalvagedFile[],
): Promise<StoreCore> {
  const keys = new KeyBuffer(identity.hashSecret);
  const segments = new SegmentSet(options.fs, directory);
  const recovery = new Recovery(options.fs, directory, identity, keys, segments);
  const events = new EventSource();
  let recovered: Recovered | undefined;
  // Nothing is accepted before there is a core, so no failure of the log matters before.
  let failed = (_error: FlagstoneError): void => {};
  const told = new WeakSet<object>();
  const late: { control?: Control; core?: StoreCore } = {};
  const log = await startLog({
    directory,
    options,
    storeId: identity.storeId,
    finish: "segment",
    makeHost,
    recover: async () => recovered = await recovery.run(),
    onActive: ({ segment, image }) =>
      events.emit("rotation", () => new RotationEvent(segment, image.bytes.length)),
    onSegment: (segment, fileBytes, slab) => {
      // It may have been compacted since it was first told of.
      if (told.has(slab)) return;
      told.add(slab);
      late.core?.eviction?.sealed(slab);
      const { slot, salt } = slab;
      const recordsEnd = late.control!.get(slot, SlotWord.end);
      const putBytes = late.control!.get(slot, SlotWord.putBytes);
      segments.add(segment, { fileBytes, recordsEnd, putBytes, salt });
      late.core?.compaction.consider();
      events.emit("flush", () => new FlushEvent(segment, fileBytes));
    },
    onFailure: (error) => failed(error),
    waives: options.onWriteFailure === "memory",
    mayGrow: options.maxBytes === undefined
      ? undefined
      : (bytes) => late.core?.eviction?.room.admitsSlab(bytes) ?? true,
  });
  late.control = log.control;
  const { index, expiring, imaged, report } = recovered!;
  const core = new StoreCore({
    directory,
    options,
    identity,
    lock,
    keys,
    index,
    expiring,
    imaged,
    segments,
    log,
    events,
    recovery: report,
  });
  failed = (error) => logFailed(core, error);
  try {
    core.recovery = { ...report, blobs: recoverBlobs(core, salvaged.length > 0), salvaged };
  } catch (error) {
    await core.release();
    throw error;
  }
  events.keep("recovery", () => new RecoveryEvent(core.recovery));
  late.core = core;
  core.compaction.consider();
  return core;
}

import type { FlagstoneError } from "../errors/mod.ts";
import type { Memtable, Slab, SlabPool } from "../memtable/mod.ts";
import type { Fs } from "../vfs/mod.ts";
import type { Control } from "../wal/mod.ts";
import type { Host } from "../workers/mod.ts";
import type { SpaceQueue } from "./space_queue.ts";

/**
 * When a write's promise resolves.
 * - `synced`: after fdatasync covers it. Survives a power loss.
 * - `written`: after write(2). Survives the process being killed; a power loss may take what was
 *   written since the last sync.
 * - `memory`: once readers see it. The log worker follows at once, but a killed process may lose it.
 *
 * Whatever is chosen, a crash keeps a prefix of the writes: never a later one without the earlier.
 */
export type Durability = "synced" | "written" | "memory";

/** The log as the store's writes and reads see it, whether it goes to a disk or not. */
export interface StoreLog {
  readonly control: Control;
  readonly pool: SlabPool;
  readonly memtable: Memtable;
  /** Writers that wait for a slab. */
  readonly space: SpaceQueue;
  /** Promises waiting for the log worker. */
  readonly pendingAcks: number;
  /** What every write gets from now on, if the log takes none any more. */
  readonly failure: FlagstoneError | undefined;
  /** Takes `bytes` of the active slab, going on in the next if need be. Returns the offset in `memtable.active`, or -1 if no slab is free. Throws the log's failure. */
  reserve(bytes: number): number;
  /** Goes on in another slab. */
  rotate(): void;
  /** Promises `value` for when what is in `slab` up to `end` is what `durability` says; 0 for a version if that will never be, and nobody is to be refused for it. */
  acknowledge<T extends number | boolean>(
    slab: Slab,
    end: number,
    durability: Durability,
    value: T,
  ): Promise<T>;
  /** As `acknowledge`, for a call that wrote nothing, but whose answer rests on what others wrote. */
  confirm<T extends number | boolean>(durability: Durability, value: T): Promise<T>;
  /** Resolves when everything that was accepted is durable. */
  flush(): Promise<void>;
  /** Resolves when every sealed slab, of segments up to `upTo` only if given, is a segment. */
  flushed(upTo?: number): Promise<void>;
  /** Calls whoever writes. */
  ring(): void;
}

/** Parts of a {@linkcode LogWriter}. */
export interface LogWriterParts {
  readonly fs: Fs;
  readonly directory: string;
  readonly control: Control;
  readonly pool: SlabPool;
  readonly memtable: Memtable;
  readonly host: Host;
  /** See `OpenOptions.stallTimeoutMs`. */
  readonly stallTimeoutMs: number;
  /** Milliseconds after which what nobody waits for is synced all the same; 0 = when the log has been idle. */
  readonly syncIntervalMs: number;
  /** Told of each slab that becomes active. */
  readonly onActive?: ((slab: Slab) => void) | undefined;
  /** Told of each sealed segment, the length of its file, and the slab that has it still. May be told again and again. */
  readonly onSegment: (segment: number, fileBytes: number, slab: Slab) => void;
  /** Told once of the failure that ends writing, before anybody else is; a close is one too. */
  readonly onFailure?: ((error: FlagstoneError) => void) | undefined;
  /** When the log fails, writes that wait are not rejected: they resolve, versions to 0. */
  readonly waives?: boolean | undefined;
}

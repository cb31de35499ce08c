import type { FlagstoneError } from "../errors/mod.ts";
import type { Memtable, Slab, SlabPool } from "../memtable/mod.ts";
import type { Fs } from "../vfs/mod.ts";
import type { Control } from "../wal/mod.ts";
import type { Host } from "../workers/mod.ts";

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
  /** Told of each sealed segment, and the length of its file. May be told again and again. */
  readonly onSegment: (segment: number, fileBytes: number) => void;
  /** Told once of the failure that ends writing; a close is one too. */
  readonly onFailure?: ((error: FlagstoneError) => void) | undefined;
}

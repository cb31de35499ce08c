import type { HashIndex } from "../index/mod.ts";
import type { Identity, LogWriter } from "../log/mod.ts";
import type { BlobFiles } from "./blob_files.ts";
import type { Eviction } from "./eviction.ts";
import type { Expiry } from "./expiry.ts";
import type { ResolvedOptions } from "./options.ts";
import type { SegmentSet } from "./segment_set.ts";
import type { Snapshots } from "./snapshots.ts";

/** What compaction needs of the store. */
export interface CompactedStore {
  readonly directory: string;
  readonly options: ResolvedOptions;
  readonly identity: Identity;
  readonly segments: SegmentSet;
  /** The log on disk: what is in memory only replaces nothing. */
  readonly durableLog: LogWriter;
  /** Another one after a `clear`. */
  readonly index: HashIndex;
  /** The segments that the image of the index on disk knows; none once one of them is gone. */
  imaged: ReadonlySet<number>;
  readonly snapshots: Snapshots;
  /** Writes accepted. */
  readonly writes: number;
  readonly blobs: BlobFiles;
  readonly expiry: Expiry;
  /** There if the store has a bound. */
  readonly eviction: Eviction | undefined;
  assertDurable(): void;
  /** Does `work` once nothing else changes the set of files, or copies `sources`: see `StoreCore.forCompaction`. */
  forCompaction<T>(sources: readonly number[], work: () => Promise<T>): Promise<T>;
}

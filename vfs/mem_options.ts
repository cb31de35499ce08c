/** How a `MemFs` behaves; all of it may be left out. */
export interface MemFsOptions {
  /**
   * True (the default): what was not synced is known as such, and a crash takes it. False: every
   * change is durable at once, which costs a little less.
   */
  readonly strict?: boolean;
  /** Windows semantics: what is open cannot be removed, replaced or created anew (`BUSY`). Default false. */
  readonly windows?: boolean;
  /** Space for content, in bytes; writes beyond it throw `NO_SPACE`. Default: no limit. */
  readonly capacityBytes?: number;
}

/** What `MemFs.crashClone` keeps of what was not synced. */
export interface MemCrashOptions {
  /** `synced`: nothing, as after the worst power loss. `all`: everything, as after the end of the process. */
  readonly keep: "synced" | "all";
}

/** Which call `MemFs.onSync` tells about; `directory` for any sync of a directory. */
export type SyncKind = "sync" | "syncData" | "directory";

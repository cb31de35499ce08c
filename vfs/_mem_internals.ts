import type { Survivors } from "./_mem_clone.ts";
import type { ContentHistory } from "./_mem_content.ts";
import type { NameJournal } from "./_mem_node.ts";

/** What the crash file systems of this folder may do with a `MemFs`; not for users. */
export interface MemInternals<MemFs> {
  readonly journal: NameJournal;
  /** Keeps a history of every file from now on. */
  rememberHistory(make: () => ContentHistory): void;
  /** A fresh file system like this one, with what survives. */
  clone(survivors: Survivors): MemFs;
  /** Turns to what survives, in place: handles are dead, locks are free. */
  crash(survivors: Survivors): void;
}

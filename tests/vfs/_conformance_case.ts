import type { Fs } from "../../vfs/mod.ts";

/** One promise of the file-system contract; `root` is an empty directory of its own. */
export interface ConformanceCase {
  readonly name: string;
  /** It removes or replaces what is open: where that is refused, the answer is `BUSY`. */
  readonly needsOpenRemoved?: true;
  readonly run: (fs: Fs, root: string) => void | Promise<void>;
}

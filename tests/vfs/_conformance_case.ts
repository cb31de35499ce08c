import type { Fs } from "../../vfs/mod.ts";

/** One promise of the file-system contract; `root` is an empty directory of its own. */
export interface ConformanceCase {
  readonly name: string;
  readonly run: (fs: Fs, root: string) => void | Promise<void>;
}

import { type Fs, joinPath } from "../vfs/mod.ts";
import { parseFileName } from "../wal/mod.ts";

/** Those of `names` that are logs or segments below `firstSegment`. */
export function namesBelow(names: readonly string[], firstSegment: number): string[] {
  return names.filter((name) => (parseFileName(name)?.segment ?? Infinity) < firstSegment);
}

/**
 * Removes logs and segments that do not count any more, or those whose names end with `suffix`. That
 * they do not count must be durable; whether they are gone need not be.
 */
export function removeBelow(
  fs: Fs,
  directory: string,
  firstSegment: number,
  suffix = "",
): void {
  for (const name of namesBelow(fs.list(directory), firstSegment)) {
    if (name.endsWith(suffix)) fs.remove(joinPath(directory, name));
  }
}

import { type Fs, joinPath } from "../vfs/mod.ts";
import { checkLength } from "./check_length.ts";
import { logName } from "./file_names.ts";

/**
 * Cuts a complete log to its length and makes it durable. A log whose last record, at its very end,
 * is a seal needs no scan when it is opened again.
 */
export function trimLog(fs: Fs, directory: string, segment: number, end: number): void {
  const file = fs.openReadWrite(joinPath(directory, logName(segment)));
  try {
    checkLength(file, end);
    file.truncate(end);
    file.sync();
  } finally {
    file.close();
  }
}

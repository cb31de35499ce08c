import { type Fs, joinPath } from "../vfs/mod.ts";
import { checkLength } from "./check_length.ts";
import { logName } from "./file_names.ts";

/**
 * Makes a complete log durable and cuts it to its length, in this order: a log whose last record, at
 * its very end, is a seal is known to be durable, and needs no scan when it is opened again.
 */
export function trimLog(fs: Fs, directory: string, segment: number, end: number): void {
  const file = fs.openReadWrite(joinPath(directory, logName(segment)));
  try {
    checkLength(file, end);
    file.sync();
    file.truncate(end);
  } finally {
    file.close();
  }
}

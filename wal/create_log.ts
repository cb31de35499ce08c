import { type File, type Fs, joinPath, syncDirectory } from "../vfs/mod.ts";
import { logName } from "./file_names.ts";
import { FILE_HEADER_BYTES } from "./format.ts";
import type { SegmentImage } from "./image.ts";

/**
 * Creates the log of `segment`, whose header stands in `image`, at full length: a sync is cheaper
 * when the length does not change. Header, length and name are durable when this returns, so before
 * any record: a damaged header in front of records is never the trace of a crash.
 */
export function createLog(
  fs: Fs,
  directory: string,
  segment: number,
  image: SegmentImage,
): File {
  const file = fs.create(joinPath(directory, logName(segment)));
  try {
    file.truncate(image.bytes.length);
    file.writeAt(image.bytes.subarray(0, FILE_HEADER_BYTES), 0);
    file.sync();
    syncDirectory(fs, directory);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

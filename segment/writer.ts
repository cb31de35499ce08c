import { joinPath, syncDirectory } from "../vfs/mod.ts";
import type { Fs } from "../vfs/mod.ts";
import { checkLength, logName, type SegmentImage, segmentName } from "../wal/mod.ts";
import { buildFooter, putBytesOf } from "./footer.ts";

/** Lengths of a sealed file. */
export interface SealedLengths {
  /** The whole file. */
  readonly fileBytes: number;
  /** The space of the puts that are the newest of their keys in it. */
  readonly putBytes: number;
}

/**
 * Turns the log of a segment, complete up to `recordsEnd`, into its sealed file: footer behind the
 * records, length cut to fit, sync, rename, sync of the directory. Whatever moment the power fails
 * at, the log or the segment is there, whole; a footer that is only half there follows a seal
 * record, where a scan of the log stops.
 */
export function sealSegment(
  fs: Fs,
  directory: string,
  segment: number,
  image: SegmentImage,
  recordsEnd: number,
  salt: number,
): SealedLengths {
  const lengths = writeFooter(fs, directory, segment, image, recordsEnd, salt);
  finishSegment(fs, directory, segment);
  return lengths;
}

/**
 * First half of {@linkcode sealSegment}: when it returns, records and footer are durable in the log.
 * `pause` is called now and then while the footer is built.
 */
export function writeFooter(
  fs: Fs,
  directory: string,
  segment: number,
  image: SegmentImage,
  recordsEnd: number,
  salt: number,
  pause?: () => void,
): SealedLengths {
  const footer = buildFooter(image, recordsEnd, salt, 0, pause);
  const file = fs.openReadWrite(joinPath(directory, logName(segment)));
  try {
    checkLength(file, recordsEnd);
    file.writeAt(footer, recordsEnd);
    file.truncate(recordsEnd + footer.length);
    file.sync();
  } finally {
    file.close();
  }
  return { fileBytes: recordsEnd + footer.length, putBytes: putBytesOf(footer) };
}

/** Second half of {@linkcode sealSegment}: gives the file its name. */
export function finishSegment(fs: Fs, directory: string, segment: number): void {
  fs.rename(joinPath(directory, logName(segment)), joinPath(directory, segmentName(segment)));
  syncDirectory(fs, directory);
}

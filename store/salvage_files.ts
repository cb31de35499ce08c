import { buildFooter } from "../segment/mod.ts";
import { exists, type Fs, joinPath, syncDirectory, temporarySuffix } from "../vfs/mod.ts";
import {
  alignRecord,
  checksumRecord,
  compactedName,
  FILE_HEADER_BYTES,
  kindAndFlags,
  RecordFlag,
  recordFlags,
  recordKeyBytes,
  recordKind,
  recordLength,
  recordSequence,
  SegmentImage,
  writeFileHeader,
} from "../wal/mod.ts";

/** What is added to the name of a file that was set aside. */
export const ASIDE_SUFFIX = ".aside";

/** Gives a file a name under which it means nothing, durably. Returns its path. */
export function setAside(fs: Fs, directory: string, name: string): string {
  let path = joinPath(directory, name + ASIDE_SUFFIX);
  for (let n = 2; exists(fs, path); n++) path = joinPath(directory, `${name}${ASIDE_SUFFIX}-${n}`);
  fs.rename(joinPath(directory, name), path);
  syncDirectory(fs, directory);
  return path;
}

/** What is kept of a damaged file. */
export interface Kept {
  readonly storeId: Uint8Array;
  /** The newest segment of which there are records. */
  readonly upTo: number;
  /** A number that no compacted segment has. */
  readonly number: number;
  readonly image: SegmentImage;
  /** Offsets of the records to keep, of each key one. */
  readonly offsets: readonly number[];
  /** No number up to this one is to be given again. */
  readonly lastSequence: number;
}

/** Writes the records that are kept as a compacted segment, durable under its name. Returns the name. */
export function writeKept(fs: Fs, directory: string, kept: Kept): string {
  const { storeId, upTo, number, image: from, offsets, lastSequence } = kept;
  let space = FILE_HEADER_BYTES;
  let first = lastSequence + 1;
  for (const offset of offsets) {
    space += alignRecord(recordLength(from, offset));
    first = Math.min(first, recordSequence(from, offset));
  }
  const image = new SegmentImage(new ArrayBuffer(space));
  const header = { segment: number, capacityBytes: space, storeId, upTo };
  const salt = writeFileHeader(image, { ...header, baseSequence: first - 1 });
  let end = FILE_HEADER_BYTES;
  for (const offset of offsets) {
    const length = recordLength(from, offset);
    image.bytes.set(from.bytes.subarray(offset, offset + length), end);
    const word = end >> 2;
    // It is in no batch here, and no mark of another file means anything.
    const flags = recordFlags(from, offset) & ~RecordFlag.batchContinues;
    image.words[word + 4] = 0;
    image.words[word + 5] = recordKeyBytes(from, offset) |
      (kindAndFlags(recordKind(from, offset), flags) << 16);
    image.words[word + 1] = checksumRecord(image.bytes, end, length, salt);
    end += alignRecord(length);
  }
  const name = compactedName(upTo, number);
  const path = joinPath(directory, name);
  using file = fs.create(path + temporarySuffix);
  file.writeAt(image.bytes.subarray(0, end), 0);
  file.writeAt(buildFooter(image, end, salt, lastSequence), end);
  file.sync();
  fs.rename(path + temporarySuffix, path);
  syncDirectory(fs, directory);
  return name;
}

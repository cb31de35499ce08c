import { blobFileBytes, parseBlobName } from "../blobs/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import { joinPath } from "../vfs/mod.ts";
import {
  alignRecord,
  RecordFlag,
  recordValueStart,
  SegmentImage,
  verifyRecord,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { setAside } from "./salvage_files.ts";
import type { VerifyProblem } from "./maintenance_types.ts";
import type { BlobRecoveryReport } from "./stats_types.ts";

/**
 * Finds out which blob files the keys of a store that was just recovered have, and removes the others.
 * Everything in the index is durable by now. If a record that points at a file cannot be read, nothing
 * is removed: its file must not be taken for one that nobody needs. If records were lost (`isSalvage`),
 * files that nobody needs are set aside.
 */
export function recoverBlobs(core: StoreCore, isSalvage: boolean): BlobRecoveryReport {
  const { blobs, index, directory, options: { fs } } = core;
  const problems: VerifyProblem[] = [];
  let allRead = true;
  index.eachFlagged(RecordFlag.external, () => {
    try {
      const reference = blobs.add(index.sequence, storedValue(core));
      const path = blobs.pathOf(reference);
      const found = fileBytesOf(core, path);
      const expected = blobFileBytes(reference.length);
      if (found === expected) return;
      const message = found === undefined
        ? "the file of a large value is missing"
        : `the file of a large value has ${found} bytes and should have ${expected}`;
      problems.push({ path, offset: Math.min(found ?? 0, expected), message });
    } catch (error) {
      if (!(error instanceof FlagstoneError)) throw error;
      allRead = false;
      const { path = directory, offset = 0, message } = error;
      problems.push({ path, offset, message });
    }
  });
  const files = fs.list(directory).filter((name) => parseBlobName(name) !== undefined);
  const dispose = (name: string) =>
    isSalvage ? void setAside(fs, directory, name) : fs.remove(joinPath(directory, name));
  const swept = allRead ? blobs.sweep(files, dispose) : 0;
  return { files: blobs.live.size, swept, problems };
}

/** The value that is stored in the record which the index has just told of. */
function storedValue(core: StoreCore): Uint8Array {
  const { segment, offset, length } = core.index;
  const slab = core.log.pool.resident(segment);
  if (slab !== undefined) {
    return slab.image.bytes.subarray(recordValueStart(slab.image, offset), offset + length);
  }
  const reader = core.segments.reader(segment);
  const image = new SegmentImage(new ArrayBuffer(alignRecord(length)));
  reader.readAt(image.bytes.subarray(0, length), offset);
  if (!verifyRecord(image, 0, length, reader.header.salt)) {
    const message = "a record of a large value does not match its checksum";
    throw new FlagstoneError("CORRUPT", message, { path: reader.path, offset });
  }
  return image.bytes.subarray(recordValueStart(image, 0), length);
}

function fileBytesOf({ options: { fs } }: StoreCore, path: string): number | undefined {
  try {
    return fs.stat(path).size;
  } catch (error) {
    if (!(error instanceof FlagstoneError) || error.code !== "NOT_FOUND") throw error;
    return undefined;
  }
}

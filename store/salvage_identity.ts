import type { FlagstoneError } from "../errors/mod.ts";
import { rewriteIdentity, STORE_KIND } from "../log/mod.ts";
import { type Fs, joinPath, readFile, syncDirectory } from "../vfs/mod.ts";
import { FILE_HEADER_BYTES, parseFileName, readFileHeader, STORE_ID_BYTES } from "../wal/mod.ts";
import { INDEX_FILE } from "./index_image.ts";
import { ASIDE_SUFFIX } from "./salvage_files.ts";
import type { SalvagedFile } from "./stats_types.ts";

/**
 * Writes the STORE file anew, which is damaged: the id of the store is in every log and segment, and
 * nothing on disk depends on the secret but the image of the index, which goes first. What a clear said
 * is lost; its files are gone, as a rule. The old file is copied aside, so that there is one at every moment.
 *
 * `error` says how it is damaged. If it is `NOT_A_STORE`, and no other file is of a store, the directory
 * may be somebody else's: then nothing is done.
 */
export function salvageIdentity(
  fs: Fs,
  directory: string,
  error: FlagstoneError,
): SalvagedFile | undefined {
  const foundId = commonId(fs, directory);
  if (error.code === "NOT_A_STORE" && foundId === undefined) return undefined;
  const path = joinPath(directory, STORE_KIND.file);
  const movedTo = path + ASIDE_SUFFIX;
  {
    using copy = fs.create(movedTo);
    copy.writeAt(readFile(fs, path), 0);
    copy.sync();
  }
  // The hashes in it are of keys with the secret that is lost.
  fs.removeAll(joinPath(directory, INDEX_FILE));
  syncDirectory(fs, directory);
  const storeId = foundId ?? crypto.getRandomValues(new Uint8Array(STORE_ID_BYTES));
  rewriteIdentity(fs, directory, STORE_KIND, storeId);
  return {
    ...{ path, movedTo, message: "the file that makes a store of the directory was damaged" },
    ...{ replacement: path, keptRecords: 0, lostBytes: 0, lostKeys: [] },
  };
}

/** The store id that most files have. */
function commonId(fs: Fs, directory: string): Uint8Array | undefined {
  const found = new Map<string, { id: Uint8Array; files: number }>();
  for (const name of fs.list(directory)) {
    if (parseFileName(name) === undefined) continue;
    const path = joinPath(directory, name);
    using file = fs.open(path);
    const head = new Uint8Array(FILE_HEADER_BYTES);
    const verdict = readFileHeader(head, file.readAt(head, 0), path);
    if (!verdict.ok) continue;
    const { storeId: id } = verdict.header;
    const seen = found.get(id.join()) ?? { id, files: 0 };
    found.set(id.join(), { id, files: seen.files + 1 });
  }
  return [...found.values()].sort((a, b) => b.files - a.files)[0]?.id;
}

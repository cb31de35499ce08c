import type { BlobReference } from "../blobs/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import {
  alignRecord,
  RECORD_HEADER_BYTES,
  RecordFlag,
  recordKeyBytes,
  SegmentImage,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { KeyBuffer } from "./keys.ts";
import { setAside } from "./salvage_files.ts";
import type { Store } from "./store.ts";
import type { SalvagedFile } from "./stats_types.ts";
import type { Key } from "./types.ts";

/** So much of a large value is read at a time; whole pieces. */
const PART_BYTES = 4 * 1024 * 1024;

/** A key whose value is in a file of its own. */
interface LargeValue {
  readonly key: Key;
  readonly version: number;
  readonly reference: BlobReference;
}

/**
 * Reads every large value of a store that was just opened. One that is missing or damaged is lost: what
 * there is of its file is set aside, and then its key is deleted, so that the store is sound.
 */
export async function salvageBlobs(store: Store, core: StoreCore): Promise<SalvagedFile[]> {
  const lost: SalvagedFile[] = [];
  for (const { key, version, reference } of largeValues(core)) {
    const message = await damageOf(core, reference);
    if (message === undefined) continue;
    const { blobs, directory, options: { fs } } = core;
    const path = blobs.pathOf(reference);
    let movedTo: string | undefined;
    try {
      movedTo = setAside(fs, directory, path.slice(path.lastIndexOf("/") + 1));
    } catch (error) {
      if (!(error instanceof FlagstoneError) || error.code !== "NOT_FOUND") throw error;
    }
    await store.delete(key, { ifVersion: version, durability: "synced" });
    lost.push({
      ...{ path, message, movedTo, replacement: undefined, keptRecords: 0 },
      ...{ lostBytes: reference.length, lostKeys: [key] },
    });
  }
  return lost;
}

function largeValues(core: StoreCore): LargeValue[] {
  const { blobs, index, log, segments } = core;
  const keys = new KeyBuffer(core.identity.hashSecret);
  const found: LargeValue[] = [];
  index.eachFlagged(RecordFlag.external, () => {
    const { segment, offset, length, sequence: version, flags } = index;
    const reference = blobs.live.get(version);
    if (reference === undefined) return;
    const slab = log.pool.resident(segment);
    const image = slab?.image ?? new SegmentImage(new ArrayBuffer(alignRecord(length)));
    const start = slab === undefined ? 0 : offset;
    if (slab === undefined) {
      segments.reader(segment).readAt(image.bytes.subarray(0, length), offset);
    }
    const keyStart = start + RECORD_HEADER_BYTES;
    keys.extend(0, image.bytes, keyStart, recordKeyBytes(image, start), flags);
    found.push({ key: keys.key(flags), version, reference });
  });
  return found;
}

async function damageOf(core: StoreCore, reference: BlobReference): Promise<string | undefined> {
  const { length } = reference;
  const part = new Uint8Array(Math.min(PART_BYTES, length));
  try {
    await core.blobs.using(reference, async (reader) => {
      for (let at = 0; at < length; at += PART_BYTES) {
        await reader.readAtAsync(part.subarray(0, length - at), at);
      }
    });
    return undefined;
  } catch (error) {
    if (error instanceof FlagstoneError && error.code === "CORRUPT") return error.message;
    throw error;
  }
}

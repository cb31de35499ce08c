import { corruptValue, VALUE_HEADER_BYTES, valueHeader } from "../codec/mod.ts";
import { joinPath } from "../vfs/mod.ts";
import { EXPIRY_BYTES, logName, RECORD_HEADER_BYTES, RecordFlag } from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";

/** Length of a value, raw and as it is stored. */
export interface ValueSizes {
  readonly size: number;
  readonly storedSize: number;
}

/** Sizes of the value that `core.index` has just found, under a key of `keyBytes`. Reads a few bytes of one that is compressed. */
export function sizesOf(core: StoreCore, keyBytes: number): ValueSizes {
  const { segment, offset, length, flags, sequence } = core.index;
  if ((flags & RecordFlag.external) !== 0) {
    // What is not known could not be read when the store was opened: reading the value tells why.
    const size = core.blobs.lengthOf(sequence);
    return { size, storedSize: size };
  }
  const expiry = (flags & RecordFlag.expires) === 0 ? 0 : EXPIRY_BYTES;
  const before = RECORD_HEADER_BYTES + keyBytes + expiry;
  const storedSize = length - before;
  if ((flags & RecordFlag.compressed) === 0) return { size: storedSize, storedSize };
  const header = new Uint8Array(Math.min(VALUE_HEADER_BYTES, storedSize));
  const at = offset + before;
  const slab = core.log.pool.resident(segment);
  if (slab !== undefined) header.set(slab.image.bytes.subarray(at, at + header.length));
  else core.segments.reader(segment).readAt(header, at);
  try {
    return { size: valueHeader(header, storedSize).rawBytes, storedSize };
  } catch (cause) {
    const path = slab === undefined
      ? core.segments.pathOf(segment)
      : joinPath(core.directory, logName(segment));
    throw corruptValue({ path, offset }, cause);
  }
}

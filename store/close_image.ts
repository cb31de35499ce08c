import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import { FILE_HEADER_BYTES, SlotWord } from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { type ImageSource, writeIndexImage } from "./index_image.ts";

/** If an open has to read less than one part in so many of all keys, an image spares it little. */
const LEAST_PART = 16;

/**
 * Leaves an image of the index for the next open, if it will save that more than it costs. For a
 * store that takes no more writes and whose records are all durable. Nothing depends on the image,
 * so a failure to write it is none of the store's.
 */
export async function leaveIndexImage(core: StoreCore): Promise<void> {
  try {
    if (!isWorthIt(core)) return;
    const { directory, expiry, identity, index, options } = core;
    const image = { index, expiring: expiry.table };
    await writeIndexImage(options.fs, directory, identity.storeId, image, sourceOf(core));
  } catch (error) {
    if (!(error instanceof FlagstoneError)) throw error;
  }
}

/** Counts what the next open would have to read from the footers of segments that no image knows. */
function isWorthIt(core: StoreCore): boolean {
  const { imaged, index, options, segments } = core;
  const least = Math.max(options.indexImageKeys, index.size / LEAST_PART);
  let entries = 0;
  for (const segment of segments.files) {
    if (imaged.has(segment)) continue;
    const { puts, deletes } = segments.reader(segment).summary;
    entries += puts + deletes;
    if (entries >= least) return true;
  }
  return false;
}

function sourceOf(core: StoreCore): ImageSource {
  const { segments } = core;
  const { control, memtable } = core.log;
  const { active, nextSequence } = memtable;
  const known = new Map(segments.files.map((segment) => {
    const facts = segments.factsOf(segment);
    const deadBytes = Math.min(facts.putBytes, segments.live.deadOf(segment));
    return [segment, { facts, deadBytes }] as const;
  }));
  if (active === undefined) return { segments: known, log: undefined, sequenceEnd: nextSequence };
  // What is beyond are marks at most: everything was made durable before.
  const end = control.get(active.slot, SlotWord.synced);
  const { image, segment } = active;
  const checksum = crc32(image.bytes.subarray(0, end));
  const log = end <= FILE_HEADER_BYTES ? undefined : { segment, end, checksum };
  return { segments: known, log, sequenceEnd: active.baseSequence + active.image.bytes.length };
}

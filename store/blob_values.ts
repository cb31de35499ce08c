import { type BlobReference, PIECE_BYTES } from "../blobs/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { BlobFiles } from "./blob_files.ts";

/** A large value is read so much at a time. */
const STEP_BYTES = 16 * PIECE_BYTES;

/** The whole of a large value, without blocking the thread for longer than a checksum of a few megabytes takes. */
export async function readBlob(
  blobs: BlobFiles,
  reference: BlobReference,
): Promise<Uint8Array<ArrayBuffer>> {
  return await blobs.using(reference, async (reader) => {
    const value = memoryFor(reference);
    for (let at = 0; at < value.length; at += STEP_BYTES) {
      await reader.readAtAsync(value.subarray(at, at + STEP_BYTES), at);
    }
    return value;
  });
}

/** The whole of a large value, at once. */
export function readBlobSync(
  blobs: BlobFiles,
  reference: BlobReference,
): Uint8Array<ArrayBuffer> {
  const value = memoryFor(reference);
  const reader = blobs.reader(reference);
  for (let at = 0; at < value.length; at += STEP_BYTES) {
    reader.readAt(value.subarray(at, at + STEP_BYTES), at);
  }
  return value;
}

function memoryFor({ length }: BlobReference): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new FlagstoneError(
      "TOO_LARGE",
      `Cannot read a value of ${length} bytes at once: there is no memory for it. Use stream().`,
      { cause },
    );
  }
}

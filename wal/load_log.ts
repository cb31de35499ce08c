import type { File } from "../vfs/mod.ts";
import { SegmentImage } from "./image.ts";

/** Read at a time: stays in a processor's cache while it is looked at. */
const PIECE_BYTES = 1024 * 1024;

/** A log's file in memory. */
export interface LoadedLog {
  readonly image: SegmentImage;
  /** Everything from here on is zeros. */
  readonly dataEnd: number;
}

/**
 * Reads the first `fileBytes` of a log into an image of `capacityBytes`. Where the file has nothing
 * but zeros, as a log has that was made ahead of time, the image's memory is left untouched: new memory
 * costs several times what reading the file does.
 */
export function loadLog(file: File, fileBytes: number, capacityBytes: number): LoadedLog {
  const image = new SegmentImage(new SharedArrayBuffer(capacityBytes));
  const end = Math.min(fileBytes, capacityBytes);
  let aside: Uint8Array<ArrayBuffer> | undefined;
  let dataEnd = 0;
  let isBlank = false;
  for (let offset = 0; offset < end; offset += PIECE_BYTES) {
    const place = image.bytes.subarray(offset, Math.min(end, offset + PIECE_BYTES));
    // Zeros follow zeros, mostly; if not, what was read is copied.
    aside ??= isBlank ? new Uint8Array(PIECE_BYTES) : undefined;
    const piece = isBlank ? aside!.subarray(0, place.length) : place;
    const got = file.readAt(piece, offset);
    const used = lengthWithoutZeros(piece.subarray(0, got));
    if (isBlank && used > 0) place.set(piece.subarray(0, used));
    isBlank = used === 0;
    if (!isBlank) dataEnd = offset + used;
    if (got < piece.length) break;
  }
  return { image, dataEnd };
}

/** Length up to the last word that is not zero. */
function lengthWithoutZeros(bytes: Uint8Array): number {
  const tail = bytes.length % 4;
  if (bytes.subarray(bytes.length - tail).some((byte) => byte !== 0)) return bytes.length;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, (bytes.length - tail) / 4);
  let word = words.length;
  while (word > 0 && words[word - 1] === 0) word--;
  return word * 4;
}

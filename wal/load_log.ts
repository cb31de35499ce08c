import { type File, type Fs, joinPath } from "../vfs/mod.ts";
import { readFileHeader } from "./file_header.ts";
import { logName } from "./file_names.ts";
import { FILE_HEADER_BYTES } from "./format.ts";
import { SegmentImage } from "./image.ts";

/** Read at a time: stays in a processor's cache while it is looked at. */
const PIECE_BYTES = 1024 * 1024;

/** So many pieces are read at a time, if there is other work meanwhile. */
const LANES = 2;

/** The beginning of a log in memory. */
export interface LogBeginning {
  readonly segment: number;
  readonly image: SegmentImage;
  /** So far it was read. */
  readonly end: number;
}

/** A log's file in memory. */
export interface LoadedLog {
  readonly image: SegmentImage;
  /** Everything from here on is zeros. */
  readonly dataEnd: number;
}

/**
 * Reads the first `fileBytes` of a log into an image of `capacityBytes`. Where the file has nothing
 * but zeros, as a log has that was made ahead of time, the image's memory is left untouched: new memory
 * costs several times what reading the file does. What is `begun` is not read again.
 */
export function loadLog(
  file: File,
  fileBytes: number,
  capacityBytes: number,
  begun?: LogBeginning,
): LoadedLog {
  const isBegun = begun?.image.bytes.length === capacityBytes;
  const image = isBegun ? begun.image : new SegmentImage(new SharedArrayBuffer(capacityBytes));
  const end = Math.min(fileBytes, capacityBytes);
  const start = isBegun ? begun.end : 0;
  let aside: Uint8Array<ArrayBuffer> | undefined;
  let dataEnd = lengthWithoutZeros(image.bytes.subarray(0, start));
  let isBlank = dataEnd < start;
  for (let offset = start; offset < end; offset += PIECE_BYTES) {
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

/**
 * Reads a log up to its first blank piece without keeping the thread from other work. `undefined` if it
 * cannot be read so: who then reads it in earnest learns why.
 */
export async function beginLog(
  fs: Fs,
  directory: string,
  segment: number,
): Promise<LogBeginning | undefined> {
  try {
    const path = joinPath(directory, logName(segment));
    using file = fs.open(path);
    const head = new Uint8Array(FILE_HEADER_BYTES);
    const verdict = readFileHeader(head, file.readAt(head, 0), path);
    if (!verdict.ok) return undefined;
    const image = new SegmentImage(new SharedArrayBuffer(verdict.header.capacityBytes));
    const end = Math.min(file.stat().size, image.bytes.length);
    let next = 0;
    let goesOn = true;
    let isWhole = true;
    const lane = async () => {
      while (goesOn && next < end) {
        const piece = image.bytes.subarray(next, Math.min(end, next + PIECE_BYTES));
        const offset = next;
        next += piece.length;
        const got = await file.readAtAsync(piece, offset);
        if (got < piece.length) isWhole = false;
        if (!isWhole || lengthWithoutZeros(piece) === 0) goesOn = false;
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
    if (!isWhole || lanes.some(({ status }) => status === "rejected")) return undefined;
    return { segment, image, end: next };
  } catch {
    return undefined;
  }
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

import { type File, type Fs, joinPath } from "../vfs/mod.ts";
import { type FileHeader, readFileHeader } from "./file_header.ts";
import { logName } from "./file_names.ts";
import { FILE_HEADER_BYTES } from "./format.ts";
import { SegmentImage } from "./image.ts";
import { finishScan, type LogReading, type LogScan, scanInSteps } from "./scan.ts";

/** Read at a time: stays in a processor's cache while it is looked at. */
const PIECE_BYTES = 1024 * 1024;

/** The beginning of a log in memory, whose records were looked at as far as they are in it. */
export interface LogBeginning {
  readonly segment: number;
  readonly image: SegmentImage;
  readonly header: FileHeader;
  /** What is left of the scan; its visitor was told of what came before. */
  readonly steps: Iterator<void, LogScan>;
  readonly reading: LogReading;
}

/** What is told of the records while a log is being read. */
export interface EarlyVisitor {
  /** A put or delete that counts, if the log does. */
  record(image: SegmentImage, segment: number, offset: number, length: number): void;
  /** False if records have to wait. */
  goesOn(): boolean;
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
  const image = begun?.image ?? new SegmentImage(new SharedArrayBuffer(capacityBytes));
  const end = Math.min(fileBytes, capacityBytes);
  const start = begun?.reading.loaded ?? 0;
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
 * Reads a log up to its first blank piece, and looks at the records of one piece while the next is
 * read, without keeping the thread from other work for long. `undefined` if there is no whole header:
 * who then reads it in earnest learns why.
 */
export async function beginLog(
  fs: Fs,
  directory: string,
  segment: number,
  visitor: EarlyVisitor,
): Promise<LogBeginning | undefined> {
  const path = joinPath(directory, logName(segment));
  let begun: LogBeginning | undefined;
  try {
    using file = fs.open(path);
    const head = new Uint8Array(FILE_HEADER_BYTES);
    const verdict = readFileHeader(head, file.readAt(head, 0), path);
    if (!verdict.ok) return undefined;
    const { header } = verdict;
    const image = new SegmentImage(new SharedArrayBuffer(header.capacityBytes));
    const visit = (offset: number, length: number) =>
      visitor.record(image, segment, offset, length);
    const reading: LogReading = { loaded: 0, dataEnd: undefined };
    const steps = new EarlySteps(scanInSteps(image, header, path, visit, reading));
    begun = { segment, image, header, steps, reading };
    await readAndLook(file, image.bytes, reading, steps, visitor);
  } catch {
    // Who goes on from here meets it again, or need not.
  }
  return begun;
}

/** Looks at the rest of a log that was begun, and has been loaded whole. */
export function finishLog({ reading, steps }: LogBeginning, dataEnd: number): LogScan {
  reading.dataEnd = dataEnd;
  return finishScan(steps);
}

async function readAndLook(
  file: File,
  bytes: Uint8Array,
  reading: LogReading,
  steps: EarlySteps,
  visitor: EarlyVisitor,
): Promise<void> {
  const end = Math.min(file.stat().size, bytes.length);
  // What cannot be read is read again by who then learns why; so is all from there on.
  const read = async (piece: Uint8Array) =>
    await file.readAtAsync(piece, reading.loaded).catch(() => 0);
  let piece = bytes.subarray(0, Math.min(end, PIECE_BYTES));
  for (let coming = read(piece); piece.length > 0;) {
    const got = await coming;
    reading.loaded += got;
    const goesOn = got === piece.length && lengthWithoutZeros(piece) > 0 && visitor.goesOn();
    const { loaded } = reading;
    piece = bytes.subarray(loaded, goesOn ? Math.min(end, loaded + PIECE_BYTES) : loaded);
    if (piece.length > 0) coming = read(piece);
    steps.look();
  }
}

/** Steps of a scan that was begun before anyone asked for it: what it threw is thrown to who asks. */
class EarlySteps implements Iterator<void, LogScan> {
  readonly #steps: Iterator<void, LogScan>;
  #last: IteratorResult<void, LogScan> | undefined;
  #error: { readonly thrown: unknown } | undefined;

  constructor(steps: Iterator<void, LogScan>) {
    this.#steps = steps;
  }

  /** Looks at the records that were read, unless the scan has ended. */
  look(): void {
    if (this.#last?.done === true || this.#error !== undefined) return;
    try {
      this.#last = this.#steps.next();
    } catch (thrown) {
      this.#error = { thrown };
    }
  }

  next(): IteratorResult<void, LogScan> {
    this.look();
    if (this.#error !== undefined) throw this.#error.thrown;
    return this.#last!;
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

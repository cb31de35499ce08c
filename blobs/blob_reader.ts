import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import { type File, type Fs, joinPath } from "../vfs/mod.ts";
import { joinWords } from "../wal/mod.ts";
import type { BlobReference } from "./blob_reference.ts";
import {
  BLOB_HEADER_BYTES,
  BLOB_MAGIC,
  BLOB_TRAILER_BYTES,
  BLOB_VERSION,
  blobFileBytes,
  BlobHeader,
  blobName,
  BlobTrailer,
  PIECE_BYTES,
  piecesOf,
  TABLE_ENTRY_BYTES,
  TRAILER_MAGIC,
} from "./format.ts";

/**
 * Reads a blob file that a record points at. Opening reads header, table and trailer, and makes sure
 * that it is the very file that the record means; each piece of the value is verified on its own.
 */
export class BlobReader implements Disposable {
  /** Path of the file. */
  readonly path: string;
  /** Length of the value in bytes. */
  readonly length: number;
  readonly #file: File;
  readonly #table: Uint32Array;
  readonly #salt: number;
  /** Asynchronous reads under way. */
  #reading = 0;
  #closing = false;

  private constructor(file: File, table: Uint32Array, { length, salt }: BlobReference) {
    this.path = file.path;
    this.length = length;
    this.#file = file;
    this.#table = table;
    this.#salt = salt;
  }

  /** Opens the file that `reference` points at. Throws `CORRUPT` or `NEWER_FORMAT` if it is missing or cannot be trusted. */
  static open(
    fs: Fs,
    directory: string,
    storeId: Uint8Array,
    reference: BlobReference,
  ): BlobReader {
    const path = joinPath(directory, blobName(reference.number));
    const file = openFile(fs, path);
    try {
      checkHeader(file, storeId, reference);
      return new BlobReader(file, readTable(file, reference), reference);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /**
   * Fills `into` with the value from `offset` on. Both must be so that whole pieces are read: then all
   * that is read is verified. Throws `CORRUPT` with the offset in the file.
   */
  readAt(into: Uint8Array, offset: number): void {
    this.#verify(into, offset, this.#file.readAt(into, BLOB_HEADER_BYTES + offset));
  }

  /** As `readAt`, without blocking the thread. */
  async readAtAsync(into: Uint8Array, offset: number): Promise<void> {
    this.#reading++;
    try {
      this.#verify(into, offset, await this.#file.readAtAsync(into, BLOB_HEADER_BYTES + offset));
    } finally {
      this.#reading--;
      if (this.#closing) this.close();
    }
  }

  /** Closes the file, as soon as no read is under way. Idempotent. */
  close(): void {
    this.#closing = true;
    if (this.#reading === 0) this.#file.close();
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #verify(bytes: Uint8Array, offset: number, got: number): void {
    if (got < bytes.length) {
      throw corruptBlob(this.path, BLOB_HEADER_BYTES + offset + got, "it ends here");
    }
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      if (crc32(piece, this.#salt) === this.#table[(offset + at) / PIECE_BYTES]) continue;
      const where = BLOB_HEADER_BYTES + offset + at;
      throw corruptBlob(
        this.path,
        where,
        `a piece of ${piece.length} bytes does not match its checksum`,
      );
    }
  }
}

/** A blob file that is not what its record says. */
export function corruptBlob(path: string, offset: number, found: string): FlagstoneError {
  return new FlagstoneError(
    "CORRUPT",
    `Cannot read a large value from ${path} at offset ${offset}: ${found}. The file was damaged ` +
      `after it was written; restore it from a copy. Other keys are not affected.`,
    { path, offset },
  );
}

function openFile(fs: Fs, path: string): File {
  try {
    return fs.open(path);
  } catch (error) {
    if (!(error instanceof FlagstoneError) || error.code !== "NOT_FOUND") throw error;
    throw corruptBlob(path, 0, "the file is missing");
  }
}

function checkHeader(
  file: File,
  storeId: Uint8Array,
  { number, length, salt }: BlobReference,
): void {
  const { path } = file;
  const fileBytes = file.stat().size;
  const header = new Uint8Array(BLOB_HEADER_BYTES);
  file.readAt(header, 0);
  const view = new DataView(header.buffer);
  const checksum = crc32(header.subarray(0, BlobHeader.checksum));
  const known = BLOB_MAGIC.every((byte, i) => header[i] === byte);
  if (!known || view.getUint32(BlobHeader.checksum, true) !== checksum) {
    throw corruptBlob(path, 0, "its header does not match its checksum");
  }
  const version = view.getUint32(BlobHeader.version, true);
  if (version > BLOB_VERSION) {
    throw new FlagstoneError(
      "NEWER_FORMAT",
      `Cannot read ${path}: it has format version ${version}, this Flagstone knows up to ` +
        `${BLOB_VERSION}. Open the store with a newer Flagstone.`,
      { path, offset: BlobHeader.version },
    );
  }
  const ours = storeId.every((byte, i) => header[BlobHeader.storeId + i] === byte);
  if (!ours) throw corruptBlob(path, BlobHeader.storeId, "it is of another store");
  const its = joinWords(
    view.getUint32(BlobHeader.number, true),
    view.getUint32(BlobHeader.number + 4, true),
  );
  if (
    its !== number || checksum !== salt ||
    view.getUint32(BlobHeader.pieceBytes, true) !== PIECE_BYTES
  ) {
    throw corruptBlob(path, 0, `it is not the file that the record means, but number ${its}`);
  }
  if (fileBytes !== blobFileBytes(length)) {
    const offset = Math.min(fileBytes, blobFileBytes(length));
    const found = `the file has ${fileBytes} bytes and should have ${blobFileBytes(length)}`;
    throw corruptBlob(path, offset, found);
  }
}

/** The checksums of the pieces. */
function readTable(file: File, { length, tableChecksum, salt }: BlobReference): Uint32Array {
  const { path } = file;
  const tableBytes = piecesOf(length) * TABLE_ENTRY_BYTES;
  const tableAt = BLOB_HEADER_BYTES + length;
  const end = new Uint8Array(tableBytes + BLOB_TRAILER_BYTES);
  file.readAt(end, tableAt);
  if (crc32(end.subarray(0, tableBytes), salt) !== tableChecksum) {
    throw corruptBlob(path, tableAt, "its table of checksums does not match its own");
  }
  const trailer = end.subarray(tableBytes);
  const view = new DataView(trailer.buffer, trailer.byteOffset);
  const whole = TRAILER_MAGIC.every((byte, i) => trailer[i] === byte) &&
    view.getUint32(BlobTrailer.checksum, true) ===
      crc32(trailer.subarray(0, BlobTrailer.checksum), salt);
  const { length: at } = BlobTrailer;
  const its = joinWords(view.getUint32(at, true), view.getUint32(at + 4, true));
  if (
    !whole || its !== length || view.getUint32(BlobTrailer.tableChecksum, true) !== tableChecksum
  ) {
    throw corruptBlob(path, tableAt + tableBytes, "its trailer does not match its checksum");
  }
  return new Uint32Array(end.buffer, 0, piecesOf(length));
}

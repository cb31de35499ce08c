import { crc32 } from "node:zlib";
import { type File, type Fs, joinPath } from "../vfs/mod.ts";
import { highWord, lowWord } from "../wal/mod.ts";
import type { BlobReference } from "./blob_reference.ts";
import {
  BLOB_HEADER_BYTES,
  BLOB_MAGIC,
  BLOB_TRAILER_BYTES,
  BLOB_VERSION,
  BlobHeader,
  blobName,
  BlobTrailer,
  PIECE_BYTES,
  TABLE_ENTRY_BYTES,
  TRAILER_MAGIC,
} from "./format.ts";

/** One call of the system writes so much at most. */
const WRITE_BYTES = 16 * 1024 * 1024;

/** Writes one blob file, from its beginning to its end. Its calls block: see `BlobWriter`. */
export class BlobFileWriter {
  readonly #fs: Fs;
  readonly #file: File;
  readonly #number: number;
  readonly #salt: number;
  /** Checksums of whole pieces. */
  #table = new Uint32Array(64);
  #pieces = 0;
  /** Checksum of what there is of the piece that is not whole yet. */
  #checksum: number;
  #length = 0;

  private constructor(fs: Fs, file: File, number: number, salt: number) {
    this.#fs = fs;
    this.#file = file;
    this.#number = number;
    this.#salt = salt;
    this.#checksum = salt;
  }

  /** Creates file `number` in `directory`, for the store `storeId`. Leaves nothing if it throws. */
  static create(fs: Fs, directory: string, number: number, storeId: Uint8Array): BlobFileWriter {
    const header = encodeHeader(number, storeId);
    const salt = new DataView(header.buffer).getUint32(BlobHeader.checksum, true);
    const writer = new BlobFileWriter(
      fs,
      fs.create(joinPath(directory, blobName(number))),
      number,
      salt,
    );
    try {
      writer.#file.writeAt(header, 0);
    } catch (error) {
      writer.abort();
      throw error;
    }
    return writer;
  }

  /** Writes more of the value. */
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += WRITE_BYTES) {
      const part = bytes.subarray(at, at + WRITE_BYTES);
      this.#count(part);
      this.#file.writeAt(part, BLOB_HEADER_BYTES + this.#length);
      this.#length += part.length;
    }
  }

  /** Writes table and trailer, makes the content durable, and closes the file. Its name is not durable yet. */
  finish(): BlobReference {
    if (this.#length % PIECE_BYTES > 0) this.#endPiece();
    const table = new Uint8Array(this.#table.buffer, 0, this.#pieces * TABLE_ENTRY_BYTES);
    const tableChecksum = crc32(table, this.#salt);
    const tableAt = BLOB_HEADER_BYTES + this.#length;
    this.#file.writeAt(table, tableAt);
    const trailer = encodeTrailer(this.#length, tableChecksum, this.#salt);
    this.#file.writeAt(trailer, tableAt + table.length);
    this.#file.sync();
    this.#file.close();
    return { number: this.#number, length: this.#length, tableChecksum, salt: this.#salt };
  }

  /** Closes the file and removes it, as far as that can be done; the next open of the store removes what stays. */
  abort(): void {
    try {
      this.#file.close();
      this.#fs.removeAll(this.#file.path);
    } catch {
      // What went wrong before is what the caller must hear.
    }
  }

  #count(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const inPiece = (this.#length + at) % PIECE_BYTES;
      const part = bytes.subarray(at, at + PIECE_BYTES - inPiece);
      this.#checksum = crc32(part, this.#checksum);
      at += part.length;
      if (inPiece + part.length === PIECE_BYTES) this.#endPiece();
    }
  }

  #endPiece(): void {
    if (this.#pieces === this.#table.length) {
      const larger = new Uint32Array(2 * this.#pieces);
      larger.set(this.#table);
      this.#table = larger;
    }
    this.#table[this.#pieces++] = this.#checksum;
    this.#checksum = this.#salt;
  }
}

function encodeHeader(number: number, storeId: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(BLOB_HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(BLOB_MAGIC);
  view.setUint32(BlobHeader.version, BLOB_VERSION, true);
  view.setUint32(BlobHeader.headerBytes, BLOB_HEADER_BYTES, true);
  header.set(storeId, BlobHeader.storeId);
  view.setUint32(BlobHeader.number, lowWord(number), true);
  view.setUint32(BlobHeader.number + 4, highWord(number), true);
  crypto.getRandomValues(header.subarray(BlobHeader.nonce, BlobHeader.pieceBytes));
  view.setUint32(BlobHeader.pieceBytes, PIECE_BYTES, true);
  view.setUint32(BlobHeader.checksum, crc32(header.subarray(0, BlobHeader.checksum)), true);
  return header;
}

function encodeTrailer(
  length: number,
  tableChecksum: number,
  salt: number,
): Uint8Array<ArrayBuffer> {
  const trailer = new Uint8Array(BLOB_TRAILER_BYTES);
  const view = new DataView(trailer.buffer);
  trailer.set(TRAILER_MAGIC);
  view.setUint32(BlobTrailer.length, lowWord(length), true);
  view.setUint32(BlobTrailer.length + 4, highWord(length), true);
  view.setUint32(BlobTrailer.tableChecksum, tableChecksum, true);
  const checksum = crc32(trailer.subarray(0, BlobTrailer.checksum), salt);
  view.setUint32(BlobTrailer.checksum, checksum, true);
  return trailer;
}

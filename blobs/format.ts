/**
 * The numbers of the files that hold one large value each, shared by whoever writes and whoever reads
 * them. docs/FORMAT.md explains each.
 */
import { STORE_ID_BYTES } from "../wal/mod.ts";

/** Version of the format that this code writes, and the newest that it reads. */
export const BLOB_VERSION = 1;

/** First eight bytes of the file, and first eight of its trailer. */
export const BLOB_MAGIC: Uint8Array = new TextEncoder().encode("FLAGBLOB");
/** See {@linkcode BLOB_MAGIC}. */
export const TRAILER_MAGIC: Uint8Array = new TextEncoder().encode("FLAGBEND");

/** Offsets in the header. */
export const BlobHeader = {
  version: 8,
  headerBytes: 12,
  storeId: 16,
  number: 16 + STORE_ID_BYTES,
  nonce: 40,
  pieceBytes: 48,
  zero: 52,
  checksum: 60,
} as const;
/** Length of the header; the value follows. */
export const BLOB_HEADER_BYTES = 64;

/** Each so many bytes of the value, from its beginning, have a checksum of their own. */
export const PIECE_BYTES = 256 * 1024;
/** What the table has for each piece: its checksum. */
export const TABLE_ENTRY_BYTES = 4;

/** Offsets in the trailer: the last bytes of the file, behind the table. */
export const BlobTrailer = {
  length: 8,
  tableChecksum: 16,
  zero: 20,
  checksum: 28,
} as const;
/** Length of the trailer. */
export const BLOB_TRAILER_BYTES = 32;

/** Number of pieces of a value of `length` bytes. */
export function piecesOf(length: number): number {
  return Math.ceil(length / PIECE_BYTES);
}

/** Length of the file of a value of `length` bytes. */
export function blobFileBytes(length: number): number {
  return BLOB_HEADER_BYTES + length + piecesOf(length) * TABLE_ENTRY_BYTES + BLOB_TRAILER_BYTES;
}

const NAME = /^(\d{10,16})\.blob$/;

/** Name of blob file `number`: its number in at least ten digits, and `.blob`. */
export function blobName(number: number): string {
  return `${String(number).padStart(10, "0")}.blob`;
}

/** The number that a file name stands for, or `undefined` for other names. */
export function parseBlobName(name: string): number | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const number = Number(match[1]);
  return Number.isSafeInteger(number) && blobName(number) === name ? number : undefined;
}

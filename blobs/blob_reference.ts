import { highWord, joinWords, lowWord } from "../wal/mod.ts";

/** What a record has instead of a value: which file holds it, and how to know it again. */
export interface BlobReference {
  /** Number of the file, which is in its name. */
  readonly number: number;
  /** Length of the value in bytes. */
  readonly length: number;
  /** Checksum of the table of checksums at the file's end. */
  readonly tableChecksum: number;
  /** Checksum of the file's header, in which a nonce is: no other file has it. */
  readonly salt: number;
}

/** Length of a reference in a record: number u64, length u64, checksum of the table u32, salt u32. */
export const BLOB_REFERENCE_BYTES = 8 + 8 + 4 + 4;

/** The bytes of a reference. */
export function encodeBlobReference(reference: BlobReference): Uint8Array<ArrayBuffer> {
  const { number, length, tableChecksum, salt } = reference;
  const words = new Uint32Array([
    lowWord(number),
    highWord(number),
    lowWord(length),
    highWord(length),
    tableChecksum,
    salt,
  ]);
  return new Uint8Array(words.buffer);
}

/** The reference that `bytes` are; `undefined` if they cannot be one. */
export function decodeBlobReference(bytes: Uint8Array): BlobReference | undefined {
  if (bytes.length !== BLOB_REFERENCE_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const u32 = (at: number) => view.getUint32(at, true);
  const number = joinWords(u32(0), u32(4));
  const length = joinWords(u32(8), u32(12));
  if (!Number.isSafeInteger(number) || !Number.isSafeInteger(length)) return undefined;
  return { number, length, tableChecksum: u32(16), salt: u32(20) };
}

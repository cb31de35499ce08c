import { crc32 } from "node:zlib";
import { FlagstoneError } from "../errors/mod.ts";
import {
  FILE_HEADER_BYTES,
  FILE_MAGIC_HIGH,
  FILE_MAGIC_LOW,
  FORMAT_VERSION,
  highWord,
  joinWords,
  MAX_SEGMENT_BYTES,
} from "./format.ts";
import type { SegmentImage } from "./image.ts";

/** Bytes of the identity of a store. */
export const STORE_ID_BYTES = 16;

/** What the first 64 bytes of a log or segment say. */
export interface FileHeader {
  /** Number of the segment; files are named by it and replayed in its order. */
  readonly segment: number;
  /** Length of the slab: records end at or before this offset. */
  readonly capacityBytes: number;
  /** Identity of the store, 16 bytes. */
  readonly storeId: Uint8Array;
  /** Sequence numbers of the segment's own records are above this. */
  readonly baseSequence: number;
  /** Of a compacted segment: the newest segment of which it has records. 0: a log, or what became of one. */
  readonly upTo: number;
  /** The header's checksum; every record of the segment is checksummed with it as seed. */
  readonly salt: number;
}

const NONCE_OFFSET = 48;
const CHECKSUM_OFFSET = FILE_HEADER_BYTES - 4;

/**
 * Writes the header into the first 64 bytes of `image` and returns its salt. A random nonce is part
 * of it: two segments never share a salt by design, whatever their number.
 */
export function writeFileHeader(
  image: SegmentImage,
  header: Omit<FileHeader, "salt" | "upTo"> & { readonly upTo?: number },
): number {
  const { words, bytes } = image;
  words[0] = FILE_MAGIC_LOW;
  words[1] = FILE_MAGIC_HIGH;
  words[2] = FORMAT_VERSION;
  words[3] = FILE_HEADER_BYTES;
  words[4] = header.segment;
  words[5] = header.capacityBytes;
  bytes.set(header.storeId, 24);
  words[10] = header.baseSequence | 0;
  words[11] = highWord(header.baseSequence);
  bytes.set(crypto.getRandomValues(new Uint8Array(8)), NONCE_OFFSET);
  words[14] = header.upTo ?? 0;
  words[15] = crc32(bytes.subarray(0, CHECKSUM_OFFSET)) | 0;
  return words[15];
}

/** What {@linkcode readFileHeader} found. */
export type HeaderVerdict =
  | { readonly ok: true; readonly header: FileHeader }
  | { readonly ok: false; readonly reason: "blank" | "damaged" };

/**
 * Reads the header at the start of `bytes`, of which `available` came from the file. `blank` means
 * that there is none: the file is shorter than a header or the header is all zeros. A header of a
 * later format throws `NEWER_FORMAT`.
 */
export function readFileHeader(bytes: Uint8Array, available: number, path: string): HeaderVerdict {
  if (available < FILE_HEADER_BYTES) return { ok: false, reason: "blank" };
  const head = bytes.slice(0, FILE_HEADER_BYTES);
  const words = new Int32Array(head.buffer);
  if (words.every((word) => word === 0)) return { ok: false, reason: "blank" };
  const magic = words[0] === FILE_MAGIC_LOW && words[1] === FILE_MAGIC_HIGH;
  const salt = crc32(head.subarray(0, CHECKSUM_OFFSET)) | 0;
  if (!magic || words[15] !== salt) return { ok: false, reason: "damaged" };
  if (words[2]! > FORMAT_VERSION) {
    throw new FlagstoneError(
      "NEWER_FORMAT",
      `Cannot read ${path}: it has format version ${words[2]}, this Flagstone knows up to ` +
        `${FORMAT_VERSION}. Open the store with a newer Flagstone.`,
      { path, offset: 8 },
    );
  }
  const capacityBytes = words[5]!;
  if (
    words[3] !== FILE_HEADER_BYTES || capacityBytes < FILE_HEADER_BYTES ||
    capacityBytes > MAX_SEGMENT_BYTES || capacityBytes % 8 !== 0
  ) {
    return { ok: false, reason: "damaged" };
  }
  return {
    ok: true,
    header: {
      segment: words[4]! >>> 0,
      capacityBytes,
      storeId: head.slice(24, 24 + STORE_ID_BYTES),
      baseSequence: joinWords(words[10]!, words[11]!),
      upTo: words[14]! >>> 0,
      salt,
    },
  };
}

import { Buffer } from "node:buffer";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Codec } from "./codec.ts";

/** Room beside the content: so one piece is enough, and one byte too many shows. */
const SPARE_BYTES = 64;
/** Largest piece of output that is allocated at once, before the frame has shown that it has so much. */
const MAX_CHUNK_BYTES = 1024 * 1024;

/** Zstandard, as the runtime has it. Level 1: about 900 MB/s, level 3: half of that. */
export const zstd: Codec = {
  name: "zstd",
  id: 1,
  levels: { least: 1, most: 19, usual: 1 },
  compress(raw, level, maxBytes) {
    if (maxBytes < 1) return undefined;
    try {
      return zstdCompressSync(raw, {
        params: { [constants.ZSTD_c_compressionLevel]: level },
        chunkSize: Math.max(SPARE_BYTES, Math.min(maxBytes, MAX_CHUNK_BYTES)),
        maxOutputLength: maxBytes,
      });
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  },
  decompress(compressed, rawBytes) {
    const content = zstdDecompressSync(compressed, {
      chunkSize: Math.min(rawBytes + SPARE_BYTES, MAX_CHUNK_BYTES),
      maxOutputLength: rawBytes + 1,
    });
    if (content.length !== rawBytes) {
      throw new RangeError(`a zstd frame of ${content.length} bytes, not ${rawBytes}`);
    }
    return ownBytes(content);
  },
};

/** A plain array, which does not keep more memory alive than its content needs. */
function ownBytes(content: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = content;
  if (buffer instanceof ArrayBuffer && buffer.byteLength - length <= 4096) {
    return new Uint8Array(buffer, byteOffset, length);
  }
  return new Uint8Array(content);
}

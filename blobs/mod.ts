/**
 * Blob files: each holds one large value, checksummed in pieces.
 *
 * ```ts
 * import { MemFs } from "../vfs/mod.ts";
 * import { BlobReader, BlobWriter } from "./mod.ts";
 * const fs = new MemFs();
 * const storeId = new Uint8Array(16);
 * const writer = new BlobWriter({ fs, directory: "/", storeId, idleMs: 100, stallTimeoutMs: 1000 });
 * const file = writer.begin(7);
 * await file.append(new Uint8Array(1_000_000));
 * const reference = await file.finish();
 * using reader = BlobReader.open(fs, "/", storeId, reference);
 * console.assert(reader.length === 1_000_000);
 * ```
 * @module
 */
export * from "./blob_reader.ts";
export * from "./blob_reference.ts";
export * from "./blob_writer.ts";
export { blobFileBytes, blobName, parseBlobName, PIECE_BYTES } from "./format.ts";

/**
 * Codecs: how values are made smaller, what a stored value looks like, and the thread for large ones.
 *
 * ```ts
 * import { compressValue, valueHeader, zstd } from "./mod.ts";
 * const stored = compressValue(zstd, new Uint8Array(1000), 1)!;
 * console.assert(valueHeader(stored).rawBytes === 1000);
 * ```
 * @module
 */
export * from "./codec.ts";
export * from "./codec_worker.ts";
export * from "./value.ts";
export { zstd } from "./zstd.ts";

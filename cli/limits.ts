/** Most bytes that a value may have. */
export const MAX_VALUE_BYTES = 1024 * 1024 * 1024;
/** Bytes of files that are in memory at once, unless a single file has more. */
export const MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024;
/** Files under way at once, unless told otherwise. */
export const DEFAULT_CONCURRENCY = 64;

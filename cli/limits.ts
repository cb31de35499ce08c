/** Files with more bytes than this are streamed; others are read at once. */
export const STREAMED_BYTES = 8 * 1024 * 1024;
/** What a file that is streamed takes of the memory for all. */
export const STREAM_MEMORY_BYTES = 32 * 1024 * 1024;
/** Bytes of files that are in memory at once, unless a single file has more. */
export const MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024;
/** Files under way at once, unless told otherwise. */
export const DEFAULT_CONCURRENCY = 64;

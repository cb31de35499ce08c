/** Longest value, in bytes: 1 GiB. A batch may hold that much in all. */
export const MAX_VALUE_BYTES = 1024 * 1024 * 1024;

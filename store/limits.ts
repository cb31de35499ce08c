/** Most bytes that a batch may have in all, and a value in it: 1 GiB. */
export const MAX_BATCH_BYTES = 1024 * 1024 * 1024;
/** A value whose record would take more space than this goes to a file of its own, however large slabs are. */
export const MAX_RECORD_SPACE = 16 * 1024 * 1024;

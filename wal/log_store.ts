/**
 * The longest that a log store can get, in bytes: every position, and every offset in a file that
 * follows from one, is exact as a number.
 */
export const MAX_LOG_LENGTH: number = 2 ** 53 - 2 ** 12;

/**
 * The bytes under a log: a growing array with positioned reads and writes, a barrier that makes
 * them durable, and two ends that can be cut.
 *
 * A **position** counts bytes from the log's very first one and is kept for life: dropping a prefix
 * renumbers nothing. What there is lies from {@linkcode head} up to {@linkcode length}.
 *
 * **Durability.** What was written before a `sync` that returned survives a crash. Of what was
 * written after it, any part may survive, in any order, the rest reads as zeros; and `length` may
 * be more than was ever written, for stores make their files longer ahead of time: that rest reads
 * as zeros too. So a log marks its records such that it finds its own end, and cuts the store there
 * with `truncate` before it writes on. After a `close`, without a crash, `length` is exact.
 *
 * **Failure.** The first failure of a call that changes or syncs is thrown as `WRITE_FAILED`, with
 * the error of the file system as `cause`; from then on every such call throws that same error,
 * for nobody can tell what of the unsynced bytes the disk has: after a failed sync the system
 * shows bytes that it may never write. Reads go on. The way out is to close the store, open it
 * again, and write once more what no earlier sync is known to cover.
 *
 * Calls are synchronous. A store belongs to one thread. Wrong arguments throw `ArgumentError`, a
 * closed store throws `CLOSED`; nothing has changed then.
 */
export interface LogStore extends Disposable {
  /** Where the log begins: the first position that is kept. Never goes down. */
  readonly head: number;

  /** Where the log ends: the position after its last byte. Never below `head`. */
  readonly length: number;

  /**
   * Writes all of `bytes` at `position`, over what is there. A gap between the old `length` and
   * `position` reads as zeros; no bytes write nothing, and leave no gap. Durable with the next
   * `sync`. One write call for each file concerned.
   *
   * Throws `ArgumentError` where `position` lies before `head` or the end beyond
   * {@linkcode MAX_LOG_LENGTH}; `WRITE_FAILED` when it fails: then any part may have been written.
   */
  writeAt(bytes: Uint8Array, position: number): void;

  /** Writes all of `parts`, one after another from `position` on, as one `writeAt` of them joined. */
  writeVectorAt(parts: readonly Uint8Array[], position: number): void;

  /**
   * Reads from `position` on and returns the bytes read: fewer than asked only at the end of the
   * log, 0 at the end or beyond.
   *
   * Throws `ArgumentError` where `position` lies before `head`; `CORRUPT` where a file has lost
   * bytes that the log has; else what the file system throws. A failed read changes nothing.
   */
  readAt(into: Uint8Array, position: number): number;

  /**
   * Cuts the log at `length`. Durable when it returns: none of the bytes that were there can come
   * back between those that are written next. What lies before and was not synced still is not.
   *
   * Throws `ArgumentError` unless `length` is from `head` to the present length; `WRITE_FAILED`
   * when it fails: then the log, when it is opened again, ends somewhere from `length` on.
   */
  truncate(length: number): void;

  /**
   * Makes durable all that was written, wherever and in whichever order; also the names of the
   * files. Throws `WRITE_FAILED` when it fails: then nothing written since the last sync can be
   * relied on, and no later call will say otherwise.
   */
  sync(): void;

  /**
   * Drops what lies before `position`, as far as the store can, and returns the real `head`: at
   * most `position`, and durable. Says nothing about the rest: what was not synced still is not.
   *
   * Throws `ArgumentError` unless `position` is at most `length` (below `head` it changes nothing);
   * where it fails before anything has changed, for want of space maybe, what the file system
   * throws; else `WRITE_FAILED`: the head, when it is opened again, is the old or the new one.
   */
  truncateBefore(position: number): number;

  /**
   * Closes the files and gives up the lock, without any sync. Idempotent. Does all of it even if a
   * part fails, then throws the first error.
   */
  close(): void;
}

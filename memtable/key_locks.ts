/** Number of locks: a key's lock is the low byte of its hash. */
export const KEY_LOCKS = 256;

/**
 * Locks over keys, 256 of them, one word each in shared memory. Whoever changes the newest record
 * of a key holds its lock from the moment that the record's place in the log is taken until the
 * index points to it, so that log and index agree on which came last.
 *
 * A write that can be done at once takes its lock with {@linkcode tryAcquire} and gives it back in
 * the same turn. One that must wait (for memory, for a user's function) awaits
 * {@linkcode acquire}; locks are granted in the order of asking. Several locks are acquired in
 * ascending order, which cannot deadlock.
 */
export class KeyLocks {
  readonly #words: Int32Array;
  readonly #waiting = new Map<number, (() => void)[]>();
  #contended = 0;

  /** Makes free locks. */
  constructor() {
    this.#words = new Int32Array(new SharedArrayBuffer(KEY_LOCKS * 4));
  }

  /** How often a lock was waited for. */
  get contended(): number {
    return this.#contended;
  }

  /** Takes lock `lock` if it is free. */
  tryAcquire(lock: number): boolean {
    return Atomics.compareExchange(this.#words, lock, 0, 1) === 0;
  }

  /** Takes lock `lock`, after all who asked before. */
  acquire(lock: number): Promise<void> {
    if (this.tryAcquire(lock)) return Promise.resolve();
    this.#contended++;
    const { promise, resolve } = Promise.withResolvers<void>();
    const queue = this.#waiting.get(lock);
    if (queue === undefined) this.#waiting.set(lock, [resolve]);
    else queue.push(resolve);
    return promise;
  }

  /** Gives lock `lock` up: to who waits first, or free. */
  release(lock: number): void {
    const queue = this.#waiting.size === 0 ? undefined : this.#waiting.get(lock);
    if (queue === undefined) {
      Atomics.store(this.#words, lock, 0);
      return;
    }
    const next = queue.shift()!;
    if (queue.length === 0) this.#waiting.delete(lock);
    next();
  }
}

/** Number of lock words: a key's word is that of the low byte of its hash. */
export const KEY_LOCKS = 256;

/**
 * Locks over keys. Whoever changes the newest record of a key holds its lock from the moment that
 * the record's place in the log is taken until the index points to it, so that log and index agree
 * on which came last.
 *
 * There are 256 words in shared memory. A write that can be done at once takes its key's word with
 * {@linkcode tryAcquire} and gives it back in the same turn. One that must wait (for memory, for a
 * user's function) awaits {@linkcode acquire}: then the key itself is locked, other keys of the same
 * word are not, and the word counts who holds or waits, so that nobody takes the fast way past them.
 * A key is granted in the order of asking. Who needs several keys asks for all of them in one turn:
 * then all are granted in one order, which cannot deadlock.
 */
export class KeyLocks {
  readonly #words: Int32Array;
  /** Of each locked key, who waits for it. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #contended = 0;

  /** Makes free locks. */
  constructor() {
    this.#words = new Int32Array(new SharedArrayBuffer(KEY_LOCKS * 4));
  }

  /** How often a key was waited for. */
  get contended(): number {
    return this.#contended;
  }

  /** Takes word `lock` if nobody holds or waits for a key of it. */
  tryAcquire(lock: number): boolean {
    return Atomics.compareExchange(this.#words, lock, 0, 1) === 0;
  }

  /** Gives back what `tryAcquire` took. */
  release(lock: number): void {
    Atomics.sub(this.#words, lock, 1);
  }

  /** Locks `key`, whose word is `lock`, after all who asked before. */
  acquire(lock: number, key: string): Promise<void> {
    Atomics.add(this.#words, lock, 1);
    const queue = this.#waiting.get(key);
    if (queue === undefined) {
      this.#waiting.set(key, []);
      return Promise.resolve();
    }
    this.#contended++;
    const { promise, resolve } = Promise.withResolvers<void>();
    queue.push(resolve);
    return promise;
  }

  /** Gives `key` up: to who waits first, or free. */
  releaseKey(lock: number, key: string): void {
    Atomics.sub(this.#words, lock, 1);
    const queue = this.#waiting.get(key)!;
    const next = queue.shift();
    if (next === undefined) this.#waiting.delete(key);
    else next();
  }
}

/**
 * Writers that wait for a slab, served in the order of asking: back-pressure. While anyone waits,
 * later writers queue up behind, so nobody is overtaken for ever.
 */
export class SpaceQueue {
  readonly #waiting: { resolve: () => void; reject: (reason: unknown) => void }[] = [];
  #stalls = 0;
  /** The first in line has been let in, and has not said yet what came of it. */
  #admitted = false;

  /** How many wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** How often a writer had to wait. */
  get stalls(): number {
    return this.#stalls;
  }

  /**
   * Waits for a turn; the caller then tries again, and calls {@linkcode SpaceQueue.done} when it has
   * what it needed. Rejects when the store fails.
   */
  wait(): Promise<void> {
    this.#stalls++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ resolve, reject });
    return promise;
  }

  /** Lets the first in line try, if `available` says that it is worth it. */
  offer(available: () => boolean): void {
    if (!this.#admitted && this.#waiting.length > 0 && available()) this.#admit();
  }

  /** The first in line has what it needed: the next may try. */
  done(): void {
    this.#waiting.shift();
    this.#admitted = false;
    if (this.#waiting.length > 0) this.#admit();
  }

  /** The first in line tried in vain: it waits on, still first. */
  again(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting[0] = { resolve, reject };
    this.#admitted = false;
    return promise;
  }

  /** Rejects all who wait. Who has been let in keeps its place: it will find out by itself. */
  fail(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(this.#admitted ? 1 : 0)) reject(reason);
  }

  #admit(): void {
    this.#admitted = true;
    this.#waiting[0]!.resolve();
  }
}

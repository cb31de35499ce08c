/** Who waits for a position to be durable that need not be that of the newest record. */
export class SyncWaiters {
  #waiters: { position: number; resolve: () => void; reject: (reason: unknown) => void }[] = [];

  /** How many wait. */
  get length(): number {
    return this.#waiters.length;
  }

  /** Waits until all below `position` is durable. */
  wait(position: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ position, resolve, reject });
    return promise;
  }

  /** Everything below `durable` is. */
  settle(durable: number): void {
    if (this.#waiters.length === 0) return;
    const settled = this.#waiters.filter(({ position }) => position <= durable);
    this.#waiters = this.#waiters.filter(({ position }) => position > durable);
    for (const { resolve } of settled) resolve();
  }

  /** Nothing more will be. */
  rejectAll(reason: unknown): void {
    for (const { reject } of this.#waiters.splice(0)) reject(reason);
  }
}

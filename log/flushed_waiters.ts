import { type Control, SlotState, SlotWord } from "../wal/mod.ts";

/** Who waits for sealed slabs to become segments. */
export class FlushedWaiters {
  readonly #control: Control;
  #waiters: { readonly upTo: number; readonly wake: () => void }[] = [];

  /** Looks at the slots of `control`. */
  constructor(control: Control) {
    this.#control = control;
  }

  /** How many sealed slabs, of segments up to `upTo`, are no segments yet. */
  unsealed(upTo = Infinity): number {
    const control = this.#control;
    let count = 0;
    for (let slot = 0; slot < control.slots; slot++) {
      const state = control.get(slot, SlotWord.state);
      if (state !== SlotState.sealed && state !== SlotState.logged) continue;
      if (control.get(slot, SlotWord.segment) >>> 0 <= upTo) count++;
    }
    return count;
  }

  /** Resolves when there may be none left, up to `upTo`, or when there is no point in waiting. */
  wait(upTo: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ upTo, wake: resolve });
    return promise;
  }

  /** Wakes those who have what they wait for; all of them if there is no point in waiting. */
  serve(all: boolean): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (all || this.unsealed(waiter.upTo) === 0) waiter.wake();
      else this.#waiters.push(waiter);
    }
  }
}

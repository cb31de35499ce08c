import assert from "node:assert/strict";
import type { Key, Snapshot, Store } from "../mod.ts";
import { type ModelStates, nameOf } from "./_model.ts";
import { collect, turn } from "./_support.ts";

/** As many keys a job may be about to evict which nobody has counted yet: three slabs of them. */
export const MOST_UNDER_WAY = 30;

/**
 * What a bound changes for a store beside its model: any key may go, at any time. Of each key the store
 * has the newest value or nothing; what was seen to be missing is so until it is put again, whatever
 * crashes. No more go than the store counts.
 */
export class Evictions {
  readonly #states: ModelStates;
  #store!: Store;
  #now!: () => number;
  /** Keys that were seen to have gone since the store was opened. */
  #seen = 0;
  /** As many may have gone in the end of the session before. */
  #carried = 0;

  /** Tells `states` of keys that have gone. */
  constructor(states: ModelStates) {
    this.#states = states;
  }

  /** The store is about to be closed, or to crash: nobody hears of what is evicted meanwhile. */
  ending(): void {
    this.#carried = this.unseen + MOST_UNDER_WAY;
  }

  /** The store was opened. */
  opened(store: Store, now: () => number): void {
    this.#store = store;
    this.#now = now;
    this.#seen = 0;
  }

  /** After the store was opened: all was looked at. */
  lookedAt(): void {
    this.#carried = 0;
    this.#seen = Math.min(this.#seen, this.#evicted);
  }

  /** How many may have been evicted without being seen to be missing. */
  get unseen(): number {
    return this.#evicted + this.#carried - this.#seen;
  }

  get #evicted(): number {
    return this.#store.stats().eviction!.keys;
  }

  /** `key` was seen to be missing. Always true. */
  async went(key: Key): Promise<true> {
    this.#states.gone(key);
    this.#seen++;
    // It is counted when its job is done.
    for (let turns = 0; this.unseen < 0; turns++) {
      assert(
        turns < 1000,
        `${this.#seen} keys are missing, ${this.unseen + this.#seen} were evicted`,
      );
      await turn();
    }
    return true;
  }

  /** Looks which keys `view` does not have. Resolves to whether any have gone. */
  async learn(view: Store | Snapshot): Promise<boolean> {
    this.unseen;
    const there = new Set((await collect(view.list())).map(({ key }) => nameOf(key)));
    const gone = this.#states.present.list(this.#now()).filter(({ key }) =>
      !there.has(nameOf(key))
    );
    for (const { key } of gone) await this.went(key);
    return gone.length > 0;
  }

  /** Does `check` as often as something goes in the midst of it. */
  async agree(check: () => Promise<void>): Promise<void> {
    for (;;) {
      await this.learn(this.#store);
      try {
        return await check();
      } catch (error) {
        if (!await this.learn(this.#store)) throw error;
      }
    }
  }
}

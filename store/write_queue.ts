import type { StoreCore } from "./core.ts";
import { orAborted, throwIfAborted } from "./aborting.ts";
import type { Appended, Appender } from "./appender.ts";
import { checkConditions } from "./conditions.ts";
import { StallEvent } from "./events.ts";
import type { PreparedWrite } from "./pending_writes.ts";
import type { Durability } from "./types.ts";
import { storedWrite } from "./write_arguments.ts";
import { NO_CONDITION, type WriteSettings } from "./write_settings.ts";

/** Writes that cannot be done at once: they wait for their keys, then for space, each in the order of calling. */
export class WriteQueue {
  readonly #core: StoreCore;
  readonly #appender: Appender;

  /** Queues writes of `core`. */
  constructor(core: StoreCore, appender: Appender) {
    this.#core = core;
    this.#appender = appender;
  }

  /**
   * Waits for the keys and for space, then writes, unless `wanted` says, with the keys locked, that
   * there is nothing to do: then it resolves to `undefined`. Values are copied: the caller may reuse
   * its buffers once the call has returned.
   *
   * Readers are shown a write that is sure to come. One that may yet be refused or taken back (it has
   * a condition, or a signal) is seen once it has its place: nobody reads what never was.
   */
  async enqueue(
    called: readonly PreparedWrite[],
    settings: WriteSettings,
    wanted: () => boolean = () => true,
  ): Promise<Appended | undefined> {
    const core = this.#core;
    const { durability, signal } = settings;
    let bytes = 0;
    for (const { space } of called) bytes += space;
    core.pending.admit(bytes);
    const writes = called.map((write): PreparedWrite => {
      const own = write.value === undefined || write.lent !== undefined;
      return { ...write, value: own ? write.value : new Uint8Array(write.value!) };
    });
    const sure = signal === undefined &&
      writes.every(({ condition }) => condition === NO_CONDITION);
    const work = async () => {
      checkConditions(core, writes);
      return wanted() ? await this.appendInTurn(writes, durability, signal) : undefined;
    };
    try {
      return await core.pending.during(
        sure ? writes : [],
        bytes,
        () => this.#locked(writes, signal, work),
      );
    } finally {
      giveBack(writes);
    }
  }

  /** With the keys locked: waits for compressed values, then for space behind those who wait already. */
  async appendInTurn(
    writes: readonly PreparedWrite[],
    durability: Durability,
    signal: AbortSignal | undefined,
  ): Promise<Appended> {
    const core = this.#core;
    const { space } = core.log;
    for (const write of writes) {
      if (write.lent === undefined) continue;
      const stored = await orAborted(write.lent.stored, signal, () => {});
      // In place: readers are shown this very object.
      if (stored !== undefined) Object.assign(write, storedWrite(write, stored));
    }
    if (core.log.failure !== undefined) throw core.log.failure;
    throwIfAborted(signal);
    if (space.length === 0) {
      const appended = this.#appender.append(writes, durability);
      if (appended !== undefined) return appended;
    }
    if (space.length === 0) {
      const { calls, bytes } = core.pending;
      core.events.emit("stall", () => new StallEvent(calls, bytes));
    }
    let turn = space.wait();
    core.log.ring();
    for (;;) {
      // Who was aborted keeps its place in the queue, and passes its turn on when that comes.
      await orAborted(turn, signal, () => space.done());
      try {
        if (core.log.failure !== undefined) throw core.log.failure;
        throwIfAborted(signal);
        const appended = this.#appender.append(writes, durability);
        if (appended !== undefined) {
          space.done();
          return appended;
        }
      } catch (error) {
        space.done();
        throw error;
      }
      turn = space.again();
    }
  }

  /** Does `work` with the keys of `writes` locked. All are asked for in this turn: see `KeyLocks`. */
  async #locked<T>(
    writes: readonly PreparedWrite[],
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const { locks } = this.#core;
    const keys = new Map(writes.map(({ fingerprint, lock }) => [fingerprint, lock]));
    const asked = Array.from(keys, async ([key, lock]) => {
      await orAborted(locks.acquire(lock, key), signal, () => locks.releaseKey(lock, key));
      return { key, lock };
    });
    const granted = await Promise.allSettled(asked);
    try {
      for (const one of granted) if (one.status === "rejected") throw one.reason;
      return await work();
    } finally {
      for (const one of granted) {
        if (one.status === "fulfilled") locks.releaseKey(one.value.lock, one.value.key);
      }
    }
  }
}

/** Gives lent memory back as soon as the other thread has done with it. */
export function giveBack(writes: readonly PreparedWrite[]): void {
  for (const { lent } of writes) lent?.stored.then(() => lent.giveBack());
}

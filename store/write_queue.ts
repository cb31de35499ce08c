import { BLOB_REFERENCE_BYTES, blobFileBytes, type BlobReference } from "../blobs/mod.ts";
import type { StoreCore } from "./core.ts";
import { orAborted, throwIfAborted } from "./aborting.ts";
import type { Appended, Appender } from "./appender.ts";
import { checkConditions } from "./conditions.ts";
import { StallEvent } from "./events.ts";
import type { PreparedWrite } from "./pending_writes.ts";
import type { RoomClaim } from "./disk_room.ts";
import type { Durability } from "./types.ts";
import { spaceOf, storedWrite } from "./write_arguments.ts";
import { NO_CONDITION, type WriteSettings } from "./write_settings.ts";

/** Of a large value, so much is written before a look whether it is still wanted. */
const PART_BYTES = 16 * 1024 * 1024;

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
    for (const { space, value } of called) bytes += Math.max(space, value?.length ?? 0);
    core.pending.admit(bytes);
    const writes = called.map((write) => ownWrite(core, write));
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
    for (const write of writes) {
      if (write.lent === undefined) continue;
      const stored = await orAborted(write.lent.stored, signal, () => {});
      const fits = stored !== undefined &&
        (writes.length > 1 || !core.isLarge(write.key.length, stored.length));
      // In place: readers are shown this very object.
      if (fits) Object.assign(write, storedWrite(write, stored));
    }
    const claim = core.eviction?.room.claim();
    let file: BlobReference | undefined;
    try {
      if (writes.length === 1) file = await this.#toFile(writes[0]!, signal, claim);
      return await this.#appendInTurn(writes, durability, signal);
    } catch (error) {
      // No record points at it.
      if (file !== undefined) core.blobs.discard(file);
      throw error;
    } finally {
      claim?.end();
    }
  }

  async #appendInTurn(
    writes: readonly PreparedWrite[],
    durability: Durability,
    signal: AbortSignal | undefined,
  ): Promise<Appended> {
    const { log } = this.#core;
    try {
      return await this.#appendTo(writes, durability, signal);
    } catch (error) {
      // The log has failed, but the store goes on with another one.
      if (this.#core.log === log) throw error;
      return await this.#appendTo(writes, durability, signal);
    }
  }

  async #appendTo(
    writes: readonly PreparedWrite[],
    durability: Durability,
    signal: AbortSignal | undefined,
  ): Promise<Appended> {
    const core = this.#core;
    const { space } = core.log;
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

  /** Writes a large value to a file of its own, durably. If that fails, nothing is left of it. */
  async #toFile(
    write: PreparedWrite,
    signal: AbortSignal | undefined,
    claim: RoomClaim | undefined,
  ): Promise<BlobReference | undefined> {
    const { blobs, log } = this.#core;
    const { key, value } = write;
    if (value === undefined || !this.#core.isLarge(key.length, value.length)) return undefined;
    await claim?.take(blobFileBytes(value.length), signal);
    const file = blobs.begin();
    try {
      for (let at = 0; at < value.length; at += PART_BYTES) {
        if (log.failure !== undefined) throw log.failure;
        throwIfAborted(signal);
        await file.append(value.subarray(at, at + PART_BYTES));
      }
      throwIfAborted(signal);
      const reference = await file.finish();
      claim?.complete();
      pointTo(write, reference);
      return reference;
    } catch (error) {
      await file.abort();
      throw error;
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

/** What is stored of `write` is where its file is. */
export function pointTo(write: PreparedWrite, file: BlobReference): void {
  write.file = file;
  write.space = spaceOf(write.key.length, BLOB_REFERENCE_BYTES, write.expiresAt);
}

/** `write` with a copy of its value: the caller may reuse its buffer. */
export function ownWrite(core: StoreCore, write: PreparedWrite): PreparedWrite {
  const { key, lent, value } = write;
  if (value === undefined || lent !== undefined) return { ...write };
  const large = core.isLarge(key.length, value.length);
  const own = large ? core.blobs.writer.allocate(value.length) : new Uint8Array(value.length);
  own.set(value);
  return { ...write, value: own };
}

/** Gives lent memory back as soon as the other thread has done with it. */
export function giveBack(writes: readonly PreparedWrite[]): void {
  for (const { lent } of writes) lent?.stored.then(() => lent.giveBack());
}

import { ArgumentError, show } from "../errors/mod.ts";
import { ExpiryTable, type HashIndex, type KeyHash } from "../index/mod.ts";
import { MOST_MS } from "./clock.ts";
import type { EventSource } from "./event_source.ts";
import { ExpiredEvent } from "./events.ts";
import type { Expiring } from "./types.ts";

/** Keys are removed for so long in one turn of the event loop, before others get one. */
const STEP_MS = 0.5;
/** So many steps are made between two looks at that time: 0.1 ms of work at most. */
const STEPS_PER_LOOK = 64;
/** Keys that expire within such a time are removed together. */
const LEAST_DELAY_MS = 20;
/** The clock may be set while a timer runs, so none runs longer. */
const MOST_DELAY_MS = 60_000;

/** What {@linkcode Expiry} works with. */
export interface ExpiryParts {
  /** Ms since the epoch. Never throws, and is never NaN: see `Clock.nowMs`. */
  readonly now: () => number;
  readonly events: EventSource;
  /** Removes a key from the index, if its newest record is that of `sequence`. */
  readonly remove: (hash: KeyHash, sequence: number) => void;
}

/**
 * Keys whose time is over. Whoever finds a key that expires in the index asks `isOver`; so a key is
 * missing from its very moment on. A timer removes the rest, little by little.
 *
 * A key that is over needs no tombstone: the record says so itself, whenever it is read. Once it was
 * seen to be missing, it is out of the index, and no change of the clock brings it back.
 */
export class Expiry {
  /** Keys removed because their time had come. */
  expired = 0;
  #table = new ExpiryTable();
  readonly #parts: ExpiryParts;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires, by the clock of the store. */
  #timerAt = Infinity;
  /** Keys removed since the last event. */
  #untold = 0;
  #closed = false;

  /** Knows no key yet. */
  constructor(parts: ExpiryParts) {
    this.#parts = parts;
  }

  /** The keys that expire. */
  get table(): ExpiryTable {
    return this.#table;
  }

  /** The time, in ms since the epoch. */
  now(): number {
    return this.#parts.now();
  }

  /** When the key expires; its newest record must be one that does. */
  timeOf(hash: KeyHash): number {
    const time = this.#table.timeOf(hash);
    // Every record with the flag that is in the index is in the table too.
    if (time === 0) throw new Error("the index has a key that expires, but nobody knows when");
    return time;
  }

  /** True if the time of the key, whose newest record is one that expires, is over: then it is removed. */
  isOver(hash: KeyHash): boolean {
    if (this.timeOf(hash) > this.now()) return false;
    this.#parts.remove(hash, Infinity);
    this.#table.delete(hash);
    this.#count();
    this.#arm();
    return true;
  }

  /**
   * The record `sequence`, which is in the index now, expires at `time`; the one that was there before
   * did expire too (`didExpire`), or not.
   */
  set(hash: KeyHash, sequence: number, time: number, didExpire: boolean): void {
    if (didExpire) this.#table.set(hash, sequence, time);
    else this.#table.add(hash, sequence, time);
    if (time < this.#timerAt) this.#arm();
  }

  /** The key has another record now, or none. */
  forget(hash: KeyHash): void {
    this.#table.delete(hash);
  }

  /**
   * Takes over what was found on disk, in whatever order: keeps the entries that are those of the
   * index, and removes from that the keys that are over. Nothing older may come after.
   */
  adopt(table: ExpiryTable, index: HashIndex): void {
    const now = this.now();
    this.#table = table;
    table.sweep(() => {
      if (!index.find(table) || index.sequence !== table.sequence) return false;
      if (table.time > now) return true;
      this.#parts.remove(table, table.sequence);
      this.expired++;
      return false;
    });
    this.#arm();
  }

  /** Forgets all keys. */
  clear(): void {
    this.#table = new ExpiryTable();
    this.#disarm();
  }

  /** Ends the timer for good. */
  close(): void {
    this.#closed = true;
    this.#disarm();
  }

  #count(): void {
    this.expired++;
    this.#untold++;
  }

  /** Sets the timer for the next key, unless it is set for that time or an earlier one. */
  #arm(): void {
    const next = this.#untold > 0 ? 0 : this.#table.nextTime;
    if (next >= this.#timerAt || this.#closed) return;
    this.#disarm();
    const delay = Math.max(LEAST_DELAY_MS, Math.min(next - this.now(), MOST_DELAY_MS));
    this.#startTimer(next, delay);
  }

  #startTimer(at: number, delayMs: number): void {
    this.#timerAt = at;
    this.#timer = setTimeout(this.#step, delayMs);
    Deno.unrefTimer(this.#timer);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }

  readonly #step = (): void => {
    this.#disarm();
    const table = this.#table;
    const now = this.now();
    const end = performance.now() + STEP_MS;
    let isDone = false;
    while (!isDone && performance.now() < end) {
      for (let i = 0; i < STEPS_PER_LOOK && !isDone; i++) {
        const step = table.step(now);
        if (step === "due") {
          this.#parts.remove(table, table.sequence);
          table.removeFound();
          this.#count();
        }
        isDone = step === "none";
      }
    }
    const keys = this.#untold;
    this.#untold = 0;
    if (keys > 0) this.#parts.events.emit("expired", () => new ExpiredEvent(keys));
    if (isDone) this.#arm();
    else this.#startTimer(0, 0);
  };
}

/** The time that `options` state, which are those of a write or of an operation of a batch; 0: none. */
export function expiryOf(options: Expiring, argument: string, now: () => number): number {
  const { expireIn, expireAt } = options;
  if (expireIn === undefined && expireAt === undefined) return 0;
  if (expireIn !== undefined && expireAt !== undefined) {
    throw new ArgumentError(
      `${argument}.expireAt`,
      `${argument} cannot have both expireIn and expireAt`,
    );
  }
  if (expireIn !== undefined) {
    if (typeof expireIn === "number" && expireIn > 0 && expireIn <= MOST_MS) {
      return Math.max(1, Math.ceil(now() + expireIn));
    }
    throw new ArgumentError(
      `${argument}.expireIn`,
      `${argument}.expireIn must be milliseconds, above 0, up to ${MOST_MS}: ${show(expireIn)}`,
    );
  }
  const time = expireAt instanceof Date ? expireAt.getTime() : expireAt;
  if (typeof time === "number" && time >= 0 && time <= MOST_MS) return Math.max(1, Math.ceil(time));
  throw new ArgumentError(
    `${argument}.expireAt`,
    `${argument}.expireAt must be a Date, or milliseconds since 1970 up to ${MOST_MS}: ${
      show(expireAt)
    }`,
  );
}

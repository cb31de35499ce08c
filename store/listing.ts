import { ArgumentError, FlagstoneError, refuseUnknown, show } from "../errors/mod.ts";
import {
  type BlockHandle,
  compareBytes,
  keyedRecords,
  type KeyRun,
  keysOf,
  newestInKeyOrder,
  type SegmentReader,
} from "../segment/mod.ts";
import { type SegmentImage, SlotState, SlotWord } from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { KeyMerge, type KeyRange, type NextRun } from "./key_merge.ts";
import { boundBytes } from "./keys.ts";
import { nextTurn } from "./next_turn.ts";
import type { View } from "./read_path.ts";
import { sizesOf } from "./value_sizes.ts";
import type { ListEntry, ListOptions } from "./types.ts";

/** Keys listed in one turn of the event loop, before others get one. */
const KEYS_PER_TURN = 1024;

/**
 * Lists keys in order by merging segments: footers from disk, block by block, and the keys of slabs
 * that have no footer yet, sorted when the listing begins. The index has the last word on whether a
 * key has a value and which version, so a key that is overwritten meanwhile is listed once, and one
 * that is deleted meanwhile is not.
 */
export function listKeys(
  core: StoreCore,
  options: ListOptions,
  view: View = core,
  assertOpen: () => void = () => core.assertOpen(),
): AsyncIterableIterator<ListEntry> {
  return new Listing(core, options, view, assertOpen);
}

/**
 * An iterator by hand: that of an async generator costs each key several turns of the microtask
 * queue. Most keys are there at once; each so many, others get a turn of the event loop.
 */
class Listing implements AsyncIterableIterator<ListEntry> {
  readonly #core: StoreCore;
  readonly #options: ListOptions;
  readonly #view: View;
  readonly #assertOpen: () => void;
  #range: KeyRange | undefined;
  #signal: AbortSignal | undefined;
  /** Entries that may be listed yet. */
  #limit = 0;
  /** Keys that may be walked over yet in this turn. */
  #left = 0;
  #merge: KeyMerge | undefined;
  #removals = 0;
  #done = false;
  /** Calls of `next` that wait, and when the last of them will have been answered. */
  #waiting = 0;
  #answered: Promise<unknown> = Promise.resolve();

  constructor(core: StoreCore, options: ListOptions, view: View, assertOpen: () => void) {
    this.#core = core;
    this.#options = options;
    this.#view = view;
    this.#assertOpen = assertOpen;
  }

  next(): Promise<IteratorResult<ListEntry>> {
    return this.#waiting === 0 && this.#atOnce() || this.#later();
  }

  return(): Promise<IteratorResult<ListEntry>> {
    this.#done = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next entry, unless others have to get a turn before. */
  #atOnce(): Promise<IteratorResult<ListEntry>> | undefined {
    try {
      if (!this.#done) {
        if (this.#merge === undefined || this.#left === 0) return undefined;
        const value = this.#limit > 0 ? this.#walk(this.#merge) : undefined;
        if (value !== undefined) return Promise.resolve({ done: false, value });
        if (this.#left === 0) return undefined;
        this.#done = true;
      }
      return Promise.resolve({ done: true, value: undefined });
    } catch (error) {
      this.#done = true;
      return Promise.reject(error);
    }
  }

  #later(): Promise<IteratorResult<ListEntry>> {
    this.#waiting++;
    const answer = this.#answered.then(async () => {
      try {
        for (;;) {
          if (!this.#done) await this.#turn();
          const found = this.#atOnce();
          if (found !== undefined) return await found;
        }
      } catch (error) {
        this.#done = true;
        throw error;
      } finally {
        this.#waiting--;
      }
    });
    this.#answered = answer.catch(() => {});
    return answer;
  }

  async #turn(): Promise<void> {
    if (this.#merge !== undefined) await nextTurn();
    else {
      const core = this.#core;
      const { limit, signal } = checkListOptions(this.#options);
      this.#limit = limit;
      this.#signal = signal;
      this.#range = rangeOf(this.#options);
      if (this.#view === core) await core.pending.settled();
      this.#assertOpen();
      this.#mergeFrom(this.#range);
    }
    this.#left = KEYS_PER_TURN;
  }

  #mergeFrom(range: KeyRange): KeyMerge {
    this.#removals = this.#core.segments.removals;
    this.#merge = new KeyMerge(keySources(this.#core, range), range);
    return this.#merge;
  }

  /** The next entry; `undefined` at the end of all, and at the end of the turn, where none is left. */
  #walk(merge: KeyMerge): ListEntry | undefined {
    const core = this.#core;
    if (this.#signal?.aborted) {
      const { reason: cause } = this.#signal;
      throw new FlagstoneError("ABORTED", "The listing was aborted.", { cause });
    }
    this.#assertOpen();
    if (core.segments.removals !== this.#removals) {
      // Segments have gone, compacted or cleared: what they had, and is alive, is in others now.
      const last = merge.bytes.slice(0, merge.length);
      merge = this.#mergeFrom(last.length === 0 ? this.#range! : beyond(this.#range!, last));
    }
    const { keys } = core;
    while (this.#left > 0 && merge.next()) {
      this.#left--;
      keys.extend(0, merge.bytes, 0, merge.length, merge.flags);
      if (!this.#view.find()) continue;
      this.#limit--;
      const { sequence, flags } = core.index;
      const { size, storedSize } = sizesOf(core, merge.length);
      const expiresAt = this.#view.foundExpiry();
      const entry = { key: keys.key(flags), version: sequence, size, storedSize };
      return expiresAt === 0 ? entry : { ...entry, expiresAt };
    }
    return undefined;
  }
}

function checkListOptions(options: ListOptions): {
  limit: number;
  signal: AbortSignal | undefined;
} {
  refuseUnknown(
    options,
    ["prefix", "start", "end", "reverse", "limit", "signal", "consistent"],
    "options",
  );
  const { limit = Infinity, reverse, signal, consistent } = options;
  if (limit !== Infinity && !(Number.isInteger(limit) && limit >= 0)) {
    throw new ArgumentError(
      "options.limit",
      `options.limit must be a whole number, 0 or more: ${show(limit)}`,
    );
  }
  if (reverse !== undefined && typeof reverse !== "boolean") {
    throw new ArgumentError(
      "options.reverse",
      `options.reverse must be a boolean: ${show(reverse)}`,
    );
  }
  if (consistent !== undefined && typeof consistent !== "boolean") {
    throw new ArgumentError(
      "options.consistent",
      `options.consistent must be a boolean: ${show(consistent)}`,
    );
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new ArgumentError(
      "options.signal",
      `options.signal must be an AbortSignal: ${show(signal)}`,
    );
  }
  return { limit, signal };
}

function rangeOf(options: ListOptions): KeyRange {
  const prefix = boundBytes(options.prefix, "options.prefix");
  let start = boundBytes(options.start, "options.start");
  let end = boundBytes(options.end, "options.end");
  if (prefix !== undefined) {
    const after = successor(prefix);
    if (start === undefined || compareBytes(start, prefix) < 0) start = prefix;
    if (after !== undefined && (end === undefined || compareBytes(after, end) < 0)) end = after;
  }
  return { start, end, reverse: options.reverse ?? false };
}

/** What is left of `range` after `key`. */
function beyond(range: KeyRange, key: Uint8Array | undefined): KeyRange {
  if (key === undefined) return range;
  if (range.reverse) return { ...range, end: key };
  const start = new Uint8Array(key.length + 1);
  start.set(key);
  return { ...range, start };
}

/** The first byte string that is above all that begin with `prefix`; `undefined` if there is none. */
function successor(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const next = prefix.slice(0, length);
  next[length - 1]!++;
  return next;
}

function keySources(core: StoreCore, range: KeyRange): NextRun[] {
  const sources: NextRun[] = core.segments.segments.map((segment) =>
    footerRuns(() => core.segments.has(segment) ? core.segments.reader(segment) : undefined, range)
  );
  for (const slab of core.log.pool.residents) {
    if (core.segments.has(slab.segment)) continue;
    const active = core.log.control.get(slab.slot, SlotWord.state) === SlotState.active;
    const { control } = core.log;
    const end = active ? control.reservedEnd(slab.slot) : control.get(slab.slot, SlotWord.end);
    sources.push(slabRun(slab.image, end));
  }
  return sources;
}

/**
 * Reads block by block, asking for the reader each time: it may have been closed for others
 * meanwhile. There is none once the segment has gone; then the listing asks anew.
 */
function footerRuns(reader: () => SegmentReader | undefined, range: KeyRange): NextRun {
  let blocks: readonly BlockHandle[] | undefined;
  let next = 0;
  return () => {
    const found = reader();
    if (found === undefined) return undefined;
    if (blocks === undefined) {
      const between = found.blocksBetween(range.start, range.end);
      blocks = range.reverse ? between.reverse() : between;
    }
    const block = blocks[next++];
    return block && found.readKeys(block);
  };
}

/** Copies the keys at once: the slab may be flushed and reused while the listing goes on. */
function slabRun(image: SegmentImage, recordsEnd: number): NextRun {
  let run: KeyRun | undefined = keysOf(
    image,
    newestInKeyOrder(image, keyedRecords(image, recordsEnd)),
  );
  return () => {
    const only = run;
    run = undefined;
    return only;
  };
}

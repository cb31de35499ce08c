import { ArgumentError, FlagstoneError, refuseUnknown, show } from "../errors/mod.ts";
import {
  compareBytes,
  keyedRecords,
  newestInKeyOrder,
  type SegmentEntry,
  type SegmentReader,
} from "../segment/mod.ts";
import {
  RECORD_HEADER_BYTES,
  recordFlags,
  recordKeyBytes,
  type SegmentImage,
  SlotState,
  SlotWord,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import type { View } from "./read_path.ts";
import { boundBytes, keyOf } from "./keys.ts";
import { sizesOf } from "./value_sizes.ts";
import type { ListEntry, ListOptions } from "./types.ts";

/** Keys listed in one turn of the event loop, before others get one. */
const KEYS_PER_TURN = 1024;

/** A key range as bytes, `start` included, `end` excluded. */
interface Range {
  readonly start: Uint8Array | undefined;
  readonly end: Uint8Array | undefined;
  readonly reverse: boolean;
}

/** Keys of one segment, in the order of the listing. */
type KeySource = Iterator<{ readonly key: Uint8Array; readonly flags: number }>;

/**
 * Lists keys in order by merging segments: footers from disk, block by block, and the keys of slabs
 * that have no footer yet, sorted when the listing begins. The index has the last word on whether a
 * key has a value and which version, so a key that is overwritten meanwhile is listed once, and one
 * that is deleted meanwhile is not.
 */
export async function* listKeys(
  core: StoreCore,
  options: ListOptions,
  view: View = core,
  assertOpen: () => void = () => core.assertOpen(),
): AsyncGenerator<ListEntry> {
  const { limit, signal } = checkListOptions(options);
  const range = rangeOf(options);
  if (view === core) await core.pending.settled();
  assertOpen();
  let merge = new KeyMerge(keySources(core, range), range.reverse);
  let { removals } = core.segments;
  let last: Uint8Array | undefined;
  let listed = 0;
  for (let walked = 0; listed < limit; walked++) {
    if (walked % KEYS_PER_TURN === KEYS_PER_TURN - 1) {
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
    if (signal?.aborted) {
      throw new FlagstoneError("ABORTED", "The listing was aborted.", { cause: signal.reason });
    }
    assertOpen();
    if (core.segments.removals !== removals) {
      // Segments have gone, compacted or cleared: what they had, and is alive, is in others now.
      removals = core.segments.removals;
      merge = new KeyMerge(keySources(core, beyond(range, last)), range.reverse);
    }
    const next = merge.next();
    if (next === undefined) return;
    last = next.key;
    core.keys.load(next.key, next.flags);
    if (!view.find()) continue;
    listed++;
    const { sequence, flags } = core.index;
    const expiresAt = view.foundExpiry();
    const entry = {
      key: keyOf(next.key, flags),
      version: sequence,
      ...sizesOf(core, next.key.length),
    };
    yield expiresAt === 0 ? entry : { ...entry, expiresAt };
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

function rangeOf(options: ListOptions): Range {
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
function beyond(range: Range, key: Uint8Array | undefined): Range {
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

function keySources(core: StoreCore, range: Range): KeySource[] {
  const sources: KeySource[] = core.segments.segments.map((segment) =>
    footerKeys(() => core.segments.has(segment) ? core.segments.reader(segment) : undefined, range)
  );
  for (const slab of core.log.pool.residents) {
    if (core.segments.has(slab.segment)) continue;
    const active = core.log.control.get(slab.slot, SlotWord.state) === SlotState.active;
    const { control } = core.log;
    const end = active ? control.reservedEnd(slab.slot) : control.get(slab.slot, SlotWord.end);
    sources.push(slabKeys(slab.image, end, range));
  }
  return sources;
}

/**
 * Reads block by block, asking for the reader each time: it may have been closed for others
 * meanwhile. There is none once the segment has gone; then the listing asks anew.
 */
function* footerKeys(
  reader: () => SegmentReader | undefined,
  range: Range,
): Generator<SegmentEntry> {
  const { start, end, reverse } = range;
  const blocks = reader()?.blocksBetween(start, end) ?? [];
  if (reverse) blocks.reverse();
  for (const block of blocks) {
    const entries = reader()?.readBlock(block) ?? [];
    if (reverse) entries.reverse();
    for (const entry of entries) {
      if (start !== undefined && compareBytes(entry.key, start) < 0) continue;
      if (end !== undefined && compareBytes(entry.key, end) >= 0) continue;
      yield entry;
    }
  }
}

/** Copies the keys at once: the slab may be flushed and reused while the listing goes on. */
function slabKeys(image: SegmentImage, recordsEnd: number, range: Range): KeySource {
  const keyAt = (offset: number) => {
    const start = offset + RECORD_HEADER_BYTES;
    return image.bytes.subarray(start, start + recordKeyBytes(image, offset));
  };
  const inRange = keyedRecords(image, recordsEnd).filter((offset) => {
    const key = keyAt(offset);
    return (range.start === undefined || compareBytes(key, range.start) >= 0) &&
      (range.end === undefined || compareBytes(key, range.end) < 0);
  });
  if (inRange.length === 0) return [].values();
  const sorted = newestInKeyOrder(image, inRange);
  if (range.reverse) sorted.reverse();
  const entries = Array.from(sorted, (offset) => ({
    key: keyAt(offset).slice(),
    flags: recordFlags(image, offset),
  }));
  return entries.values();
}

/** Merges sources that are each in order, giving each key once. A binary heap, the next key on top. */
class KeyMerge {
  readonly #heap: { key: Uint8Array; flags: number; source: KeySource }[] = [];
  readonly #sign: number;
  #last: Uint8Array | undefined;

  constructor(sources: readonly KeySource[], reverse: boolean) {
    this.#sign = reverse ? -1 : 1;
    for (const source of sources) {
      const first = source.next();
      if (first.done !== true) this.#push({ ...entryOf(first.value), source });
    }
  }

  next(): { key: Uint8Array; flags: number } | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (top === undefined) return undefined;
      const { key, flags } = top;
      const following = top.source.next();
      if (following.done === true) this.#pop();
      else {
        this.#heap[0] = { ...entryOf(following.value), source: top.source };
        this.#sink(0);
      }
      if (this.#last !== undefined && compareBytes(this.#last, key) === 0) continue;
      this.#last = key;
      return { key, flags };
    }
  }

  #above(a: number, b: number): boolean {
    return this.#sign * compareBytes(this.#heap[a]!.key, this.#heap[b]!.key) < 0;
  }

  #push(item: { key: Uint8Array; flags: number; source: KeySource }): void {
    let at = this.#heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#above(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #pop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    for (let at = from;;) {
      let first = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#above(child, first)) first = child;
      }
      if (first === at) return;
      this.#swap(at, first);
      at = first;
    }
  }

  #swap(a: number, b: number): void {
    const item = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = item;
  }
}

function entryOf(entry: { readonly key: Uint8Array; readonly flags: number }): {
  key: Uint8Array;
  flags: number;
} {
  return { key: entry.key, flags: entry.flags };
}

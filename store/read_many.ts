import { ArgumentError, show } from "../errors/mod.ts";
import { alignRecord, RecordFlag, recordFlags, SegmentImage } from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import type { ReadPath } from "./read_path.ts";
import type { Key } from "./types.ts";
import { nextTurn } from "./next_turn.ts";

/** Keys read in one turn of the event loop, before others get one: about a millisecond's work. */
const KEYS_PER_TURN = 1024;
/** Records so far apart are still read together: to read what is between costs no more than another call. */
const MOST_GAP_BYTES = 4 * 1024;
/** Most that is read with one call; a longer record is read by itself. */
const MOST_RUN_BYTES = 64 * 1024;

/** A value, or where there is none, or one that takes a while. */
type Found = Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** A record that has to be read from a file. */
interface Wanted {
  /** Which of the keys it is of. */
  readonly at: number;
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Reads the values of many keys: see `Store.getMany`. Those that are in files are read in the order
 * of their places, neighbours with one call. What a call brought is the memory of its values: they
 * are views of it, as small values are of a chunk.
 */
export async function readMany(
  core: StoreCore,
  reads: ReadPath,
  keys: readonly Key[],
  assertOpen: () => void = () => core.assertOpen(),
): Promise<(Uint8Array | undefined)[]> {
  assertOpen();
  if (!Array.isArray(keys)) {
    throw new ArgumentError("keys", `The keys must be an array: ${show(keys)}`);
  }
  const isLong = keys.length > KEYS_PER_TURN;
  // Array.from also visits holes. Between turns the caller may change bytes that it gave.
  const own = Array.from(keys, (key: Key): Key => {
    core.keys.check(key);
    return isLong && typeof key !== "string" ? new Uint8Array(key) : key;
  });
  const turns: Promise<(Uint8Array | undefined)[]>[] = [];
  for (let from = 0; from < own.length; from += KEYS_PER_TURN) {
    if (from > 0) await nextTurn();
    assertOpen();
    const found: Found[] = [];
    try {
      readTurn(core, reads, own.slice(from, from + KEYS_PER_TURN), found);
    } finally {
      const turn = Promise.all(found);
      // A read may fail before all are begun, or after one of them has failed: that is heard of below, or nobody's.
      turn.catch(() => {});
      turns.push(turn);
    }
  }
  return (await Promise.all(turns)).flat();
}

/** Reads `keys`; nothing can change meanwhile. */
function readTurn(
  core: StoreCore,
  reads: ReadPath,
  keys: readonly Key[],
  found: Found[],
): void {
  const { index } = core;
  const wanted: Wanted[] = [];
  for (let at = 0; at < keys.length; at++) {
    const inFile = reads.placeInFile(keys[at]!);
    if (inFile && index.length <= MOST_RUN_BYTES) {
      const { segment, offset, length } = index;
      wanted.push({ at, segment, offset, length });
      found.push(undefined);
    } else {
      found.push(reads.get(keys[at]!));
    }
  }
  wanted.sort((a, b) => a.segment - b.segment || a.offset - b.offset);
  for (let first = 0; first < wanted.length;) {
    const next = runEnd(wanted, first);
    const { at } = wanted[first]!;
    if (next === first + 1) found[at] = reads.get(keys[at]!);
    else readRun(core, reads, keys, wanted.slice(first, next), found);
    first = next;
  }
}

/** Index after the last of `wanted` that is read together with the one at `first`. */
function runEnd(wanted: readonly Wanted[], first: number): number {
  const { segment, offset } = wanted[first]!;
  let end = offset + wanted[first]!.length;
  let next = first + 1;
  for (; next < wanted.length; next++) {
    const one = wanted[next]!;
    const isNear = one.segment === segment && one.offset - end <= MOST_GAP_BYTES;
    if (!isNear || one.offset + one.length - offset > MOST_RUN_BYTES) break;
    end = Math.max(end, one.offset + one.length);
  }
  return next;
}

function readRun(
  core: StoreCore,
  reads: ReadPath,
  keys: readonly Key[],
  run: readonly Wanted[],
  found: Found[],
): void {
  const { segment, offset } = run[0]!;
  const last = run.at(-1)!;
  const bytes = last.offset + last.length - offset;
  const reader = core.segments.reader(segment);
  const image = new SegmentImage(new ArrayBuffer(alignRecord(bytes)));
  reader.readAt(image.bytes.subarray(0, bytes), offset);
  for (const one of run) {
    core.keys.set(keys[one.at]!);
    const start = one.offset - offset;
    const stored = reads.verified(image, start, one.offset, one.length, reader);
    const isCompressed = (recordFlags(image, start) & RecordFlag.compressed) !== 0;
    found[one.at] = stored === undefined || !isCompressed
      ? stored
      : core.compressor.decompressAsync(stored, { path: reader.path, offset: one.offset });
  }
}

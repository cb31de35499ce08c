import { blobFileBytes } from "../blobs/mod.ts";
import { MOVE_WORDS, MoveWord } from "../compaction/mod.ts";
import type { KeyHash } from "../index/mod.ts";
import { alignRecord, joinWords, RecordFlag } from "../wal/mod.ts";
import type { CompactedStore } from "./compacted_store.ts";
import { nextTurn } from "./next_turn.ts";

/** The index is told of so many records in one turn of the event loop: about 1 ms. */
const ENTRIES_PER_TURN = 4096;

/** Points the index to the new places of what it still has, a stretch at a time. */
export async function moveEntries(
  { index, segments: { live }, snapshots }: CompactedStore,
  moves: Int32Array,
  to: number,
): Promise<void> {
  await eachEntry(moves, (hash, sequence, offset) => {
    if (index.move(hash, sequence, to, offset)) {
      live.lost(index.segment, index.length);
      live.found(to, index.length);
    } else if (snapshots.isOpen) {
      snapshots.move(hash, sequence, to, offset);
    }
  });
}

/**
 * Removes keys that have made room, a stretch at a time, unless they have other records by now than
 * those in `sources`. Resolves to how many, and their space.
 */
export async function dropEntries(
  { index, segments, snapshots, expiry, blobs }: CompactedStore,
  evicted: Int32Array,
  sources: ReadonlySet<number>,
): Promise<{ keys: number; bytes: number }> {
  const went = { keys: 0, bytes: 0 };
  await eachEntry(evicted, (hash, sequence) => {
    if (!index.find(hash) || index.sequence !== sequence || !sources.has(index.segment)) return;
    if (snapshots.isOpen) snapshots.save(hash);
    index.remove(hash);
    segments.live.lost(index.segment, index.length);
    went.keys++;
    went.bytes += alignRecord(index.length);
    if ((index.flags & RecordFlag.expires) !== 0) expiry.forget(hash);
    if ((index.flags & RecordFlag.external) === 0) return;
    went.bytes += blobFileBytes(blobs.lengthOf(sequence));
    blobs.expire(sequence);
  });
  return went;
}

/** Calls `visit` for each of `entries`, as a compaction tells of them. */
async function eachEntry(
  entries: Int32Array,
  visit: (hash: KeyHash, sequence: number, offset: number) => void,
): Promise<void> {
  const hash = { h1: 0, h2: 0, h3: 0 };
  for (let at = 0, count = 1; at < entries.length; at += MOVE_WORDS, count++) {
    hash.h1 = entries[at + MoveWord.h1]!;
    hash.h2 = entries[at + MoveWord.h2]!;
    hash.h3 = entries[at + MoveWord.h3]!;
    const low = entries[at + MoveWord.sequenceLow]!;
    const sequence = joinWords(low, entries[at + MoveWord.sequenceHigh]!);
    visit(hash, sequence, entries[at + MoveWord.offset]!);
    if (count % ENTRIES_PER_TURN === 0) await nextTurn();
  }
}

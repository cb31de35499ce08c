import type { HashIndex, KeyHash } from "../index/mod.ts";
import type { StoreLog } from "../log/mod.ts";
import { RecordFlag } from "../wal/mod.ts";
import type { BlobFiles } from "./blob_files.ts";
import type { Expiry } from "./expiry.ts";

/** What snapshots need of the store. */
export interface SnapshotSource {
  /** Another one after a `clear`, which ends all snapshots. */
  readonly index: HashIndex;
  /** Another one when that on disk has failed and the store goes on without it. */
  readonly log: StoreLog;
  readonly expiry: Expiry;
  readonly blobs: BlobFiles;
}

/** One version of the store that somebody looks at. */
export interface OpenSnapshot {
  /** Records below this sequence number are seen. */
  readonly position: number;
  /** All records of older segments are seen. */
  readonly segment: number;
  /** How many were opened before it. */
  readonly nth: number;
  /** When it was opened, by the clock of the store: what was over then is not seen, what was not is. */
  readonly time: number;
}

/** The record that a key had for a while. */
interface SavedEntry {
  segment: number;
  offset: number;
  readonly length: number;
  readonly flags: number;
  readonly sequence: number;
  /** How many snapshots had been opened when the key lost it: later ones do not see it. */
  readonly opened: number;
  /** When its value ends; 0 if it does not. */
  readonly expiresAt: number;
}

/**
 * What open snapshots see and the index no longer has. Before the index replaces or removes an entry
 * that a snapshot sees, the entry is saved here; the segment that it points to is needed from then on,
 * and no compaction takes it. With no snapshot open, a write asks for that, and nothing else.
 */
export class Snapshots {
  /** True while one is open. */
  isOpen = false;
  readonly #source: SnapshotSource;
  readonly #open = new Map<
    OpenSnapshot,
    { ended: (reason: string) => void; release: () => void }
  >();
  /** By the hash of the key. */
  readonly #saved = new Map<string, SavedEntry[]>();
  /** How many saved entries point to a segment. */
  readonly #needed = new Map<number, number>();
  /** Records below this are seen by the newest. */
  #newest = 0;
  /** All records of segments below this are. */
  #newestSegment = 0;
  #opened = 0;
  #entries = 0;

  /** None is open yet. */
  constructor(source: SnapshotSource) {
    this.#source = source;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Entries saved for them. */
  get entries(): number {
    return this.#entries;
  }

  /** Records from this sequence number on are seen by none. */
  get seenBelow(): number {
    return this.isOpen ? this.#newest : 0;
  }

  /** All records of segments below this one are seen by one of them. */
  get seenSegmentsBelow(): number {
    return this.isOpen ? this.#newestSegment : 0;
  }

  /** The next sequence number: all records that have their place are below. */
  get position(): number {
    const { control, memtable } = this.#source.log;
    const { active } = memtable;
    if (active === undefined) return memtable.nextSequence;
    return active.baseSequence + control.reservedEnd(active.slot);
  }

  /** Opens one of what is there now. `ended` is told why if the store cannot show it any more. */
  add(ended: (reason: string) => void): OpenSnapshot {
    const { blobs, expiry } = this.#source;
    const { position } = this;
    const { active, nextSegment } = this.#source.log.memtable;
    const segment = active?.segment ?? nextSegment;
    const snapshot = { position, segment, nth: this.#opened++, time: expiry.now() };
    const release = blobs.keep((blob) => blob.version < position && blob.killedBy >= position);
    this.#open.set(snapshot, { ended, release });
    this.#newest = position;
    this.#newestSegment = segment;
    this.isOpen = true;
    return snapshot;
  }

  /** Nobody looks at `snapshot` any more. */
  delete(snapshot: OpenSnapshot): void {
    const parts = this.#open.get(snapshot);
    if (parts === undefined) return;
    this.#open.delete(snapshot);
    parts.release();
    const left = [...this.#open.keys()];
    this.isOpen = left.length > 0;
    this.#newest = Math.max(0, ...left.map(({ position }) => position));
    this.#newestSegment = Math.max(0, ...left.map(({ segment }) => segment));
    this.#forget((entry) => !left.some((other) => isSeen(entry, other)));
  }

  /** Ends all: what they see goes. */
  end(reason: string): void {
    for (const [snapshot, { ended }] of [...this.#open]) {
      this.delete(snapshot);
      ended(reason);
    }
  }

  /** The key of `hash` is about to get another record, or to lose the one it has. */
  save(hash: KeyHash): void {
    const { index, expiry } = this.#source;
    if (!index.find(hash) || index.sequence >= this.#newest) return;
    const { segment, offset, length, flags, sequence } = index;
    const expiresAt = (flags & RecordFlag.expires) === 0 ? 0 : expiry.timeOf(hash);
    const opened = this.#opened;
    const entry = { segment, offset, length, flags, sequence, opened, expiresAt };
    const key = nameOf(hash);
    const entries = this.#saved.get(key);
    if (entries === undefined) this.#saved.set(key, [entry]);
    else entries.push(entry);
    this.#need(segment, 1);
    this.#entries++;
  }

  /** The record `sequence` of the key has a copy elsewhere: from now on, that is read. */
  move(hash: KeyHash, sequence: number, segment: number, offset: number): void {
    const entry = this.#saved.get(nameOf(hash))?.find((saved) => saved.sequence === sequence);
    if (entry === undefined) return;
    this.#need(entry.segment, -1);
    this.#need(segment, 1);
    entry.segment = segment;
    entry.offset = offset;
  }

  /** True if a saved entry points to `segment`. */
  needs(segment: number): boolean {
    return this.#needed.has(segment);
  }

  /** Looks up the key of `hash` as `snapshot` sees it; the index's fields then tell where its record is. */
  find(hash: KeyHash, snapshot: OpenSnapshot): boolean {
    const { index } = this.#source;
    const { position, time } = snapshot;
    if (index.find(hash) && index.sequence < position) {
      return (index.flags & RecordFlag.expires) === 0 || this.#source.expiry.timeOf(hash) > time;
    }
    const entry = this.#savedFor(hash, snapshot);
    if (entry === undefined || (entry.expiresAt !== 0 && entry.expiresAt <= time)) return false;
    index.segment = entry.segment;
    index.offset = entry.offset;
    index.length = entry.length;
    index.flags = entry.flags;
    index.sequence = entry.sequence;
    return true;
  }

  /** When the value that `find` has just found ends; 0 if it does not. */
  foundExpiry(hash: KeyHash, snapshot: OpenSnapshot): number {
    const { index, expiry } = this.#source;
    if ((index.flags & RecordFlag.expires) === 0) return 0;
    const entry = this.#savedFor(hash, snapshot);
    return entry?.sequence === index.sequence ? entry.expiresAt : expiry.timeOf(hash);
  }

  #savedFor(hash: KeyHash, snapshot: OpenSnapshot): SavedEntry | undefined {
    return this.#saved.get(nameOf(hash))?.find((entry) => isSeen(entry, snapshot));
  }

  #forget(isUnseen: (entry: SavedEntry) => boolean): void {
    for (const [key, entries] of this.#saved) {
      const kept = entries.filter((entry) => {
        if (!isUnseen(entry)) return true;
        this.#need(entry.segment, -1);
        this.#entries--;
        return false;
      });
      if (kept.length === 0) this.#saved.delete(key);
      else if (kept.length < entries.length) this.#saved.set(key, kept);
    }
  }

  #need(segment: number, more: number): void {
    const count = (this.#needed.get(segment) ?? 0) + more;
    if (count === 0) this.#needed.delete(segment);
    else this.#needed.set(segment, count);
  }
}

/** Positions would not do: what expires or is evicted leaves no record between two snapshots. */
function isSeen({ sequence, opened }: SavedEntry, { position, nth }: OpenSnapshot): boolean {
  return sequence < position && nth < opened;
}

function nameOf({ h1, h2, h3 }: KeyHash): string {
  return `${h1}:${h2}:${h3}`;
}

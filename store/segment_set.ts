import { SegmentReader } from "../segment/mod.ts";
import { type Fs, joinPath } from "../vfs/mod.ts";
import { compactedName, FILE_HEADER_BYTES, segmentName } from "../wal/mod.ts";
import { LiveBytes } from "./live_bytes.ts";

/** Most segments whose files are open at once. */
const MAX_OPEN_SEGMENTS = 256;

/** What is known of a sealed file without reading it. */
export interface SegmentFacts {
  /** Length of the file. */
  readonly fileBytes: number;
  /** Where its records end. */
  readonly recordsEnd: number;
  /** Space of the puts that are the newest of their keys in it. */
  readonly putBytes: number;
  /** The salt of its checksums, which no other file has. */
  readonly salt: number;
  /** Of a compacted segment: the newest segment of which it has records. */
  readonly upTo?: number;
}

/**
 * The sealed segments of a store: which there are, how much of each is alive, and readers for them,
 * opened when first needed.
 *
 * Here and in the index, a compacted segment has the negative of its number as name, any other its
 * number.
 */
export class SegmentSet {
  /** How much of each is dead. */
  live: LiveBytes = new LiveBytes();
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #facts = new Map<number, SegmentFacts>();
  /** Open readers, the one used longest ago first. */
  readonly #readers = new Map<number, SegmentReader>();
  /** Readers of segments whose files are going, or gone. */
  readonly #going = new Map<number, SegmentReader>();
  #last: SegmentReader | undefined;
  #lastSegment = 0;
  #totalBytes = 0;
  #first = 0;
  #removals = 0;

  /** Knows no segment yet. */
  constructor(fs: Fs, directory: string) {
    this.#fs = fs;
    this.#directory = directory;
  }

  /** Names of all segments, the oldest first: by the newest segment of which each has records. */
  get segments(): number[] {
    return [...this.#facts.keys()].sort((a, b) =>
      this.newestIn(a) - this.newestIn(b) || Math.abs(a) - Math.abs(b)
    );
  }

  /** As `segments`, but for those whose files are about to go, or gone: see `letGo`. */
  get files(): number[] {
    return this.segments.filter((segment) => !this.#going.has(segment));
  }

  /** How many there are. */
  get size(): number {
    return this.#facts.size;
  }

  /** Length of their files, in all. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Space of the records that are the newest of their keys. */
  get liveBytes(): number {
    let bytes = 0;
    for (const segment of this.#facts.keys()) bytes += this.liveBytesOf(segment);
    return bytes;
  }

  /** Space of all other records. */
  get deadBytes(): number {
    let bytes = 0;
    for (const { recordsEnd } of this.#facts.values()) bytes += recordsEnd - FILE_HEADER_BYTES;
    return bytes - this.liveBytes;
  }

  /** The highest number that a segment has, or had of which there are records; 0 if there is none. */
  get newest(): number {
    let newest = 0;
    for (const segment of this.#facts.keys()) newest = Math.max(newest, this.newestIn(segment));
    return newest;
  }

  /** Counts segments that were removed: who goes through them all must look again. */
  get removals(): number {
    return this.#removals;
  }

  /** True if `segment` is sealed. */
  has(segment: number): boolean {
    return this.#facts.has(segment);
  }

  /** What is known of `segment`, which is sealed. */
  factsOf(segment: number): SegmentFacts {
    return this.#facts.get(segment)!;
  }

  /** Length of the file of `segment`, which is sealed. */
  bytesOf(segment: number): number {
    return this.factsOf(segment).fileBytes;
  }

  /** Space of the records of `segment` that are the newest of their keys. */
  liveBytesOf(segment: number): number {
    return Math.max(0, this.factsOf(segment).putBytes - this.live.deadOf(segment));
  }

  /** The newest segment of which `segment` has records: itself, unless it was compacted. */
  newestIn(segment: number): number {
    return this.#facts.get(segment)?.upTo ?? segment;
  }

  /** Name of the file of `segment`, which is sealed. */
  nameOf(segment: number): string {
    return segment < 0 ? compactedName(this.newestIn(segment), -segment) : segmentName(segment);
  }

  /** Path of the file of `segment`, which is sealed. */
  pathOf(segment: number): string {
    return joinPath(this.#directory, this.nameOf(segment));
  }

  /** Learns of a segment. */
  add(segment: number, facts: SegmentFacts): void {
    if ((facts.upTo ?? segment) < this.#first || this.#facts.has(segment)) return;
    this.#facts.set(segment, facts);
    this.#totalBytes += facts.fileBytes;
  }

  /** A reader of `segment`; it stays open until others are used more. */
  reader(segment: number): SegmentReader {
    if (segment === this.#lastSegment) return this.#last!;
    const going = this.#going.get(segment);
    if (going !== undefined) return going;
    let reader = this.#readers.get(segment);
    if (reader === undefined) {
      reader = SegmentReader.open(this.#fs, this.pathOf(segment));
      for (const [oldest, unused] of this.#readers) {
        if (this.#readers.size < MAX_OPEN_SEGMENTS) break;
        this.#readers.delete(oldest);
        unused.close();
      }
    } else {
      this.#readers.delete(segment);
    }
    this.#readers.set(segment, reader);
    this.#last = reader;
    this.#lastSegment = segment;
    return reader;
  }

  /**
   * The file of `segment` is about to be removed, though the index points to it still: from now on it is
   * read through one reader, which stays open until `remove`.
   */
  letGo(segment: number): void {
    if (this.#going.has(segment)) return;
    const reader = this.reader(segment);
    this.#readers.delete(segment);
    this.#forgetLast();
    this.#going.set(segment, reader);
  }

  /** The file of `segment`, which was let go, stays after all. */
  keep(segment: number): void {
    this.#going.get(segment)?.close();
    this.#going.delete(segment);
  }

  /** True if the file of `segment` is about to go, or gone. */
  isGoing(segment: number): boolean {
    return this.#going.has(segment);
  }

  /** The segments that were let go and not removed yet. */
  get going(): Iterable<number> {
    return this.#going.keys();
  }

  /** Forgets `segment`, to which nothing points any more. Reads that are under way end well. */
  remove(segment: number): void {
    const facts = this.#facts.get(segment);
    if (facts === undefined) return;
    this.#facts.delete(segment);
    this.#totalBytes -= facts.fileBytes;
    this.#removals++;
    for (const readers of [this.#readers, this.#going]) {
      readers.get(segment)?.close();
      readers.delete(segment);
    }
    if (this.#lastSegment === segment) this.#forgetLast();
  }

  /** Forgets all segments, and never learns of one below `first` again. */
  clear(first: number): void {
    this.close();
    this.#facts.clear();
    this.live = new LiveBytes();
    this.#totalBytes = 0;
    this.#removals++;
    this.#first = first;
  }

  /** Closes all readers. */
  close(): void {
    for (const readers of [this.#readers, this.#going]) {
      for (const reader of readers.values()) reader.close();
      readers.clear();
    }
    this.#forgetLast();
  }

  #forgetLast(): void {
    this.#last = undefined;
    this.#lastSegment = 0;
  }
}

import { SegmentReader } from "../segment/mod.ts";
import { type Fs, joinPath } from "../vfs/mod.ts";
import { segmentName } from "../wal/mod.ts";

/** Most segments whose files are open at once. */
const MAX_OPEN_SEGMENTS = 256;

/** The sealed segments of a store: which there are, and readers for them, opened when first needed. */
export class SegmentSet {
  readonly #fs: Fs;
  readonly #directory: string;
  readonly #bytes = new Map<number, number>();
  /** Open readers, the one used longest ago first. */
  readonly #readers = new Map<number, SegmentReader>();
  #last: SegmentReader | undefined;
  #lastSegment = -1;
  #totalBytes = 0;
  #first = 0;

  /** Knows no segment yet. */
  constructor(fs: Fs, directory: string) {
    this.#fs = fs;
    this.#directory = directory;
  }

  /** Numbers of all segments, ascending. */
  get segments(): number[] {
    return [...this.#bytes.keys()].sort((a, b) => a - b);
  }

  /** How many there are. */
  get size(): number {
    return this.#bytes.size;
  }

  /** Length of their files, in all. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** True if `segment` is sealed. */
  has(segment: number): boolean {
    return this.#bytes.has(segment);
  }

  /** Length of the file of `segment`, which is sealed. */
  bytesOf(segment: number): number {
    return this.#bytes.get(segment)!;
  }

  /** Learns of a segment, whose file is `fileBytes` long. */
  add(segment: number, fileBytes: number): void {
    if (segment < this.#first || this.#bytes.has(segment)) return;
    this.#bytes.set(segment, fileBytes);
    this.#totalBytes += fileBytes;
  }

  /** A reader of `segment`; it stays open until others are used more. */
  reader(segment: number): SegmentReader {
    if (segment === this.#lastSegment) return this.#last!;
    let reader = this.#readers.get(segment);
    if (reader === undefined) {
      reader = SegmentReader.open(this.#fs, joinPath(this.#directory, segmentName(segment)));
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

  /** Forgets all segments, and never learns of one below `first` again. */
  clear(first: number): void {
    this.close();
    this.#bytes.clear();
    this.#totalBytes = 0;
    this.#first = first;
  }

  /** Closes all readers. */
  close(): void {
    for (const reader of this.#readers.values()) reader.close();
    this.#readers.clear();
    this.#last = undefined;
    this.#lastSegment = -1;
  }
}

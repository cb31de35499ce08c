import { keyedRecords, newestInKeyOrder } from "../segment/mod.ts";
import {
  alignRecord,
  RECORD_HEADER_BYTES,
  recordFlags,
  recordKeyBytes,
  RecordKind,
  recordKind,
  recordLength,
  recordSequence,
  type SegmentImage,
  SlotState,
  SlotWord,
} from "../wal/mod.ts";
import type { StoreCore } from "./core.ts";
import { KeyBuffer } from "./keys.ts";

/** The index is counted anew so often at most: once for each segment whose keys were written meanwhile. */
const MOST_RECOUNTS = 16;

/** What an {@linkcode IndexCheck} tells of a segment: the offset of a record, or 0, and what is wrong. */
export type OnIndexProblem = (offset: number, message: string) => void;

/**
 * Checks the index against records, segment by segment: of each key, the index must have the newest
 * record or a newer one, and where it points into a segment, there must be that record. As many
 * entries must point into a segment as records are found that they point to: so none points anywhere
 * else. The store may be written to meanwhile; what is compared is compared in one turn.
 */
export class IndexCheck {
  readonly #core: StoreCore;
  readonly #keys: KeyBuffer;
  /** How many entries point into each segment. */
  #counts = new Map<number, number>();
  #recounts = 0;
  /** Space of the puts that `#pointedTo` found nothing to point to. */
  #deadBytes = 0;

  /** Will check the index of `core`. */
  constructor(core: StoreCore) {
    this.#core = core;
    this.#keys = new KeyBuffer(core.identity.hashSecret);
    this.#count();
  }

  /** `image` has the records of `segment`, all of them good; `offsets` are those of its keys' newest. */
  check(
    segment: number,
    image: SegmentImage,
    offsets: Iterable<number>,
    onProblem: OnIndexProblem,
  ): void {
    const all = [...offsets];
    const found = this.#pointedTo(segment, image, all, onProblem);
    this.#compareDead(segment, onProblem);
    if (found === this.#counted(segment) || this.#recounts === MOST_RECOUNTS) return;
    // It may have been written to since it was counted.
    this.#recounts++;
    this.#count();
    this.#compare(segment, this.#pointedTo(segment, image, all, () => {}), onProblem);
  }

  /** Checks what is in memory only, and that no entry points to a segment that is not there. */
  finish(onProblem: (message: string) => void): void {
    const { index, log, segments } = this.#core;
    this.#count();
    for (const slab of log.pool.residents) {
      if (segments.has(slab.segment)) continue;
      const { control } = log;
      const isActive = control.get(slab.slot, SlotWord.state) === SlotState.active;
      const end = isActive ? control.reservedEnd(slab.slot) : control.get(slab.slot, SlotWord.end);
      const offsets = [...newestInKeyOrder(slab.image, keyedRecords(slab.image, end))];
      const tell: OnIndexProblem = (offset, message) =>
        onProblem(`segment ${slab.segment} at ${offset}: ${message}`);
      const found = this.#pointedTo(slab.segment, slab.image, offsets, tell);
      this.#compare(slab.segment, found, tell);
    }
    let sum = 0;
    for (const [segment, count] of this.#counts) {
      sum += count;
      if (segments.has(segment) || log.pool.resident(segment) !== undefined) continue;
      onProblem(`${count} entries of the index point to segment ${segment}, which is not there`);
    }
    if (sum !== index.size) {
      onProblem(`the index has ${sum} entries, and says that it has ${index.size}`);
    }
  }

  #counted(segment: number): number {
    return this.#counts.get(segment) ?? 0;
  }

  #compare(segment: number, found: number, onProblem: OnIndexProblem): void {
    const counted = this.#counted(segment);
    if (found === counted) return;
    onProblem(0, `${counted} entries of the index point to it, and ${found} to records of theirs`);
  }

  /**
   * Compaction relies on it: where nothing is dead, it does not look for what a delete hides. More may
   * be counted: a value that expired in a log, and was then overwritten in it.
   */
  #compareDead(segment: number, onProblem: OnIndexProblem): void {
    const { segments } = this.#core;
    const counted = segments.live.deadOf(segment);
    if (!segments.has(segment) || counted >= this.#deadBytes) return;
    onProblem(0, `${this.#deadBytes} bytes of its records are dead, and ${counted} are counted`);
  }

  #count(): void {
    const { index } = this.#core;
    this.#counts = new Map();
    index.each(() => this.#counts.set(index.segment, this.#counted(index.segment) + 1));
  }

  /** How many entries point to the records at `offsets`. */
  #pointedTo(
    segment: number,
    image: SegmentImage,
    offsets: readonly number[],
    onProblem: OnIndexProblem,
  ): number {
    const { index } = this.#core;
    let found = 0;
    this.#deadBytes = 0;
    for (const offset of offsets) {
      const keyStart = offset + RECORD_HEADER_BYTES;
      const flags = recordFlags(image, offset);
      this.#keys.extend(0, image.bytes, keyStart, recordKeyBytes(image, offset), flags);
      const length = recordLength(image, offset);
      const deadBytes = recordKind(image, offset) === RecordKind.put ? alignRecord(length) : 0;
      this.#deadBytes += deadBytes;
      if (!index.find(this.#keys.hash)) continue;
      const sequence = recordSequence(image, offset);
      if (index.sequence < sequence) {
        onProblem(offset, `the index has version ${index.sequence} of the key of a newer record`);
      }
      if (index.segment !== segment || index.sequence !== sequence) continue;
      const agrees = index.offset === offset && index.length === length &&
        index.flags === this.#keys.flags;
      if (agrees) {
        found++;
        this.#deadBytes -= deadBytes;
      } else onProblem(offset, `the index has its key at offset ${index.offset}`);
    }
    return found;
  }
}

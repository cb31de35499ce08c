import type { IndexReader } from "../index/mod.ts";
import { SegmentReader } from "../segment/mod.ts";
import type { Fs } from "../vfs/mod.ts";
import { FILE_HEADER_BYTES, RecordFlag, RecordKind } from "../wal/mod.ts";
import { FooterKeys, FooterWalk } from "./footer_walk.ts";
import { type CompactionFile, type CompactionJob, Over, type SieveResult } from "./job.ts";
import { RecordList } from "./record_list.ts";
import { sieve } from "./sieve.ts";
import { type SearchedFile, TombstoneSearch } from "./tombstones.ts";

/** What a step of the planning did; `behind`: the reader needs the index as its writer has it by now, which has grown, or was too busy to be looked at. */
export type PlanStep = "worked" | "behind" | "done";

/**
 * Finds out which records of the sources are to be copied: puts to which the index points, unless
 * they are to make room, and tombstones that are still needed. Steps are small: one block of one footer.
 */
export class CompactionPlan {
  /** Readers of the sources. */
  readonly sources: SegmentReader[] = [];
  /** For each source, the records to be copied. */
  readonly lists: RecordList[] = [];
  /** What is to go, if the job is to make room. */
  sieved: SieveResult | undefined;
  readonly #fs: Fs;
  readonly #job: CompactionJob;
  readonly #index: IndexReader;
  readonly #keys: FooterKeys;
  readonly #tombstones: RecordList[] = [];
  #walk: FooterWalk | undefined;
  #search: TombstoneSearch | undefined;

  /** Will ask `index` about the records of `job`. */
  constructor(fs: Fs, job: CompactionJob, index: IndexReader) {
    this.#fs = fs;
    this.#job = job;
    this.#index = index;
    this.#keys = new FooterKeys(job.hashSecret);
  }

  /** Tombstones that are not copied. */
  get droppedTombstones(): number {
    return this.#search?.dropped ?? 0;
  }

  /** Goes on by one block. */
  step(): PlanStep {
    if (this.#walk === undefined) {
      for (const file of this.#job.sources) {
        this.sources.push(this.#open(file));
        this.lists.push(new RecordList());
        this.#tombstones.push(new RecordList());
      }
      this.#walk = new FooterWalk(this.#sourceFiles());
      return "worked";
    }
    if (this.#search === undefined) return this.#look(this.#walk);
    return this.#search.step() ? "worked" : "done";
  }

  /** Closes files. */
  close(): void {
    this.#search?.close();
    for (const reader of this.sources) reader.close();
  }

  #look(walk: FooterWalk): PlanStep {
    const before = this.#lengths();
    let isBehind = false;
    const goesOn = walk.step((cursor, source) => {
      this.#keys.take(cursor);
      const { hash } = this.#keys;
      const { sequence, offset, length } = cursor;
      if (cursor.kind !== RecordKind.put) {
        this.#tombstones[source]!.push(hash, sequence, offset, length);
        return true;
      }
      const found = this.#index.find(hash);
      // If the writer was too busy to let us look, it answers when it has time.
      isBehind = found === "behind" || found === "busy";
      if (isBehind) return false;
      // Its time was over, as a rule, and nothing was written in its place.
      const isGone = found === "absent" && (cursor.flags & RecordFlag.expires) !== 0;
      if (isGone) this.#tombstones[source]!.push(hash, sequence, offset, length, Over.gone);
      if (found === "found" && this.#isAt(source, offset, sequence)) {
        this.lists[source]!.push(hash, sequence, offset, length);
      }
      return true;
    });
    if (isBehind) {
      // The block is gone through once more.
      this.#cut(before);
      return "behind";
    }
    if (goesOn) return "worked";
    const { sieve: order } = this.#job;
    if (order !== undefined) {
      const recordBytes = this.sources.reduce(
        (sum, { summary }) => sum + summary.recordsEnd - FILE_HEADER_BYTES,
        0,
      );
      const [alive, tombstones] = [this.lists, this.#tombstones];
      this.sieved = sieve({ order, recordBytes, alive, tombstones });
    }
    this.#beginSearch();
    return "worked";
  }

  #isAt(source: number, offset: number, sequence: number): boolean {
    const index = this.#index;
    return index.sequence === sequence && index.offset === offset &&
      index.segment === this.#job.sources[source]!.segment;
  }

  #beginSearch(): void {
    const { others, searchOthers } = this.#job;
    const some = this.#tombstones.some(({ length }) => length > 0);
    this.#search = new TombstoneSearch(
      this.#keys,
      this.#tombstones,
      this.#sourceFiles(),
      some ? others.map((file) => this.#otherFile(file)) : [],
      searchOthers,
      (source, record) => this.lists[source]!.take(this.#tombstones[source]!, record),
    );
  }

  #open({ path }: CompactionFile): SegmentReader {
    return SegmentReader.open(this.#fs, path);
  }

  #sourceFiles(): SearchedFile[] {
    return this.sources.map((reader) => ({
      base: reader.header.baseSequence,
      open: () => reader,
      done: () => {},
    }));
  }

  /** There may be many of them: each is open only while it is looked at. */
  #otherFile(file: CompactionFile): SearchedFile {
    using reader = this.#open(file);
    const base = reader.header.baseSequence;
    return { base, open: () => this.#open(file), done: (opened) => opened.close() };
  }

  #lengths(): number[] {
    return [...this.lists, ...this.#tombstones].map(({ length }) => length);
  }

  #cut(lengths: readonly number[]): void {
    [...this.lists, ...this.#tombstones].forEach((list, i) => list.length = lengths[i]!);
  }
}

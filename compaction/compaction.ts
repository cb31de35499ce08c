import type { IndexHandle, IndexReader } from "../index/mod.ts";
import { type Fs, joinPath, syncDirectory } from "../vfs/mod.ts";
import type { CompactionJob, CompactionResult } from "./job.ts";
import { CompactedOutput } from "./output.ts";
import { CompactionPlan } from "./plan.ts";

/** What a step did; `behind`: call `refresh` with a newer handle of the index first. */
export type CompactionStep = "worked" | "behind" | "done";

/**
 * Makes one compacted segment out of sparse ones, a step at a time: on a thread of its own, or between
 * the steps of others. It changes nothing that is there: the index learns of it afterwards, from
 * `result`, and only then the sources may be removed.
 */
export class Compaction {
  readonly #fs: Fs;
  readonly #job: CompactionJob;
  readonly #index: IndexReader;
  readonly #plan: CompactionPlan;
  #output: CompactedOutput | undefined;
  #result: CompactionResult | undefined;

  /** Will do `job`; `index` tells what is alive. */
  constructor(fs: Fs, job: CompactionJob, index: IndexReader) {
    this.#fs = fs;
    this.#job = job;
    this.#index = index;
    this.#plan = new CompactionPlan(fs, job, index);
  }

  /** What was done, once a step has said `done`. */
  get result(): CompactionResult {
    return this.#result!;
  }

  /** Bytes read and written so far. */
  get bytes(): number {
    return this.#output?.bytes ?? 0;
  }

  /** True if a file may be there under its name though it failed: nobody may rely on it, nor on its not being there. */
  get leftDoubt(): boolean {
    return this.#result === undefined && this.#output?.mayBeNamed === true;
  }

  /** Takes a newer handle of the index. */
  refresh(handle: IndexHandle): void {
    this.#index.refresh(handle);
  }

  /** Goes on: one block of a footer, or about 1 MiB of records. Throws what the file system throws, and `CORRUPT`. */
  step(): CompactionStep {
    if (this.#output === undefined) {
      const planned = this.#plan.step();
      if (planned !== "done") return planned;
      const { sources, lists, sieved } = this.#plan;
      const isNothing = sieved?.passed === true || !this.#job.leaveFile;
      if (isNothing && lists.every(({ length }) => length === 0)) {
        return this.#finish(undefined);
      }
      this.#output = new CompactedOutput(this.#fs, this.#job, sources, lists);
      return "worked";
    }
    const file = this.#output.step();
    return file === undefined ? "worked" : this.#finish(file);
  }

  /** Gives up, or ends: closes files, and removes what has no name yet. */
  close(): void {
    this.#plan.close();
    if (this.#result === undefined) this.#output?.abandon();
  }

  #finish(file: CompactionResult["file"]): CompactionStep {
    const output = this.#output;
    const { sieved } = this.#plan;
    this.#result = {
      ...(sieved === undefined ? {} : { sieve: sieved }),
      file,
      moves: output?.moves.words() ?? new Int32Array(0),
      records: output?.records ?? 0,
      droppedTombstones: this.#plan.droppedTombstones,
      bytes: this.bytes,
    };
    return "done";
  }
}

/** Removes files, each durably before the next: see `TombstoneSearch`. */
export function removeInOrder(fs: Fs, directory: string, names: readonly string[]): void {
  for (const name of names) {
    fs.remove(joinPath(directory, name));
    syncDirectory(fs, directory);
  }
}

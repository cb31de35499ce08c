import { setImmediate as immediate } from "node:timers/promises";
import { type IndexHandle, IndexReader } from "../index/mod.ts";
import type { Fs } from "../vfs/mod.ts";
import { Compaction, removeInOrder } from "./compaction.ts";
import type { CompactionJob, CompactionResult } from "./job.ts";
import { type CompactionFailure, errorOf, plainError, stoppedError } from "./protocol.ts";
import type { CompactionRunner } from "./runner.ts";

/** After so many steps, other work of any kind gets its turn; between steps, only what is due at once. */
const STEPS_PER_TURN = 8;

/** Compacts on the calling thread, a step at a time: for file systems that only this thread can reach. */
export class InlineRunner implements CompactionRunner {
  /** Always 0. */
  readonly threads = 0;
  readonly #fs: Fs;
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();

  /** Works on `fs`. */
  constructor(fs: Fs) {
    this.#fs = fs;
  }

  /** See {@linkcode CompactionRunner.run}. */
  run(job: CompactionJob, index: () => IndexHandle): Promise<CompactionResult | CompactionFailure> {
    this.#stopped = false;
    const running = this.#run(job, index);
    this.#running = running;
    return running;
  }

  /** See {@linkcode CompactionRunner.remove}. */
  async remove(
    directory: string,
    names: readonly string[],
  ): Promise<CompactionFailure | undefined> {
    for (const name of names) {
      // A job that only removes must let others have their turn, too.
      await immediate();
      try {
        removeInOrder(this.#fs, directory, [name]);
      } catch (error) {
        return { error: errorOf(plainError(error)), leftDoubt: true };
      }
    }
    return undefined;
  }

  /** See {@linkcode CompactionRunner.stop}. */
  stop(): void {
    this.#stopped = true;
  }

  /** See {@linkcode CompactionRunner.close}. */
  async close(_timeoutMs: number): Promise<boolean> {
    this.stop();
    await this.#running;
    return true;
  }

  /** See {@linkcode CompactionRunner.onceEnded}. */
  onceEnded(_listener: () => void): void {}

  async #run(
    job: CompactionJob,
    index: () => IndexHandle,
  ): Promise<CompactionResult | CompactionFailure> {
    const compaction = new Compaction(this.#fs, job, new IndexReader(index()));
    let outcome: CompactionResult | CompactionFailure;
    try {
      for (let steps = 1;; steps++) {
        if (this.#stopped) throw stoppedError(job.directory);
        const step = compaction.step();
        if (step === "done") break;
        if (step === "behind") compaction.refresh(index());
        if (steps % STEPS_PER_TURN !== 0) await Promise.resolve();
        else await immediate();
      }
      outcome = compaction.result;
    } catch (error) {
      outcome = { error: errorOf(plainError(error)), leftDoubt: compaction.leftDoubt };
    }
    try {
      compaction.close();
    } catch {
      // What could not be removed is removed by the next open.
    }
    return outcome;
  }
}

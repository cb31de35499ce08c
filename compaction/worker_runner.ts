import { FlagstoneError } from "../errors/mod.ts";
import type { IndexHandle } from "../index/mod.ts";
import type { FsSpec } from "../vfs/mod.ts";
import { COMPACTION_WORKER_URL } from "./entry.ts";
import type { CompactionJob, CompactionResult } from "./job.ts";
import {
  COMPACTION_WORKER_NAME,
  type CompactionFailure,
  errorOf,
  type FromCompactor,
  type ToCompactor,
} from "./protocol.ts";
import { type CompactionRunner, hasFailed } from "./runner.ts";

type Outcome = CompactionResult | CompactionFailure | { readonly removed: true };

/**
 * Compacts in a Worker. It starts with the first job, and ends after `idleMs` without one: a Worker
 * would keep the program alive.
 */
export class WorkerRunner implements CompactionRunner {
  readonly #spec: FsSpec;
  readonly #idleMs: number;
  #worker: Worker | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stop = new Int32Array(new SharedArrayBuffer(4));
  #index: (() => IndexHandle) | undefined;
  #settle: ((outcome: Outcome) => void) | undefined;
  #ended: (() => void) | undefined;
  #closed = false;

  /** Will work on the file system that `spec` tells of. */
  constructor(spec: FsSpec, idleMs: number) {
    this.#spec = spec;
    this.#idleMs = idleMs;
  }

  /** See {@linkcode CompactionRunner.threads}. */
  get threads(): number {
    return this.#worker === undefined ? 0 : 1;
  }

  /** See {@linkcode CompactionRunner.run}. */
  async run(
    job: CompactionJob,
    index: () => IndexHandle,
  ): Promise<CompactionResult | CompactionFailure> {
    this.#stop = new Int32Array(new SharedArrayBuffer(4));
    this.#index = index;
    const stop = this.#stop.buffer as SharedArrayBuffer;
    const run = { type: "run", fs: this.#spec, job, index: index(), stop } as const;
    return await this.#ask(run) as CompactionResult | CompactionFailure;
  }

  /** See {@linkcode CompactionRunner.remove}. */
  async remove(
    directory: string,
    names: readonly string[],
  ): Promise<CompactionFailure | undefined> {
    const outcome = await this.#ask({ type: "remove", fs: this.#spec, directory, names });
    return hasFailed(outcome) ? outcome : undefined;
  }

  /** See {@linkcode CompactionRunner.stop}. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1);
  }

  /** See {@linkcode CompactionRunner.close}. */
  async close(timeoutMs: number): Promise<boolean> {
    this.#closed = true;
    this.stop();
    if (this.#settle !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#ended = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
    }
    if (this.#settle !== undefined) return false;
    this.#end();
    return true;
  }

  /** See {@linkcode CompactionRunner.onceEnded}. */
  onceEnded(listener: () => void): void {
    this.#ended = listener;
  }

  #ask(message: ToCompactor): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    clearTimeout(this.#timer);
    this.#settle = (outcome) => {
      this.#settle = undefined;
      resolve(outcome);
      if (this.#closed) this.#end();
      else this.#rest();
      this.#ended?.();
    };
    this.#worker ??= this.#start();
    this.#worker.postMessage(message);
    return promise;
  }

  #start(): Worker {
    const worker = new Worker(COMPACTION_WORKER_URL, {
      type: "module",
      name: COMPACTION_WORKER_NAME,
    });
    worker.onmessage = ({ data }: MessageEvent<FromCompactor>) => {
      if (data.type === "behind") {
        worker.postMessage({ type: "index", index: this.#index!() } satisfies ToCompactor);
      } else if (data.type === "done") this.#settle?.(data.result);
      else if (data.type === "removed") this.#settle?.({ removed: true });
      else this.#settle?.({ error: errorOf(data.error), leftDoubt: data.leftDoubt });
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#died(event.message);
    };
    worker.onmessageerror = () => this.#died("a message could not be read");
    return worker;
  }

  #died(reason: string): void {
    this.#end();
    const error = new FlagstoneError(
      "WORKER_DIED",
      `Cannot compact the store: the thread ended with an error: ${reason}.`,
    );
    this.#settle?.({ error, leftDoubt: true });
  }

  #rest(): void {
    this.#timer = setTimeout(() => this.#end(), this.#idleMs);
    Deno.unrefTimer(this.#timer);
  }

  #end(): void {
    clearTimeout(this.#timer);
    // It waits for messages, not on shared memory, so it can be terminated.
    this.#worker?.terminate();
    this.#worker = undefined;
  }
}

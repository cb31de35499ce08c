import { type IndexHandle, IndexReader } from "../index/mod.ts";
import { fsFromSpec } from "../vfs/mod.ts";
import { Compaction, removeInOrder } from "./compaction.ts";
import { Pace } from "./pace.ts";
import {
  COMPACTION_WORKER_NAME,
  type FromCompactor,
  plainError,
  stoppedError,
  type ToCompactor,
} from "./protocol.ts";

/** Where the thread's code is: this file. */
export const COMPACTION_WORKER_URL: URL = new URL(import.meta.url);

type Run = Extract<ToCompactor, { type: "run" }>;

/** One message at a time, and in the middle of a job the index when it was asked for. */
class CompactionThread {
  readonly #post: (answer: FromCompactor) => void;
  #index: ((handle: IndexHandle) => void) | undefined;

  constructor(post: (answer: FromCompactor) => void) {
    this.#post = post;
  }

  receive(message: ToCompactor): void {
    if (message.type === "index") this.#index?.(message.index);
    else if (message.type === "run") this.#run(message);
    else {
      try {
        removeInOrder(fsFromSpec(message.fs), message.directory, message.names);
        this.#post({ type: "removed" });
      } catch (error) {
        this.#post({ type: "failed", error: plainError(error), leftDoubt: true });
      }
    }
  }

  async #run({ fs, job, index, stop }: Run): Promise<void> {
    const stopWord = new Int32Array(stop);
    const compaction = new Compaction(fsFromSpec(fs), job, new IndexReader(index));
    const pace = new Pace(job.bytesPerSecond);
    let answer: FromCompactor | undefined;
    try {
      for (;;) {
        if (Atomics.load(stopWord, 0) !== 0) throw stoppedError(job.directory);
        const step = compaction.step();
        if (step === "done") break;
        if (step === "behind") compaction.refresh(await this.#newerIndex());
        const pauseMs = pace.pauseMs(compaction.bytes);
        if (pauseMs > 0) await new Promise<void>((resolve) => setTimeout(resolve, pauseMs));
      }
      answer = { type: "done", result: compaction.result };
    } catch (error) {
      const { leftDoubt } = compaction;
      answer = { type: "failed", error: plainError(error), leftDoubt };
    }
    try {
      compaction.close();
    } catch {
      // What could not be removed is removed by the next open.
    }
    this.#post(answer);
  }

  #newerIndex(): Promise<IndexHandle> {
    const { promise, resolve } = Promise.withResolvers<IndexHandle>();
    this.#index = resolve;
    this.#post({ type: "behind" });
    return promise;
  }
}

function serve(scope: DedicatedWorkerGlobalScope): void {
  const thread = new CompactionThread((answer) => scope.postMessage(answer));
  scope.onmessage = ({ data }: MessageEvent<ToCompactor>) => thread.receive(data);
}

// The owner imports this file too, so that `deno cache` sees it; there it must do nothing.
if (
  typeof DedicatedWorkerGlobalScope !== "undefined" &&
  self instanceof DedicatedWorkerGlobalScope && self.name === COMPACTION_WORKER_NAME
) serve(self);

import type { IndexHandle } from "../index/mod.ts";
import type { CompactionJob, CompactionResult } from "./job.ts";
import type { CompactionFailure } from "./protocol.ts";

/** Where compactions run: a thread of their own, or between the other work of the calling one. One at a time. */
export interface CompactionRunner {
  /** Threads running: 0 or 1. */
  readonly threads: number;
  /** Does a job. `index` gives the newest handle of the index. Never rejects. */
  run(job: CompactionJob, index: () => IndexHandle): Promise<CompactionResult | CompactionFailure>;
  /** Removes files of `directory`, each durably before the next. Resolves to the failure, if there was one. */
  remove(directory: string, names: readonly string[]): Promise<CompactionFailure | undefined>;
  /** The job that runs ends with `ABORTED` soon. */
  stop(): void;
  /** As `stop`, for good. Resolves to true when nothing runs any more, to false after `timeoutMs`. */
  close(timeoutMs: number): Promise<boolean>;
  /** Calls `listener` once nothing runs any more, after a `close` that could not wait. */
  onceEnded(listener: () => void): void;
}

/** True if it came to nothing. */
export function hasFailed<T extends object>(
  outcome: T | CompactionFailure,
): outcome is CompactionFailure {
  return "leftDoubt" in outcome;
}

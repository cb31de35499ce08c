/** The two jobs beside the main thread. One worker has the first, several may share the second. */
export const Role = { log: "log", flush: "flush" } as const;

/** One of {@linkcode Role}. */
export type Role = typeof Role[keyof typeof Role];

/**
 * Who runs the loops: real Workers ({@linkcode WorkerHost}) or the calling thread itself
 * ({@linkcode InlineHost}). Failures are told through `Control.fail`, never thrown.
 */
export interface Host {
  /** Starts the log worker, if that is a thread, and resolves when it answers; rejects if it cannot start, or has not after `timeoutMs`. */
  start(timeoutMs: number): Promise<void>;

  /** Rings the doorbell of a role and sees to it that somebody answers: so many workers, as far as there are. */
  ring(role: Role, workers?: number): void;

  /** Sees to it that so many workers of a role run, as far as there are, without calling them. */
  keep(role: Role, workers: number): void;

  /** Tells the workers of a slot's new memory, before its generation is counted up. */
  sendBuffer(slot: number, generation: number, buffer: SharedArrayBuffer): void;

  /** Calls `listener` once, as soon as `Word.progress` is no longer `seen`. One listener at a time. */
  onceProgress(seen: number, listener: () => void): void;

  /** Lets the workers finish what is published, and ends them. Resolves to true when no thread is left, to false after `timeoutMs`. */
  stop(timeoutMs: number): Promise<boolean>;

  /** Calls `listener` when the last of the threads that run now has ended. One listener at a time. */
  onceEnded(listener: () => void): void;

  /** Where the threads that run now note their calls of the file system, for `watchDiskHealth`. */
  readonly disks: readonly SharedArrayBuffer[];

  /** How many threads run now. */
  readonly threads: number;
}

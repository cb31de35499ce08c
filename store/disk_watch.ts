import { type DiskHealthWatch, type SlowOperation, watchDiskHealth } from "../vfs/mod.ts";

/** What a {@linkcode DiskWatch} looks at. */
export interface DiskWatchParts {
  /** From how many milliseconds on a call, or no progress, is slow. */
  readonly thresholdMs: number;
  /** Where the threads that run now note their calls of the file system. */
  readonly disks: () => readonly SharedArrayBuffer[];
  /** Counts whatever the disk gets done. */
  readonly progress: () => number;
  /** Writes that wait for the disk. */
  readonly waiting: () => number;
  /**
   * Told once when a call becomes slow, and each time its duration has doubled, while it goes on; or,
   * if nothing moves though writes wait and no call is known that could be why, of that.
   */
  readonly onSlow: (
    durationMs: number,
    waiting: number,
    operation: SlowOperation | undefined,
  ) => void;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
}

/**
 * Looks every quarter of the threshold which calls of the worker threads go on, and whether the disk
 * moves while writes wait for it.
 */
export class DiskWatch {
  readonly #parts: DiskWatchParts;
  readonly #now: () => number;
  readonly #watches = new Map<SharedArrayBuffer, DiskHealthWatch>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #seen = -1;
  #since = 0;
  #tellAt = 0;

  /** Will look when `start` is called. */
  constructor(parts: DiskWatchParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Looks from now on; keeps no program alive. */
  start(): void {
    this.#timer ??= setInterval(() => this.poll(), Math.max(1, this.#parts.thresholdMs / 4));
    Deno.unrefTimer(this.#timer);
  }

  /** Looks no more. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Looks now. */
  poll(): void {
    const isCallSlow = this.#lookAtCalls();
    const { progress, waiting, thresholdMs, onSlow } = this.#parts;
    const seen = progress();
    const time = this.#now();
    const waits = waiting();
    if (seen !== this.#seen || waits === 0) {
      this.#seen = seen;
      this.#since = time;
      this.#tellAt = thresholdMs;
      return;
    }
    const durationMs = time - this.#since;
    if (durationMs < this.#tellAt) return;
    this.#tellAt = 2 * durationMs;
    if (!isCallSlow) onSlow(durationMs, waits, undefined);
  }

  /** True if a call is slow. */
  #lookAtCalls(): boolean {
    const disks = this.#parts.disks();
    for (const disk of this.#watches.keys()) {
      if (!disks.includes(disk)) this.#watches.delete(disk);
    }
    let isSlow = false;
    for (const disk of disks) {
      const watch = this.#watches.get(disk) ?? this.#watch(disk);
      watch.poll();
      isSlow ||= watch.isSlow;
    }
    return isSlow;
  }

  #watch(disk: SharedArrayBuffer): DiskHealthWatch {
    const { onSlow, thresholdMs, waiting } = this.#parts;
    const watch = watchDiskHealth(disk, {
      thresholdMs,
      intervalMs: 0,
      now: this.#now,
      onSlow: (operation) => onSlow(operation.durationMs, waiting(), operation),
    });
    this.#watches.set(disk, watch);
    return watch;
  }
}

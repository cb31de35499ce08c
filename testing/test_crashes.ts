import {
  CrashFs,
  type CrashOptions,
  type Fs,
  type FsOperation,
  InterceptFs,
  nameOperations,
  printOperation,
  syncOperations,
  writeOperations,
} from "../vfs/mod.ts";

/** A program to be crashed, and what must be true afterwards. `Promised` is whatever it promises. */
export interface CrashScenario<Promised> {
  /**
   * Brings the file system to the state from which `run` starts; nothing crashes here. Whatever it
   * leaves unsynced can be lost by a crash in `run`.
   */
  readonly prepare?: (fs: Fs) => void | Promise<void>;
  /**
   * Does the program's work, once, from start to end. It calls `promise` at the moment from which
   * something must survive a crash: where a real program would answer "stored". It must always do
   * the same: no time, no randomness of its own.
   */
  readonly run: (fs: Fs, promise: (what: Promised) => void) => void | Promise<void>;
  /**
   * Looks at what a crash left, as the program would after a restart, and throws if one of the
   * promises made before the crash does not hold.
   */
  readonly check: (fs: Fs, promised: readonly Promised[]) => void | Promise<void>;
}

/** How many crashes, and which. */
export interface CrashTestOptions {
  /** Different states to try for each moment. Default 50: the four extremes (names or data all lost or all kept), the rest by seed. */
  readonly statesPerMoment?: number;
  /** The first seed. Default 0. */
  readonly seed?: number;
  /** Only one crash, as a failure's message names it: to look at it in a debugger. */
  readonly only?: { readonly moment: number; readonly seed: number };
  /** Wraps what `run` works on: a `FaultFs` with rules, say. Default: nothing. */
  readonly wrap?: (fs: CrashFs) => Fs;
}

/** What {@linkcode testCrashes} did. */
export interface CrashTestReport {
  /** Moments at which the program was crashed: before each call that changes or syncs, and at the end. */
  readonly moments: number;
  /** Crashes whose state was checked. */
  readonly crashes: number;
}

interface Crash<Promised> {
  readonly moment: number;
  readonly seed: number;
  readonly before: string;
  readonly promised: readonly Promised[];
  readonly fs: CrashFs;
}

/**
 * Runs a program on a `CrashFs`, takes what a power loss would leave at every moment of the run, in
 * several variants each, and checks it.
 *
 * Rejects with the first check that failed; its message names the moment and the seed, its cause is
 * what the check threw. What `run` itself throws is thrown as it is.
 */
export async function testCrashes<Promised>(
  scenario: CrashScenario<Promised>,
  options: CrashTestOptions = {},
): Promise<CrashTestReport> {
  const states = options.statesPerMoment ?? 50;
  const firstSeed = options.seed ?? 0;
  const base = new CrashFs();
  await scenario.prepare?.(base);

  const crashes: Crash<Promised>[] = [];
  const promised: Promised[] = [];
  let moments = 0;
  const crashBefore = (before: string): void => {
    const moment = moments++;
    if (options.only !== undefined && options.only.moment !== moment) return;
    const made = [...promised];
    for (let variant = 0; variant < states; variant++) {
      const seed = firstSeed + moment * states + variant;
      if (options.only !== undefined && options.only.seed !== seed) continue;
      const fs = base.crashClone(variantOf(variant, seed));
      crashes.push({ moment, seed, before, promised: made, fs });
    }
  };
  const watched = watch(options.wrap?.(base) ?? base, crashBefore);
  await scenario.run(watched, (what) => promised.push(what));
  crashBefore("the end");

  for (const crash of crashes) {
    const { fs } = crash;
    try {
      await scenario.check(fs, crash.promised);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(
        `After a crash before ${crash.before} (moment ${crash.moment}, seed ${crash.seed}) ` +
          `the check failed: ${reason}`,
        { cause },
      );
    }
  }
  return { moments, crashes: crashes.length };
}

/** The extremes first: most bugs show in one of them. */
function variantOf(variant: number, seed: number): CrashOptions {
  switch (variant) {
    case 0:
      return { seed, keepData: 0, keepNames: 0 };
    case 1:
      return { seed, keepData: 1, keepNames: 1 };
    case 2:
      return { seed, keepData: 0, keepNames: 1 };
    case 3:
      return { seed, keepData: 1, keepNames: 0 };
    default:
      return { seed };
  }
}

const crashing = new Set([...writeOperations, ...nameOperations, ...syncOperations]);

/** Calls `before` ahead of every call that a crash can fall in front of. */
function watch(fs: Fs, before: (operation: string) => void): Fs {
  const meet = (operation: FsOperation): void => {
    if (crashing.has(operation.kind)) before(printOperation(operation));
  };
  return new InterceptFs("watched", fs, {
    call(operation, run) {
      meet(operation);
      return run();
    },
    callAsync(_operation, run) {
      return run();
    },
  });
}

import assert from "node:assert/strict";
import { CrashFs, type Fault, FaultFs, FlagstoneError, type Fs } from "../../vfs/mod.ts";

/** A program of which each call of the file system shall fail once. */
export interface FailingProgram {
  /** Brings a fresh file system to where the program starts. All of it counts as synced. */
  readonly prepare?: (fs: Fs) => void;
  /** The program. */
  readonly run: (fs: Fs) => void;
  /** Looks at what is left, and at what the program threw: undefined where it went well in spite of the failure. */
  readonly check: (left: CrashFs, error: FlagstoneError | undefined) => void;
  /** How calls fail. Default: with `IO`, having done nothing. */
  readonly fault?: Fault;
  /** How many calls fail in a row. Default 1. */
  readonly times?: number;
}

/** Runs the program once for each of its calls, which then fails; returns how many there were. */
export function failEachCall(program: FailingProgram): number {
  const { prepare, run, check, times = 1 } = program;
  const fault: Fault = program.fault ?? { kind: "error", code: "IO" };
  for (let skip = 0;; skip++) {
    const fresh = new CrashFs();
    prepare?.(fresh);
    const fs = fresh.crashClone({ seed: 0, keepData: 1, keepNames: 1 });
    const faults = new FaultFs(fs);
    const armed = faults.arm({ skip, times, fault });
    let error: FlagstoneError | undefined;
    try {
      run(faults);
    } catch (thrown) {
      if (!(thrown instanceof FlagstoneError)) throw thrown;
      error = thrown;
    }
    if (armed.strikes === 0) {
      assert.equal(error, undefined, "without a failure the program runs through");
      return skip;
    }
    try {
      check(fs, error);
    } catch (cause) {
      const what = error?.message ?? "no error";
      throw new Error(`With call ${skip} failing (${what}) the check failed: ${cause}`, { cause });
    }
  }
}

import { FlagstoneError } from "../mod.ts";
import { CrashFs, DenoFs, type Fs, InterceptFs } from "../vfs/mod.ts";

/** A disk that can lose power: what survives is on the one that `crash` returns. */
export interface Disk {
  readonly fs: Fs;
  readonly root: string;
  crash(seed: number): Disk;
}

/** A disk in memory. */
export function memoryDisk(fs: CrashFs = new CrashFs()): Disk {
  const power = new Power(fs);
  return {
    fs: power.fs,
    root: "/root",
    crash(seed) {
      power.isOff = true;
      return memoryDisk(fs.crashClone({ seed }));
    },
  };
}

/** A disk of real files below `root`, which a crash rewrites. */
export function realDisk(root: string, fs?: CrashFs): Disk {
  const crashing = fs ?? new CrashFs({ over: new DenoFs(), root });
  const power = new Power(crashing);
  return {
    fs: power.fs,
    root,
    crash(seed) {
      power.isOff = true;
      crashing.crash({ seed });
      return realDisk(root, crashing);
    },
  };
}

/** Nothing that a store does after its crash reaches the disk. */
class Power {
  isOff = false;
  readonly fs: Fs;

  constructor(inner: Fs) {
    const check = () => {
      if (this.isOff) throw new FlagstoneError("IO", "The power is off.");
    };
    this.fs = new InterceptFs("power", inner, {
      call: (operation, run) => {
        // Handles of a dead program are closed by the system.
        if (operation.kind !== "close") check();
        return run();
      },
      callAsync: async (_operation, run) => {
        check();
        return await run();
      },
    });
  }
}

import { FlagstoneError } from "../errors/mod.ts";
import { InterceptFs, type InterceptHooks } from "./intercept_fs.ts";
import { type FsOperation, printOperation } from "./operations.ts";
import type { Fs } from "./types.ts";

/** Tells `log` each call once it is over, such as `writeAt /log @4096 +512: 0.02 ms` or `open /a: NOT_FOUND`. */
export function withLogging(fs: Fs, log: (line: string) => void): Fs {
  const start = (operation: FsOperation) => {
    const begun = performance.now();
    return {
      well: () => log(`${printOperation(operation)}: ${(performance.now() - begun).toFixed(2)} ms`),
      failed: (error: unknown) => {
        const code = error instanceof FlagstoneError ? error.code : String(error);
        log(`${printOperation(operation)}: ${code}`);
      },
    };
  };
  const hooks: InterceptHooks = {
    call(operation, run) {
      const { well, failed } = start(operation);
      try {
        const result = run();
        well();
        return result;
      } catch (error) {
        failed(error);
        throw error;
      }
    },
    async callAsync(operation, run) {
      const { well, failed } = start(operation);
      try {
        const result = await run();
        well();
        return result;
      } catch (error) {
        failed(error);
        throw error;
      }
    },
  };
  return new InterceptFs("logging", fs, hooks);
}

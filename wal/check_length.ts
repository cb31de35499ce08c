import { FlagstoneError } from "../errors/mod.ts";
import type { File } from "../vfs/mod.ts";

/**
 * Throws `CORRUPT` unless a log that goes on being written has at least the `bytes` that were
 * written to it: somebody else removed or cut it, and writing on would leave a hole.
 */
export function checkLength(file: File, bytes: number): void {
  const found = file.stat().size;
  if (found >= bytes) return;
  throw new FlagstoneError(
    "CORRUPT",
    `Cannot write to ${file.path}: it has ${found} bytes, of ${bytes} that were written. It was ` +
      `removed or cut by somebody else.`,
    { path: file.path, offset: found },
  );
}

import { FlagstoneError } from "../errors/mod.ts";

/** What {@linkcode classifyIoError} tells apart. */
export type IoErrorClass = "refused" | "retryable" | "fatal";

/**
 * What a failure of a file-system call means for the caller:
 *
 * - `refused`: the call did nothing and would be refused again: the path, the argument or the
 *   permission is wrong. An error of the program or its surroundings.
 * - `retryable`: the call did nothing that counts and may go well later: the disk is full
 *   (`NO_SPACE`), another owner has it (`LOCKED`, `BUSY`), the caller gave up (`ABORTED`). A write
 *   may have left a prefix, which the next one must overwrite.
 * - `fatal`: it is unknown what is on the disk. Do not try again; stop writing, and find out what is
 *   there by opening anew. Every failure of a sync is one, whatever its code: the system may have
 *   dropped what was written, and a later sync would succeed without it. So are device errors (`IO`),
 *   a file system that turned read-only, `CORRUPT`, `STALLED`, and whatever is no
 *   {@linkcode FlagstoneError}.
 */
export function classifyIoError(error: unknown): IoErrorClass {
  if (!(error instanceof FlagstoneError)) return "fatal";
  if (isSync(error.operation)) return error.code === "CLOSED" ? "refused" : "fatal";
  switch (error.code) {
    case "NO_SPACE":
    case "BUSY":
    case "LOCKED":
    case "ABORTED":
      return "retryable";
    case "READ_ONLY":
      // A handle that is open for reading refuses by itself; the system's refusal has a cause: a
      // file system that takes no writes any more, mostly after errors of the device.
      return error.cause === undefined ? "refused" : "fatal";
    case "IO":
    case "CORRUPT":
    case "STALLED":
    case "WRITE_FAILED":
    case "WORKER_DIED":
      return "fatal";
    default:
      return "refused";
  }
}

function isSync(operation: string | undefined): boolean {
  return operation === "sync" || operation === "syncData" || operation === "syncTo";
}

import { FlagstoneError } from "../errors/mod.ts";

/** What a closed log says. */
export function closedError(directory: string): FlagstoneError {
  return new FlagstoneError(
    "CLOSED",
    `Cannot use the log in ${directory}: it was closed. Open it again.`,
    { path: directory },
  );
}

/** What a log says that cannot do it now, and why. */
export function busyError(directory: string, why: string): FlagstoneError {
  return new FlagstoneError(
    "BUSY",
    `Cannot use the log in ${directory} like this now: ${why}.`,
    { path: directory },
  );
}

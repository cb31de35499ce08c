import { ArgumentError, FlagstoneError, refuseUnknown, show } from "../errors/mod.ts";

/** Options of a call that takes long. */
export interface LongOptions<Progress> {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** Throws {@linkcode ArgumentError} for options that are none. */
export function checkLongOptions<Progress>(options: LongOptions<Progress>): void {
  refuseUnknown(options, ["signal", "onProgress"], "options");
  const { signal, onProgress } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    const message = `options.signal must be an AbortSignal: ${show(signal)}`;
    throw new ArgumentError("options.signal", message);
  }
  if (onProgress !== undefined && typeof onProgress !== "function") {
    const message = `options.onProgress must be a function: ${show(onProgress)}`;
    throw new ArgumentError("options.onProgress", message);
  }
}

/** Throws `ABORTED` if the signal has fired; `what` was going on in `path`. */
export function refuseAborted(signal: AbortSignal | undefined, what: string, path: string): void {
  if (signal?.aborted !== true) return;
  throw new FlagstoneError("ABORTED", `${what} was aborted.`, { path, cause: signal.reason });
}

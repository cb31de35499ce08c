import { FlagstoneError } from "../errors/mod.ts";

/** Throws `ABORTED` if `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal);
}

/**
 * As `work`, but rejects with `ABORTED` as soon as `signal` fires. Then nobody gets what `work`
 * resolves to, so `abandoned` is called with it, now or later, to give it back.
 */
export function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  abandoned: (value: T) => void,
): Promise<T> {
  if (signal === undefined) return work;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = () => {
    // If `work` has rejected, that is one failure of a call that has failed anyway.
    work.then(abandoned, () => {});
    reject(abortedError(signal));
  };
  if (signal.aborted) {
    abort();
    return promise;
  }
  signal.addEventListener("abort", abort, { once: true });
  // Settled and deaf in one step: else a signal in between would give back what the caller has.
  work.then((value) => {
    signal.removeEventListener("abort", abort);
    resolve(value);
  }, (error) => {
    signal.removeEventListener("abort", abort);
    reject(error);
  });
  return promise;
}

function abortedError(signal: AbortSignal): FlagstoneError {
  return new FlagstoneError(
    "ABORTED",
    "The write was aborted before it had a place in the log: nothing was written.",
    { cause: signal.reason },
  );
}

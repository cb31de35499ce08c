import { FlagstoneError } from "../errors/mod.ts";

/** Whether a log store is open, and whether it still takes writes: the part that all stores share. */
export class LogStoreState {
  /** The file or directory, for messages. */
  readonly path: string;
  #closed = false;
  #failure: FlagstoneError | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** True once a change or a sync has failed. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Throws `CLOSED` after {@linkcode close}. */
  checkOpen(operation: string): void {
    if (!this.#closed) return;
    throw new FlagstoneError("CLOSED", `Cannot ${operation}: the log ${this.path} is closed.`, {
      operation,
      path: this.path,
    });
  }

  /** Throws `CLOSED` after {@linkcode close}, and the first failure if there was one. */
  checkWritable(operation: string): void {
    this.checkOpen(operation);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Does what changes the store or makes it durable. If that throws, it was the last such call. */
  change<T>(operation: string, work: () => T): T {
    this.checkWritable(operation);
    try {
      return work();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.#failure = new FlagstoneError(
        "WRITE_FAILED",
        `The log ${this.path} takes no more writes, for ${operation} failed: ${reason}. Nothing ` +
          `written since the last sync can be relied on: close the log and open it again.`,
        { operation, path: this.path, cause },
      );
      throw this.#failure;
    }
  }

  /** Marks it closed; false if it was already. */
  close(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    return true;
  }
}

/** Does every step, also after one that throws; throws the first error in the end. */
export function doAll(...steps: (() => void)[]): void {
  const errors: unknown[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

import { ForwardFile, ForwardFs, type OpenKind } from "./_forward_fs.ts";
import type { File, Fs, Lock } from "./types.ts";

/** A handle that is open. */
export interface OpenHandle {
  /** The path that it was opened by. */
  readonly path: string;
  /** How it was opened, such as `create` or `lock`. */
  readonly operation: string;
  /** Where in the program. */
  readonly stack: string;
}

/** A file system that knows what is open. */
export interface TrackingFs extends Fs {
  /** What is open now, oldest first. */
  openHandles(): OpenHandle[];
  /** Throws an Error that lists where each open handle was opened, unless there is none. For the end of a test. */
  assertClosed(): void;
}

/** Tracks open handles and locks, each with the place in the program that opened it. */
export function withTracking(fs: Fs): TrackingFs {
  return new Tracking(fs);
}

class Tracking extends ForwardFs implements TrackingFs {
  readonly #open = new Set<OpenHandle>();

  constructor(inner: Fs) {
    super("tracking", inner);
  }

  openHandles(): OpenHandle[] {
    return [...this.#open];
  }

  assertClosed(): void {
    if (this.#open.size === 0) return;
    const list = this.openHandles().map(({ path, operation, stack }) => {
      return `${operation} ${path}\n${stack}`;
    });
    throw new Error(`${this.#open.size} handles are open:\n${list.join("\n")}`);
  }

  override lock(path: string): Lock {
    const lock = super.lock(path);
    const forget = this.#remember(path, "lock");
    const close = () => {
      lock.close();
      forget();
    };
    return { close, [Symbol.dispose]: close };
  }

  protected override wrap(file: File, how: OpenKind): File {
    return new TrackedFile(file, this.#remember(file.path, how));
  }

  #remember(path: string, operation: string): () => void {
    const lines = (new Error().stack ?? "").split("\n").slice(1);
    const callers = lines.findIndex((line) => !/\/(tracking|_forward_fs)\.ts/.test(line));
    const stack = lines.slice(callers).join("\n");
    const handle: OpenHandle = { path, operation, stack };
    this.#open.add(handle);
    return () => this.#open.delete(handle);
  }
}

class TrackedFile extends ForwardFile {
  readonly #forget: () => void;

  constructor(inner: File, forget: () => void) {
    super(inner);
    this.#forget = forget;
  }

  override close(): void {
    super.close();
    this.#forget();
  }
}

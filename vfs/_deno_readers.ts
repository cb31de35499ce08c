import { closedError } from "./_check.ts";
import { denoError, isInterrupted } from "./_deno_errors.ts";

/** More reads than this at once gain nothing: Deno's own pool of blocking threads is no larger. */
const MAX_HANDLES = 16;

/** What is kept open between reads: descriptors are scarce where many files are open. */
const MAX_IDLE = 4;

/**
 * Reads of one file that do not block the thread. A handle has one cursor, so each read under way
 * has a handle of its own, taken from a short list and put back; they are opened by path, and one
 * that turns out to be another file (renamed, replaced) is not used.
 */
export class DenoReaders {
  readonly #path: string;
  readonly #device: number;
  readonly #inode: number;
  readonly #idle: Deno.FsFile[] = [];
  readonly #waiting: (() => void)[] = [];
  #opened = 0;
  #closed = false;
  /** The name no longer leads to the file: open no more. */
  #nameIsGone = false;

  constructor(path: string, device: number, inode: number) {
    this.#path = path;
    this.#device = device;
    this.#inode = inode;
    // Without an inode number (some Windows volumes) nothing proves that a path is the same file.
    if (inode === 0) this.#nameIsGone = true;
  }

  /** Fills `into` from `offset`; undefined if no handle can be had, and the caller must read itself. */
  async readAt(into: Uint8Array, offset: number): Promise<number | undefined> {
    let handle = this.#take();
    while (handle === undefined && this.#opened > 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (this.#closed) throw closedError("readAtAsync", this.#path);
      handle = this.#take();
    }
    if (handle === undefined) return undefined;
    try {
      return await this.#fill(handle, into, offset);
    } catch (error) {
      throw denoError(error, "readAtAsync", this.#path);
    } finally {
      this.#giveBack(handle);
    }
  }

  /** Closes what is idle; reads under way finish and close theirs. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const handle of this.#idle.splice(0)) handle.close();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #fill(handle: Deno.FsFile, into: Uint8Array, offset: number): Promise<number> {
    handle.seekSync(offset, Deno.SeekMode.Start);
    let done = 0;
    while (done < into.length) {
      try {
        const count = await handle.read(done === 0 ? into : into.subarray(done));
        if (count === null || count === 0) break;
        done += count;
      } catch (error) {
        if (!isInterrupted(error)) throw error;
      }
    }
    return done;
  }

  #take(): Deno.FsFile | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#nameIsGone || this.#opened >= MAX_HANDLES) return undefined;
    let handle: Deno.FsFile;
    try {
      handle = Deno.openSync(this.#path, { read: true });
    } catch {
      // Out of descriptors, or the name is gone: both mean that the first handle must do.
      this.#nameIsGone = this.#opened === 0;
      return undefined;
    }
    if (!this.#isSameFile(handle)) {
      handle.close();
      this.#nameIsGone = true;
      return undefined;
    }
    this.#opened++;
    return handle;
  }

  #isSameFile(handle: Deno.FsFile): boolean {
    try {
      const { dev, ino } = handle.statSync();
      return dev === this.#device && ino === this.#inode;
    } catch {
      // The path went away between open and stat, which Deno looks at once more.
      return false;
    }
  }

  #giveBack(handle: Deno.FsFile): void {
    if (this.#closed) {
      handle.close();
      return;
    }
    const next = this.#waiting.shift();
    if (next === undefined && this.#idle.length >= MAX_IDLE) {
      handle.close();
      this.#opened--;
      return;
    }
    this.#idle.push(handle);
    next?.();
  }
}

import { fsError } from "./_check.ts";
import type { File, Fs } from "./types.ts";

/** One logical handle: how to open its file again, and the descriptor while there is one. */
export interface Descriptor {
  /** Where the file is now, as far as this process moved it; normalised. */
  path: string;
  readonly open: "read" | "write" | "directory";
  readonly device: number;
  readonly inode: number;
  inner: File | undefined;
  /** Written since the last sync: closing it would lose the report of a failed write-back. */
  dirty: boolean;
  /** Calls under way that do not block the thread. */
  pins: number;
  /** No name leads to the file any more, or nothing would prove that it does: never closed. */
  nameless: boolean;
  /** Used since the clock's hand passed. */
  used: boolean;
  /** Why a write-back before an eviction failed: what was written cannot be relied on. */
  failure: unknown;
}

/** Which descriptors are open, and which of them is closed to make room. */
export class DescriptorCache {
  readonly #fs: Fs;
  readonly #limit: number;
  /** Those that are open, in the order of the clock. */
  readonly #open: Descriptor[] = [];
  #hand = 0;
  evictions = 0;

  constructor(fs: Fs, limit: number) {
    this.#fs = fs;
    this.#limit = limit;
  }

  get openCount(): number {
    return this.#open.length;
  }

  /** Takes in a descriptor that was just opened, and closes another one if there are too many. */
  add(descriptor: Descriptor): void {
    descriptor.used = true;
    this.#open.push(descriptor);
    while (this.#open.length > this.#limit && this.#evict(descriptor));
  }

  /** The descriptor's file, opened again if it must be. Nothing is closed for an open that fails. */
  file(descriptor: Descriptor, operation: string): File {
    if (descriptor.inner !== undefined) {
      descriptor.used = true;
      return descriptor.inner;
    }
    descriptor.inner = this.#reopen(descriptor, operation);
    this.add(descriptor);
    return descriptor.inner;
  }

  /** Closes it for good. */
  close(descriptor: Descriptor): void {
    const { inner } = descriptor;
    if (inner === undefined) return;
    this.#forget(descriptor);
    inner.close();
  }

  #reopen(descriptor: Descriptor, operation: string): File {
    const { path } = descriptor;
    // Asked first: opening for writing would create what is missing.
    this.#check(descriptor, this.#fs.stat(path), operation);
    const inner = descriptor.open === "directory"
      ? this.#fs.openDir(path)
      : descriptor.open === "read"
      ? this.#fs.open(path)
      : this.#fs.openReadWrite(path);
    try {
      this.#check(descriptor, inner.stat(), operation);
    } catch (error) {
      inner.close();
      throw error;
    }
    return inner;
  }

  #check(descriptor: Descriptor, found: { device: number; inode: number }, operation: string) {
    if (found.device === descriptor.device && found.inode === descriptor.inode) return;
    throw fsError(
      "NOT_FOUND",
      operation,
      descriptor.path,
      "the name was given to another file while no descriptor was open",
    );
  }

  /**
   * The clock: once around without regard for what is dirty, for it costs a sync, and twice to
   * clear the marks of use. Where everything is pinned, there is one more for a while.
   */
  #evict(kept: Descriptor): boolean {
    const victim = this.#sweep(kept, false) ?? this.#sweep(kept, true);
    if (victim?.inner === undefined) return false;
    if (victim.dirty) {
      try {
        victim.inner.sync();
      } catch (error) {
        // Nobody is there to be told now: the owner learns it from its next call.
        victim.failure = error;
      }
      victim.dirty = false;
    }
    const { inner } = victim;
    this.#forget(victim);
    this.evictions++;
    inner.close();
    return true;
  }

  #sweep(kept: Descriptor, dirtyToo: boolean): Descriptor | undefined {
    for (let step = 2 * this.#open.length; step > 0; step--) {
      this.#hand = (this.#hand + 1) % this.#open.length;
      const candidate = this.#open[this.#hand];
      if (candidate === undefined || candidate === kept) continue;
      if (candidate.pins > 0 || candidate.nameless || (candidate.dirty && !dirtyToo)) continue;
      if (!candidate.used) return candidate;
      candidate.used = false;
    }
    return undefined;
  }

  #forget(descriptor: Descriptor): void {
    descriptor.inner = undefined;
    const at = this.#open.indexOf(descriptor);
    if (at < 0) return;
    // The last one takes the place: the order of a clock is no matter of correctness.
    const last = this.#open.pop();
    if (last !== undefined && at < this.#open.length) this.#open[at] = last;
  }
}

import type { LentValue } from "../codec/mod.ts";
import type { BlobReference } from "../blobs/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { CompressionSettings } from "./compression.ts";
import type { KeyBuffer } from "./keys.ts";

/** A write taken apart, for when it cannot be done at once. */
export interface PreparedWrite {
  /** `RecordKind.put` or `RecordKind.delete`. */
  readonly kind: number;
  /** The key's bytes. */
  readonly key: Uint8Array;
  /** Lasting bits of `RecordFlag`. */
  flags: number;
  /** The value as readers get it: compressed if `flags` say so. `undefined` for a delete, or if readers must wait. */
  value: Uint8Array | undefined;
  /** When the value ends, in ms since the epoch; 0 if it does not. */
  readonly expiresAt: number;
  /** Space of the record. */
  space: number;
  /** Of a value in a file of its own: which one, once it is durable. That is what is stored, instead of the value. */
  file?: BlobReference;
  /** Of a value that is being compressed on another thread: until it is, `value` is its raw form. */
  readonly lent: LentValue | undefined;
  /** The word of the key's lock. */
  readonly lock: number;
  /** The key's hash, as a string: names the key where a string is needed. */
  readonly fingerprint: string;
  /** Version that the key must have: see `WriteSettings.condition`. */
  readonly condition: number;
  /** Which operation of a batch it is, counted from 0. */
  readonly index: number | undefined;
  /** Of an operation of a batch: how its value is to be compressed; `undefined`: not at all. */
  readonly compression: CompressionSettings | undefined;
}

/** The hash that `keys` holds, as a string. */
export function fingerprintOf(keys: KeyBuffer): string {
  const { h0, h1, h2, h3 } = keys.hash;
  return `${h0}:${h1}:${h2}:${h3}`;
}

/** The newest waiting write of a key, and what ends when it has its place or has failed. */
interface Shown {
  readonly write: PreparedWrite;
  waiting: Promise<unknown>;
}

/**
 * Writes that were called but are not in the log yet, because they wait for memory or for a key's
 * lock. Readers look here first: who reads after a call sees what was called.
 */
export class PendingWrites {
  readonly #newest = new Map<string, Shown>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #maxBytes: number;
  #bytes = 0;

  /** Lets writes of `maxBytes` in all wait, or one that is larger. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** How many keys have a waiting write. */
  get size(): number {
    return this.#newest.size;
  }

  /** How many calls wait. */
  get calls(): number {
    return this.#running.size;
  }

  /** Space in the log that is waited for. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The newest waiting write of the key that `keys` holds. */
  find(keys: KeyBuffer): PreparedWrite | undefined {
    return this.#newest.size === 0 ? undefined : this.#newest.get(fingerprintOf(keys))?.write;
  }

  /** Resolves when the newest waiting write of the key that `keys` holds waits no more; `undefined` if there is none. */
  settledOf(keys: KeyBuffer): Promise<unknown> | undefined {
    if (this.#newest.size === 0) return undefined;
    return this.#newest.get(fingerprintOf(keys))?.waiting.catch(() => {});
  }

  /** Throws `BUSY` if `bytes` more are too many to wait. One write alone is never too large. */
  admit(bytes: number): void {
    if (this.#bytes === 0 || this.#bytes + bytes <= this.#maxBytes) return;
    throw new FlagstoneError(
      "BUSY",
      `Cannot take a write of ${bytes} bytes: ${this.#bytes} bytes wait for their place already, ` +
        `and maxWaitingBytes is ${this.#maxBytes}. Nothing was written; wait for other writes, ` +
        `then try again.`,
    );
  }

  /** Shows `writes` to readers, and counts `bytes` as waiting, while `work`, which does them, has not ended. */
  during<T>(
    writes: readonly PreparedWrite[],
    bytes: number,
    work: () => Promise<T>,
  ): Promise<T> {
    this.admit(bytes);
    this.#bytes += bytes;
    const shown = writes.map((write): Shown => ({ write, waiting: Promise.resolve() }));
    for (const one of shown) this.#newest.set(one.write.fingerprint, one);
    const running = work().finally(() => {
      this.#bytes -= bytes;
      this.#running.delete(running);
      for (const { write } of shown) this.placed(write);
    });
    for (const one of shown) one.waiting = running;
    this.#running.add(running);
    return running;
  }

  /** `write` is in the index, or never will be: readers need not see it here any more. */
  placed(write: PreparedWrite): void {
    if (this.#newest.get(write.fingerprint)?.write === write) {
      this.#newest.delete(write.fingerprint);
    }
  }

  /** Resolves when all that wait now have been done, or have failed. */
  async settled(): Promise<void> {
    if (this.#running.size > 0) await Promise.allSettled(this.#running);
  }
}

import type { KeyBuffer } from "./keys.ts";

/** A write taken apart, for when it cannot be done at once. */
export interface PreparedWrite {
  /** `RecordKind.put` or `RecordKind.delete`. */
  readonly kind: number;
  /** The key's bytes. */
  readonly key: Uint8Array;
  /** Lasting bits of `RecordFlag`. */
  readonly flags: number;
  /** The value; `undefined` for a delete. */
  readonly value: Uint8Array | undefined;
  /** Space of the record. */
  readonly space: number;
  /** The word of the key's lock. */
  readonly lock: number;
  /** The key's hash, as a string: names the key where a string is needed. */
  readonly fingerprint: string;
}

/** The hash that `keys` holds, as a string. */
export function fingerprintOf(keys: KeyBuffer): string {
  const { h0, h1, h2, h3 } = keys.hash;
  return `${h0}:${h1}:${h2}:${h3}`;
}

/**
 * Writes that were called but are not in the log yet, because they wait for memory or for a key's
 * lock. Readers look here first: who reads after a call sees what was called.
 */
export class PendingWrites {
  readonly #newest = new Map<string, PreparedWrite>();
  readonly #running = new Set<Promise<unknown>>();

  /** How many keys have a waiting write. */
  get size(): number {
    return this.#newest.size;
  }

  /** How many calls wait. */
  get calls(): number {
    return this.#running.size;
  }

  /** The newest waiting write of the key that `keys` holds. */
  find(keys: KeyBuffer): PreparedWrite | undefined {
    return this.#newest.size === 0 ? undefined : this.#newest.get(fingerprintOf(keys));
  }

  /** Shows `writes` to readers while `work`, which does them, has not ended. */
  during<T>(writes: readonly PreparedWrite[], work: () => Promise<T>): Promise<T> {
    for (const write of writes) this.#newest.set(write.fingerprint, write);
    const running = work().finally(() => {
      this.#running.delete(running);
      for (const write of writes) {
        if (this.#newest.get(write.fingerprint) === write) this.#newest.delete(write.fingerprint);
      }
    });
    this.#running.add(running);
    return running;
  }

  /** Resolves when all that wait now have been done, or have failed. */
  async settled(): Promise<void> {
    if (this.#running.size > 0) await Promise.allSettled(this.#running);
  }
}

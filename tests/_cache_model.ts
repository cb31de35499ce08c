import assert from "node:assert/strict";
import type { Store } from "../mod.ts";
import type { Fs } from "../vfs/mod.ts";
import { noise, randomOf } from "./_support.ts";

/** Length of all files in `dir` that `maxBytes` bounds. */
export function diskBytes(fs: Fs, dir: string): number {
  let bytes = 0;
  for (const name of fs.list(dir)) {
    if (name.startsWith("INDEX")) continue;
    try {
      bytes += fs.stat(`${dir}/${name}`).size;
    } catch {
      // It has gone meanwhile.
    }
  }
  return bytes;
}

/**
 * What a cache may say: of each key the newest value, or nothing; and a key that was seen to be missing
 * is so until it is put again, whatever crashes. Values tell their keys and numbers.
 */
export class CacheModel {
  readonly #newest = new Map<string, number>();
  readonly #missing = new Set<string>();
  #puts = 0;

  /** The value that the next put of `key`, of `size` bytes, is to have. */
  put(key: string, size: number): Uint8Array<ArrayBuffer> {
    const number = ++this.#puts;
    this.#newest.set(key, number);
    this.#missing.delete(key);
    return valueOf(key, number, size);
  }

  /** `key` was deleted. */
  delete(key: string): void {
    this.#newest.delete(key);
    this.#missing.add(key);
  }

  /** All are gone. */
  clear(): void {
    for (const key of this.#newest.keys()) this.#missing.add(key);
    this.#newest.clear();
  }

  /** Keys that were put and not seen to be missing. */
  get keys(): string[] {
    return [...this.#newest.keys()].filter((key) => !this.#missing.has(key));
  }

  /** `key` was read. */
  check(key: string, value: Uint8Array | undefined): void {
    if (value === undefined) return void this.#missing.add(key);
    const [found, number] = readValue(value);
    assert.equal(found, key);
    assert(!this.#missing.has(key), `${key} was missing, and is back with number ${number}`);
    assert.equal(number, this.#newest.get(key), `${key} is stale`);
  }

  /** Reads every key there ever was; returns how many there are. */
  async checkAll(store: Store): Promise<number> {
    let there = 0;
    for (const key of [...this.#newest.keys(), ...this.#missing]) {
      const value = await store.get(key);
      if (value !== undefined) there++;
      this.check(key, value);
    }
    return there;
  }
}

const HEAD_BYTES = 40;

function valueOf(key: string, number: number, size: number): Uint8Array<ArrayBuffer> {
  const value = noise(Math.max(size, HEAD_BYTES), number);
  value.fill(0, 0, HEAD_BYTES);
  new TextEncoder().encodeInto(`${key}|${number}|`, value);
  return value;
}

function readValue(value: Uint8Array): [string, number] {
  const [key, number] = new TextDecoder().decode(value.subarray(0, HEAD_BYTES)).split("|");
  assert.deepEqual(value, valueOf(key!, Number(number), value.length));
  return [key!, Number(number)];
}

/** How a random workload is made. */
export interface CacheLoad {
  readonly seed: number;
  readonly steps: number;
  readonly keys: number;
  readonly sizeOf: (random: () => number) => number;
  /** Called after each step. */
  readonly onStep?: (step: number) => void | Promise<void>;
}

/** Puts, batches, deletes, updates and reads at random, checking what is read. */
export async function runCacheLoad(
  store: Store,
  model: CacheModel,
  { seed, steps, keys, sizeOf, onStep }: CacheLoad,
): Promise<void> {
  const random = randomOf(seed);
  const keyOf = () => `key:${Math.floor(random() * random() * keys)}`;
  const durability = "written";
  for (let step = 0; step < steps; step++) {
    const choice = random();
    const key = keyOf();
    if (choice < 0.5) {
      const value = model.put(key, sizeOf(random));
      await store.put(key, value, { durability });
    } else if (choice < 0.6) {
      const names = [...new Set([key, keyOf(), keyOf()])];
      const operations = names.map((name) => ({
        type: "put" as const,
        key: name,
        value: model.put(name, 100),
      }));
      await store.batch(operations, { durability });
    } else if (choice < 0.63) {
      await store.delete(key, { durability });
      model.delete(key);
    } else if (choice < 0.66) {
      const update = (old: Uint8Array | undefined) => {
        model.check(key, old);
        return model.put(key, 200);
      };
      await store.update(key, update, { durability });
    } else if (choice < 0.7) {
      const names = [key, keyOf(), keyOf()];
      (await store.getMany(names)).forEach((value, i) => model.check(names[i]!, value));
    } else {
      model.check(key, await store.get(key));
    }
    await onStep?.(step);
  }
}

/**
 * What the number of keys costs, for keys of 16 bytes and values of 100, on real files in the page
 * cache: `deno run --allow-read --allow-write bench/keys_bench.ts [directory] [keys ...]`. Without
 * numbers, 100 K, 1 M and 10 M: some three minutes and 5 GB.
 *
 * Gets are of keys at random, medians of rounds, each over as many keys; "no cache" is with
 * `readCacheBytes: 0`, so that each is a read of a file, at any number of keys.
 */
import { open, type Store } from "../mod.ts";

const ROUNDS = 5;
const GETS = 200_000;
const VALUE = new Uint8Array(100).fill(7);

const keyOf = (i: number) => `key:${String(i).padStart(12, "0")}`;

/** Puts keys in an order without pattern. */
async function fill(store: Store, keys: number): Promise<void> {
  for (let i = 0; i < keys; i++) {
    const put = store.put(keyOf((i * 7_919) % keys), VALUE, { durability: "memory" });
    if (i % 1024 === 0) await put;
  }
  await store.flush();
}

/** Microseconds per get; every other round visits other keys. */
function gets(store: Store, keys: number): number {
  let state = 88_172_645;
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now();
    for (let i = 0; i < GETS; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      if (store.getSync(keyOf((state >>> 0) % keys)) === undefined) throw new Error("not found");
    }
    times.push((performance.now() - startedMs) * 1000 / GETS);
  }
  return times.sort((a, b) => a - b)[ROUNDS >> 1]!;
}

async function measure(directory: string, keys: number): Promise<Record<string, number>> {
  const written = await open(directory);
  const startedMs = performance.now();
  await fill(written, keys);
  const fillMs = performance.now() - startedMs;
  await written.close();

  const openedMs = performance.now();
  const store = await open(directory);
  const openMs = performance.now() - openedMs;
  const { indexMemoryBytes } = store.stats();
  gets(store, keys);
  const getUs = gets(store, keys);
  const listedMs = performance.now();
  let listed = 0;
  for await (const _ of store.list()) listed++;
  const listMs = performance.now() - listedMs;
  if (listed !== keys) throw new Error(`${listed} keys`);
  await store.close();

  const uncached = await open(directory, { readCacheBytes: 0 });
  gets(uncached, keys);
  const uncachedUs = gets(uncached, keys);
  await uncached.close();
  const rounded = (value: number, digits: number) => Number(value.toFixed(digits));
  return {
    "puts, K/s": rounded(keys / fillMs, 0),
    "open, ms": rounded(openMs, 1),
    "index, bytes a key": rounded(indexMemoryBytes / keys, 1),
    "get, us": rounded(getUs, 2),
    "get, no cache, us": rounded(uncachedUs, 2),
    "keys listed, K/s": rounded(listed / listMs, 0),
  };
}

const [dir, ...numbers] = Deno.args;
const root = await Deno.makeTempDir(dir === undefined ? {} : { dir });
try {
  const figures: Record<string, Record<string, number>> = {};
  for (const keys of numbers.length > 0 ? numbers.map(Number) : [100_000, 1_000_000, 10_000_000]) {
    const directory = `${root}/store`;
    figures[`${keys} keys`] = await measure(directory, keys);
    await Deno.remove(directory, { recursive: true });
  }
  console.table(figures);
} finally {
  await Deno.remove(root, { recursive: true });
}

/**
 * What the index costs at 100 K, 1 M and 10 M keys of 16 bytes:
 * `deno run bench/index_bench.ts [most keys]`. 10 M keys take some 20 s and 500 MB.
 *
 * Times are ns an operation, hashing included, medians of rounds of 500 000 in random order. The
 * longest put is one of all those that filled the index from the size before; it includes whatever
 * else the machine did meanwhile, so the number of puts over 2 ms stands beside it.
 */
import { HashIndex, KeyHasher } from "../index/mod.ts";

const SIZES = [100_000, 1_000_000, 10_000_000];
const ROUND = 500_000;
const ROUNDS = 5;
const LONG_MS = 2;

const hasher = new KeyHasher(crypto.getRandomValues(new Uint8Array(16)));
const words = new Int32Array(5);

function hash(key: number): void {
  words[0] = key;
  words[1] = 0x3a79656b;
  words[2] = ~key;
  words[3] = 1;
  hasher.hash(words, 16);
}

/** Numbers below 2^32, each once, without order. */
function scattered(i: number): number {
  return Math.imul(i, 0x9e3779b1) >>> 0;
}

/** Median time of `operation`, in ns. */
function nsOf(operation: (i: number) => void): number {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now();
    for (let i = round * ROUND; i < (round + 1) * ROUND; i++) operation(i);
    times.push((performance.now() - startedMs) * 1e6 / ROUND);
  }
  return times.sort((a, b) => a - b)[ROUNDS >> 1]!;
}

const index = new HashIndex();
const most = Number(Deno.args[0] ?? SIZES.at(-1));
const figures: Record<string, Record<string, number | string>> = {};
let keys = 0;
let sequence = 0;
for (const size of SIZES.filter((size) => size <= most)) {
  let longestMs = 0;
  let long = 0;
  const first = keys;
  const startedMs = performance.now();
  for (let beforeMs = startedMs; keys < size; keys++) {
    hash(keys);
    index.put(hasher, ++sequence, 1, keys, 100, 0);
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - beforeMs);
    if (nowMs - beforeMs > LONG_MS) long++;
    beforeMs = nowMs;
  }
  const fillNs = (performance.now() - startedMs) * 1e6 / (size - first);
  let found = 0;
  const get = nsOf((i) => {
    hash(scattered(i) % size);
    if (index.find(hasher)) found++;
  });
  const miss = nsOf((i) => {
    hash(size + scattered(i) % 1_000_000_000);
    if (index.find(hasher)) found++;
  });
  if (found !== ROUND * ROUNDS) throw new Error(`${found} keys were found`);
  const put = nsOf((i) => {
    hash(scattered(i) % size);
    index.put(hasher, ++sequence, 1, i, 100, 0);
  });
  figures[`${size} keys`] = {
    "put new": Math.round(fillNs),
    "put again": Math.round(put),
    get: Math.round(get),
    miss: Math.round(miss),
    "bytes a key": (index.memoryBytes / size).toFixed(1),
    pieces: index.chunks().length,
    "longest put, ms": longestMs.toFixed(2),
    [`puts over ${LONG_MS} ms`]: long,
  };
}
const hashOnly = nsOf(hash);
console.log(`Hashing alone: ${hashOnly.toFixed(0)} ns`);
console.table(figures);

/** What is worth keeping: SIEVE against first in, first out, and against the same policy without files. */
import assert from "node:assert/strict";
import { VisitTable } from "../index/mod.ts";
import { open } from "../mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { noise, randomOf } from "./_support.ts";

const KEYS = 20_000;
const REQUESTS = 120_000;
const MAX_BYTES = 2 * 1024 * 1024;

/** Requests for keys of which few are asked for often: the n-th with a probability of 1 / n^skew. */
function zipf(seed: number, skew: number): () => number {
  const random = randomOf(seed);
  const sums = new Float64Array(KEYS);
  let sum = 0;
  for (let i = 0; i < KEYS; i++) sums[i] = sum += 1 / (i + 1) ** skew;
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = KEYS - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Hits of a cache of `capacity` keys out of which the oldest goes. */
function fifoHits(next: () => number, capacity: number): number {
  const cached = new Set<number>();
  let hits = 0;
  for (let i = 0; i < REQUESTS; i++) {
    const key = next();
    if (cached.has(key)) hits++;
    else {
      cached.add(key);
      if (cached.size > capacity) cached.delete(cached.values().next().value!);
    }
  }
  return hits;
}

/** Hits of SIEVE as it is in the paper, for `capacity` keys. */
function sieveHits(next: () => number, capacity: number): number {
  const queue: number[] = [];
  const visited = new Map<number, boolean>();
  let hand = 0;
  let hits = 0;
  for (let i = 0; i < REQUESTS; i++) {
    const key = next();
    if (visited.has(key)) {
      hits++;
      visited.set(key, true);
      continue;
    }
    if (queue.length === capacity) {
      for (;; hand++) {
        if (hand >= queue.length) hand = 0;
        if (!visited.get(queue[hand]!)) break;
        visited.set(queue[hand]!, false);
      }
      visited.delete(queue[hand]!);
      queue.splice(hand, 1);
    }
    queue.push(key);
    visited.set(key, false);
  }
  return hits;
}

for (const [seed, skew] of [[1, 1], [2, 0.8], [3, 1.2]] as const) {
  Deno.test(`the keys that are read stay: requests of Zipf ${skew}, seed ${seed}`, async () => {
    await using store = await open("/store", {
      fs: new MemFs(),
      maxBytes: MAX_BYTES,
      slabBytes: 64 * 1024,
      durability: "memory",
    });
    const value = noise(300, seed);
    const next = zipf(seed, skew);
    let hits = 0;
    let capacity = 0;
    for (let i = 0; i < REQUESTS; i++) {
      const key = `key:${next()}`;
      if (store.getSync(key) !== undefined) hits++;
      else await store.put(key, value);
      if (i % 64 === 0) capacity = Math.max(capacity, store.stats().keys);
    }
    const fifo = fifoHits(zipf(seed, skew), capacity);
    const sieve = sieveHits(zipf(seed, skew), capacity);
    const { eviction } = store.stats();
    const told = `${hits} hits, FIFO ${fifo}, SIEVE ${sieve} of ${REQUESTS}, ${capacity} keys`;
    assert(eviction!.keys > capacity, "hardly anything was evicted");
    assert(REQUESTS - hits <= 0.9 * (REQUESTS - fifo), told);
    assert(hits >= 0.97 * sieve, told);
  });
}

Deno.test("VisitTable: remembers what was read, also as it grows, and hardly anything else", () => {
  const random = randomOf(1);
  const hashes = Array.from({ length: 20_000 }, () => (random() * 2 ** 32) | 0);
  const table = new VisitTable();
  const reads = hashes.slice(0, 10_000);
  reads.forEach((hash, i) => {
    if (i % 1000 === 0) table.fit(2 * i);
    table.visit(hash);
  });
  table.fit(hashes.length);
  assert.equal(table.memory.byteLength, 2 ** 18 / 8);
  const other = new VisitTable(table.memory);
  assert(reads.every((hash) => other.wasVisited(hash)));
  const wrong = hashes.slice(10_000).filter((hash) => other.wasVisited(hash)).length;
  // Bits that were set while the table was small are several now.
  assert(wrong < 2500, `${wrong} of 10,000 look read`);
  for (const hash of reads) other.clear(hash);
  assert(!reads.some((hash) => table.wasVisited(hash)));
});

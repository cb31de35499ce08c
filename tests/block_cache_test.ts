import assert from "node:assert/strict";
import fc from "fast-check";
import { BlockCache, CACHE_BLOCK_BYTES, MOST_CACHED_BYTES } from "../store/block_cache.ts";
import { FaultFs, MemFs } from "../vfs/mod.ts";
import { failsWith, noise, placeOn, randomOf, SMALL } from "./_support.ts";

/** A segment of `bytes`, which counts how often it is read. */
class Source {
  reads = 0;
  onRead = (_bytes: number) => {};
  readonly content: Uint8Array;

  constructor(bytes: number, seed: number) {
    this.content = noise(bytes, seed);
  }

  get fileBytes(): number {
    return this.content.length;
  }

  readAt(into: Uint8Array, offset: number): void {
    assert(offset + into.length <= this.content.length, "never reads beyond the end");
    this.reads++;
    this.onRead(into.length);
    into.set(this.content.subarray(offset, offset + into.length));
  }
}

function read(cache: BlockCache, source: Source, segment: number, at: number, bytes: number) {
  const into = new Uint8Array(bytes + 16);
  cache.read(source, segment, at, into, 8, bytes);
  assert.deepEqual(into.subarray(8, 8 + bytes), source.content.subarray(at, at + bytes));
  assert.deepEqual([...into.subarray(0, 8), ...into.subarray(8 + bytes)], Array(16).fill(0));
}

Deno.test("what comes out of the read cache is what is in the segments, whatever was read before", () => {
  const sources = [1, 2, 77, 4_000_000_000].map((segment, i) => ({
    segment,
    source: new Source(300_000 + 1234 * i, i),
  }));
  const place = fc.record({
    which: fc.nat(sources.length - 1),
    at: fc.nat(299_999),
    bytes: fc.integer({ min: 1, max: 3 * CACHE_BLOCK_BYTES }),
  });
  fc.assert(fc.property(fc.array(place, { minLength: 50, maxLength: 400 }), (places) => {
    const cache = new BlockCache(16 * CACHE_BLOCK_BYTES);
    for (const { which, at, bytes } of places) {
      const { source, segment } = sources[which]!;
      read(cache, source, segment, at, Math.min(bytes, source.fileBytes - at));
    }
    assert(cache.memoryBytes <= 16 * CACHE_BLOCK_BYTES);
  }));
});

Deno.test("a block is read once while there is room, and what is used stays longer", () => {
  const source = new Source(64 * CACHE_BLOCK_BYTES, 1);
  const cache = new BlockCache(8 * CACHE_BLOCK_BYTES);
  for (let round = 0; round < 3; round++) {
    for (let block = 0; block < 8; block++) read(cache, source, 1, block * CACHE_BLOCK_BYTES, 100);
  }
  assert.equal(source.reads, 8);
  // One that is used again and again outlives a scan of all others.
  for (let block = 8; block < 60; block++) {
    read(cache, source, 1, 0, 100);
    read(cache, source, 1, block * CACHE_BLOCK_BYTES, 100);
  }
  const before = source.reads;
  read(cache, source, 1, 0, 100);
  assert.equal(source.reads, before);
});

Deno.test("a large record goes past the cache, and so does everything where there is none", () => {
  const source = new Source(20 * CACHE_BLOCK_BYTES, 1);
  const cache = new BlockCache(8 * CACHE_BLOCK_BYTES);
  read(cache, source, 1, 5, MOST_CACHED_BYTES + 1);
  assert.equal(cache.memoryBytes, 0);
  const none = new BlockCache(0);
  read(none, source, 1, 5, 100);
  read(none, source, 1, 5, 100);
  assert.equal(source.reads, 3);
  assert.equal(none.memoryBytes, 0);
});

Deno.test("reads without pattern of far more than fits leave the cache alone, until there is a pattern", () => {
  const blocks = 640;
  const source = new Source(blocks * CACHE_BLOCK_BYTES, 1);
  const cache = new BlockCache(32 * CACHE_BLOCK_BYTES);
  const random = randomOf(7);
  const readSome = (count: number, among: number) => {
    let whole = 0;
    source.onRead = (bytes) => whole += bytes === CACHE_BLOCK_BYTES ? 1 : 0;
    const before = source.reads;
    for (let i = 0; i < count; i++) {
      read(cache, source, 1, Math.floor(random() * (among * CACHE_BLOCK_BYTES - 100)), 100);
    }
    return { whole, records: source.reads - before - whole };
  };
  readSome(10_000, blocks);
  const { whole, records } = readSome(10_000, blocks);
  assert(records > 10 * whole, `${records} records, ${whole} blocks`);
  readSome(10_000, 20);
  assert.deepEqual(readSome(10_000, 20), { whole: 0, records: 0 });
});

Deno.test("a get after a read that failed reads again", async () => {
  const disk = new MemFs();
  const fs = new FaultFs(disk);
  const place = placeOn(fs, "/store");
  const store = await place.open();
  for (let i = 0; i < 200; i++) await store.put(`key ${i}`, noise(900, i));
  await store.close();
  await using again = await place.open({ ...SMALL, readCacheBytes: 64 * 1024 });
  again.getSync("key 1");
  const fault = fs.arm({ on: "readAt", path: /\.seg$/, fault: { kind: "error", code: "IO" } });
  await failsWith("IO", () => again.getSync("key 60"));
  fault.clear();
  assert.deepEqual(again.getSync("key 60"), noise(900, 60));
  assert(again.stats().readCacheMemoryBytes <= 64 * 1024);
});

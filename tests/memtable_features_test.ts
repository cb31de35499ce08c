import assert from "node:assert/strict";
import { type Feature, memtableFeatures, walFeatures } from "./_memtable_features.ts";
import { noise, testStore } from "./_support.ts";
import { isTest } from "./_titles.ts";

const TABLES: Record<string, readonly Feature[]> = { memtable: memtableFeatures, wal: walFeatures };

for (const [name, features] of Object.entries(TABLES)) {
  Deno.test(`every feature of the other ${name} is held by a test that exists`, () => {
    assert.equal(new Set(features.map(({ feature }) => feature)).size, features.length);
    for (const { feature, by } of features) {
      assert(by.length > 0, `${feature} has no test`);
      for (const test of by) assert(isTest(test), `${feature}: there is no test "${test}"`);
    }
  });
}

testStore("stats() tells what the log took, and how many writes share a sync", async ({ open }) => {
  await using store = await open({ slabBytes: 1024 * 1024 });
  const empty = store.stats();
  assert.equal(empty.logBytes, 0);
  await Promise.all(Array.from({ length: 100 }, (_, i) => store.put(`key ${i}`, noise(1000, i))));
  const { logBytes, logSyncs, logWrites, valueBytes, writes } = store.stats();
  assert.equal(writes, 100);
  assert.equal(valueBytes, 100_000);
  // A header of 24 bytes, a key of 5 or 6, and padding to 8.
  assert.equal(logBytes, 100 * 1032);
  assert(logSyncs <= 10 && logWrites <= 20, `${logSyncs} syncs, ${logWrites} writes`);
  // A slab that is left unfinished for a larger batch counts for what is in it.
  const large = Array.from({ length: 20 }, (_, i) => ({ key: `${i}`, value: noise(60_000, i) }));
  await store.batch(large.map((write) => ({ type: "put", ...write })));
  const more = store.stats().logBytes - logBytes;
  assert(more >= 1_200_000 && more < 1_202_000, `${more}`);
});

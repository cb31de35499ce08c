/** What is just inside of a snapshot, and just outside; and what is left once one of several has ended. */
import assert from "node:assert/strict";
import { MemFs } from "../vfs/mod.ts";
import { collect, failsWith, noise, placeOn, testStore } from "./_support.ts";

const MANUAL = { compaction: "manual" } as const;

testStore(
  "the first record after a snapshot is not seen, also once it is replaced",
  async (place) => {
    await using store = await place.open(MANUAL);
    await store.put("older", "1");
    using before = store.snapshot();
    const version = await store.put("key", "1");
    assert.equal(version, before.version + 1);
    using after = store.snapshot();
    await store.put("key", "2");
    assert.equal(await before.getText("key"), undefined);
    assert.equal(await before.has("key"), false);
    assert.deepEqual((await collect(before.list())).map(({ key }) => key), ["older"]);
    assert.equal(await after.getText("key"), "1");
  },
);

testStore("a value that ends at the very moment of a snapshot is not seen", async (place) => {
  let now = 1e12;
  await using store = await place.open({ ...MANUAL, now: () => now });
  await store.put("key", "value", { expireIn: 1000 });
  now += 999;
  using before = store.snapshot();
  now += 1;
  using at = store.snapshot();
  // It is in the index still; then it is not.
  for (let round = 0; round < 2; round++) {
    assert.equal(await at.getText("key"), undefined);
    assert.equal(await before.getText("key"), "value");
    assert.equal(await store.get("key"), undefined);
  }
});

testStore("clear() ends snapshots: nothing is kept for them", async (place) => {
  await using store = await place.open(MANUAL);
  await store.put("key", "1");
  await store.put("large", noise(300_000, 1));
  const snapshot = store.snapshot();
  await store.put("key", "2");
  assert.deepEqual([store.stats().snapshots, store.stats().snapshotEntries], [1, 1]);
  await store.clear();
  await failsWith("CLOSED", snapshot.get("key"));
  await store.put("key", "3");
  await store.put("key", "4");
  const { snapshots, snapshotEntries, blobFiles } = store.stats();
  assert.deepEqual([snapshots, snapshotEntries, blobFiles], [0, 0, 0]);
});

Deno.test("a snapshot that ends gives back what it saw, also while an older one is open", async () => {
  await using store = await placeOn(new MemFs(), "/store").open({ maxBytes: 1024 * 1024 });
  await store.put("seen", "1");
  using older = store.snapshot();
  const fill = async (prefix: string, count: number) => {
    for (let i = 0; i < count; i++) {
      await store.put(`${prefix}:${i}`, noise(2000, i), { durability: "written" });
    }
  };
  await fill("first", 250);
  const newer = store.snapshot();
  newer.dispose();
  // Room for these comes of what only that one saw.
  await fill("second", 1500);
  assert.equal(await older.getText("seen"), "1");
  assert.equal(await older.has("first:0"), false);
  assert.deepEqual(await collect(store.list({ prefix: "first" })), []);
});

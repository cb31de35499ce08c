/** Listings: ranges of keys against a sorted array, and what happens to the store meanwhile. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Key, ListOptions, Store } from "../mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { collect, failsWith, noise, placeOn, testStore } from "./_support.ts";

const keyOf = (i: number) => `key:${String(i).padStart(4, "0")}`;

const buffer = (key: Key) => Buffer.from(key as Uint8Array);

function keysOf(entries: readonly { key: Key }[]): Key[] {
  return entries.map(({ key }) => key);
}

/** What a listing must give, of `keys`. */
function expected(keys: readonly Uint8Array[], options: ListOptions): Buffer[] {
  const { prefix, start, end, reverse, limit } = options;
  const sorted = keys.map(buffer).sort(Buffer.compare).filter((key) =>
    (prefix === undefined || key.subarray(0, prefix.length).equals(buffer(prefix))) &&
    (start === undefined || key.compare(buffer(start)) >= 0) &&
    (end === undefined || key.compare(buffer(end)) < 0)
  );
  if (reverse === true) sorted.reverse();
  return sorted.slice(0, limit);
}

Deno.test("list() of any range gives the keys of a sorted array, from segments and slabs", async () => {
  // Few different bytes, so that prefixes and bounds are often those of keys.
  const bytesOf = (minLength: number) =>
    fc.array(fc.constantFrom(0, 1, 0xfe, 0xff), { minLength, maxLength: 4 })
      .map((bytes) => Uint8Array.from(bytes));
  const keys = fc.uniqueArray(bytesOf(1), { minLength: 0, maxLength: 60, selector: String });
  const range = fc.record({
    prefix: bytesOf(0),
    start: bytesOf(0),
    end: bytesOf(0),
    reverse: fc.boolean(),
    limit: fc.nat(9),
  }, { requiredKeys: [] });
  await fc.assert(
    fc.asyncProperty(
      keys,
      fc.array(range, { minLength: 10, maxLength: 20 }),
      async (all, ranges) => {
        await using store = await placeOn(new MemFs(), "/store").open();
        // Some of them twice, so that they are in several segments.
        for (const key of [...all, ...all.slice(0, 20)]) {
          await store.put(key, noise(2000, 1), { durability: "memory" });
        }
        for (const options of ranges) {
          const found = (await collect(store.list(options))).map(({ key }) => buffer(key));
          assert.deepEqual(found, expected(all, options));
        }
      },
    ),
    { numRuns: 40 },
  );
});

testStore(
  "list() tells keys of strings from keys of bytes, however long they are",
  async (place) => {
    await using store = await place.open();
    const keys: Key[] = [];
    for (let length = 60; length < 70; length++) keys.push("a".repeat(length));
    for (const length of [127, 128, 129, 300, 1000]) keys.push("b".repeat(length));
    keys.push(Uint8Array.of(0x63), "d", Uint8Array.of(0x65));
    for (const key of keys) await store.put(key, "1");
    assert.deepEqual(keysOf(await collect(store.list())), keys);
    assert.deepEqual(keysOf(await collect(store.list({ reverse: true }))), keys.toReversed());
  },
);

for (const reverse of [false, true]) {
  testStore(
    `list() gives each key once, although all segments are replaced meanwhile, reverse ${reverse}`,
    async (place) => {
      await using store = await place.open({ compaction: "manual", slabBytes: 256 * 1024 });
      // So many that each footer has several blocks.
      const keys = Array.from({ length: 4000 }, (_, i) => keyOf(i));
      const fill = async () => {
        for (let at = 0; at < keys.length; at += 500) {
          await store.batch(
            keys.slice(at, at + 500).flatMap((key) => [
              { type: "put", key, value: "1" } as const,
              { type: "put", key: `other ${key}`, value: "1" } as const,
            ]),
          );
        }
        const others = keys.map((key) => ({ type: "delete", key: `other ${key}` }) as const);
        for (let at = 0; at < keys.length; at += 500) await store.batch(others.slice(at, at + 500));
        // So that all of these are in segments.
        await store.put("zero", noise(200_000, 1));
      };
      await fill();
      const listed: Key[] = [];
      for await (const { key } of store.list({ reverse })) {
        listed.push(key);
        if (listed.length % 1500 !== 50) continue;
        const before = store.stats().compaction.jobs;
        await store.compact();
        if (listed.length === 50) assert(store.stats().compaction.jobs > before);
        await fill();
      }
      const all = [...keys, "zero"];
      assert.deepEqual(listed, reverse ? all.reverse() : all);
    },
  );
}

testStore(
  "calls of next() that do not wait for one another are answered in order",
  async (place) => {
    await using store = await place.open();
    const keys = Array.from({ length: 1500 }, (_, i) => keyOf(i));
    await store.batch(keys.map((key) => ({ type: "put", key, value: "1" })));
    const listing = store.list();
    const calls = Array.from({ length: 1502 }, () => listing.next());
    const answers = await Promise.all(calls);
    assert.deepEqual(answers.slice(0, 1500).map(({ value }) => value.key), keys);
    assert.deepEqual(answers.slice(1500).map(({ done }) => done), [true, true]);
  },
);

testStore("return() ends a listing", async ({ open }) => {
  await using store = await open();
  await store.batch(["a", "b", "c"].map((key) => ({ type: "put", key, value: "1" })));
  const listing = store.list();
  assert.equal((await listing.next()).value.key, "a");
  assert.deepEqual(await listing.return!(), { done: true, value: undefined });
  assert.deepEqual(await listing.next(), { done: true, value: undefined });
});

/** Holds the key until the result is called. */
async function hold(store: Store, key: Key): Promise<(value: string) => void> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const called = Promise.withResolvers<void>();
  void store.update(key, () => {
    called.resolve();
    return promise;
  }).catch(() => {});
  await called.promise;
  return resolve;
}

testStore("list() shows writes that wait when it is called", async ({ open }) => {
  await using store = await open();
  const free = await hold(store, "a");
  const put = store.put("a", "2");
  const other = store.delete("b");
  const listing = collect(store.list());
  free("1");
  assert.deepEqual(keysOf(await listing), ["a"]);
  assert.equal((await store.getEntry("a"))!.version, await put);
  await other;
});

testStore("close() ends a listing that has not begun", async ({ open }) => {
  const store = await open();
  await hold(store, "a");
  const put = store.put("a", "2");
  const next = failsWith("CLOSED", store.list().next());
  await Promise.all([store.close(), put, next]);
});

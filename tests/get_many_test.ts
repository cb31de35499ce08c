import assert from "node:assert/strict";
import { ArgumentError, type Key, type Store } from "../mod.ts";
import { MemFs, type MetricsFs, withMetrics } from "../vfs/mod.ts";
import {
  bytes,
  failsWith,
  filesOf,
  noise,
  placeOn,
  readFile,
  testStore,
  turn,
  writeFile,
} from "./_support.ts";

const COUNT = 400;

async function fill(store: Store): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  for (let i = 0; i < COUNT; i++) {
    const size = i % 97 === 0 ? 70_000 : i % 31 === 0 ? 5000 : (i * 37) % 300;
    const value = i % 13 === 0 ? bytes("flagstone ".repeat(size / 10)) : noise(size, i);
    values.set(`key:${i}`, value);
    await store.put(`key:${i}`, value, i % 13 === 0 ? { compression: "zstd" } : {});
  }
  return values;
}

testStore("getMany() gives what get() gives, in the order of the keys", async (place) => {
  let values: Map<string, Uint8Array>;
  {
    await using store = await place.open();
    values = await fill(store);
    await store.delete("key:5");
    values.delete("key:5");
    const keys = ["none", "key:399", "key:7", "key:5", "key:7", "key:97"];
    assert.deepEqual(await store.getMany(keys), keys.map((key) => values.get(key)));
  }
  await using store = await place.open();
  const keys: Key[] = [];
  for (let i = 0; i < 3000; i++) {
    const key = `key:${(i * 7919) % (COUNT + 50)}`;
    keys.push(i % 3 === 0 ? bytes(key) : key);
  }
  const called = store.getMany(keys);
  for (const key of keys) if (typeof key !== "string") key.fill(0);
  const found = await called;
  for (let i = 0; i < 3000; i++) {
    assert.deepEqual(found[i], values.get(`key:${(i * 7919) % (COUNT + 50)}`), `key ${i}`);
  }
  assert.deepEqual(await store.getMany([]), []);
});

testStore("getMany() sees writes that wait for their place", async (place) => {
  await using store = await place.open();
  const puts: Promise<number>[] = [];
  for (let i = 0; i < 12; i++) puts.push(store.put(`key:${i}`, noise(40_000, i)));
  const found = await store.getMany(Array.from({ length: 12 }, (_, i) => `key:${i}`));
  found.forEach((value, i) => assert.deepEqual(value, noise(40_000, i)));
  await Promise.all(puts);
});

Deno.test("getMany() reads neighbours with one call, and nothing if a key is wrong", async () => {
  const fs = withMetrics(new MemFs());
  const place = placeOn(fs, "/store");
  {
    await using store = await place.open();
    for (let i = 0; i < 200; i++) await store.put(`key:${i}`, noise(200, i));
    for (let i = 0; i < 20; i++) await store.put("filler", noise(20_000, i));
  }
  await using store = await place.open({ compaction: "manual" });
  const keys = Array.from({ length: 200 }, (_, i) => `key:${199 - i}`);
  await store.get(keys[0]!);
  const before = readsOf(fs);
  for (
    const wrong of [[...keys, ""], [...keys, 5], [, ...keys], "keys", undefined, { length: 1 }]
  ) {
    await assert.rejects(store.getMany(wrong as Key[]), ArgumentError);
  }
  assert.equal(readsOf(fs), before);
  const found = await store.getMany(keys);
  found.forEach((value, i) => assert.deepEqual(value, noise(200, 199 - i)));
  assert(readsOf(fs) - before <= 3, `${readsOf(fs) - before} reads`);
});

function readsOf(fs: MetricsFs): number {
  return fs.operations.readAt.count;
}

Deno.test("getMany() never returns a value that was damaged, and tells where", async () => {
  const fs = new MemFs();
  const place = placeOn(fs, "/store");
  {
    await using store = await place.open();
    for (let i = 0; i < 20; i++) await store.put(`key:${i}`, noise(5000, i));
  }
  const [segment] = filesOf(place, ".seg");
  using file = fs.openReadWrite(`/store/${segment}`);
  file.writeAt(Uint8Array.of(1, 2, 3), 3 * 5040);
  await using store = await place.open();
  const keys = Array.from({ length: 8 }, (_, i) => `key:${i}`);
  const error = await failsWith("CORRUPT", store.getMany(keys));
  assert(error.path?.endsWith(segment!));
  assert.deepEqual(await store.getMany(["key:0", "key:7"]), [noise(5000, 0), noise(5000, 7)]);
});

testStore("getMany() of damaged values rejects once, whichever is found first", async (place) => {
  const large = noise(200_000, 1);
  const small = noise(3000, 2);
  const options = { slabBytes: 1024 * 1024, compaction: "manual" } as const;
  {
    await using store = await place.open(options);
    await store.put("large", large);
    await store.put("small", small);
    for (let i = 0; i < 5; i++) await store.put(`filler:${i}`, noise(300_000, i));
  }
  const path = filesOf(place, ".seg").map((name) => `${place.dir}/${name}`)[0]!;
  const content = readFile(place.fs, path);
  for (const value of [large, small]) {
    const at = content.findIndex((_, i) =>
      value.subarray(0, 16).every((b, k) => content[i + k] === b)
    );
    content[at]! ^= 1;
  }
  await using store = await place.open(options);
  writeFile(place.fs, path, content);
  // A failure that nobody hears would end the program, and fail the test.
  await failsWith("CORRUPT", store.getMany(["large", "small"]));
  const many = Array.from({ length: 5000 }, (_, i) => `none:${i}`);
  await failsWith("CORRUPT", store.getMany(["large", ...many]));
  await turn();
});

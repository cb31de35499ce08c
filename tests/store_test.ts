import assert from "node:assert/strict";
import type { BatchOperation, ListEntry } from "../mod.ts";
import { openWith } from "../store/mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { InlineHost } from "../workers/mod.ts";
import { bytes, collect, filesOf, noise, SMALL, testStore, text } from "./_support.ts";

testStore("put() and get() return what was put, across sizes", async ({ open }) => {
  const sizes = [0, 1, 7, 8, 100, 4095, 4096, 4097, 65_535, 65_536, 65_537, 300_000];
  {
    await using store = await open();
    for (const size of sizes) await store.put(`size:${size}`, noise(size, size));
    for (const size of sizes) {
      assert.deepEqual(await store.get(`size:${size}`), noise(size, size));
      assert.deepEqual(store.getSync(`size:${size}`), noise(size, size));
    }
  }
  await using store = await open();
  for (const size of sizes) assert.deepEqual(await store.get(`size:${size}`), noise(size, size));
  assert.deepEqual((await store.verify()).problems, []);
});

testStore("put() takes the bytes at the call: the buffer may be reused", async ({ open }) => {
  await using store = await open();
  const buffer = bytes("first");
  const done = store.put("a", buffer);
  buffer.fill(0x21);
  await done;
  assert.equal(text(await store.get("a")), "first");
});

testStore("put() accepts strings and ArrayBuffers as values", async ({ open }) => {
  await using store = await open();
  await store.put("text", "grüße");
  await store.put("buffer", bytes("abc").buffer);
  assert.equal(await store.getText("text"), "grüße");
  assert.equal(await store.getText("buffer"), "abc");
  await store.put("json", JSON.stringify({ a: [1, 2] }));
  assert.deepEqual(await store.getJson("json"), { a: [1, 2] });
});

testStore(
  "getText() gives back all of a text, a mark of byte order before it, too",
  async ({ open }) => {
    await using store = await open();
    await store.put("marked", "\ufeff[1]");
    using snapshot = store.snapshot();
    assert.equal(await store.getText("marked"), "\ufeff[1]");
    assert.equal(await snapshot.getText("marked"), "\ufeff[1]");
    assert.deepEqual(await store.getJson("marked"), [1]);
    assert.deepEqual(await snapshot.getJson("marked"), [1]);
  },
);

testStore("put() returns versions that grow", async ({ open }) => {
  const versions: number[] = [];
  for (let round = 0; round < 3; round++) {
    await using store = await open();
    for (let i = 0; i < 50; i++) versions.push(await store.put(`k${i}`, noise(3000, i)));
  }
  assert.deepEqual(versions, versions.toSorted((a, b) => a - b));
  assert.equal(new Set(versions).size, versions.length);
});

testStore("getSync() sees a put as soon as it was called", async ({ open }) => {
  await using store = await open();
  const done: Promise<unknown>[] = [];
  // Far more than the slabs hold: many of these writes wait for memory.
  for (let i = 0; i < 200; i++) {
    done.push(store.put("same", noise(5000, i)), store.put(`key ${i}`, noise(5000, i)));
    assert.deepEqual(store.getSync("same"), noise(5000, i));
    assert.deepEqual(store.getSync(`key ${i}`), noise(5000, i));
  }
  assert(store.stats().waitingWrites > 0, "some writes do wait");
  done.push(store.delete("same"));
  assert.equal(store.getSync("same"), undefined);
  assert.equal(await store.has("same"), false);
  await Promise.all(done);
  assert.equal(await store.get("same"), undefined);
  assert(store.stats().stalls > 0);
});

testStore("delete() tells whether there was a value, and lasts", async ({ open }) => {
  {
    await using store = await open();
    await store.put("a", "1");
    await store.put("b", "2");
    assert.equal(await store.delete("a"), true);
    assert.equal(await store.delete("a"), false);
    assert.equal(await store.delete("never"), false);
    assert.equal(await store.get("a"), undefined);
  }
  await using store = await open();
  assert.equal(await store.get("a"), undefined);
  assert.equal(await store.getText("b"), "2");
  assert.equal(store.stats().keys, 1);
});

testStore("delete() of a key in an older segment lasts across rotations", async ({ open }) => {
  {
    await using store = await open();
    for (let i = 0; i < 40; i++) await store.put(`old ${i}`, noise(10_000, i));
    for (let i = 0; i < 40; i += 2) await store.delete(`old ${i}`);
    for (let i = 0; i < 40; i++) await store.put(`new ${i}`, noise(10_000, i));
  }
  await using store = await open();
  for (let i = 0; i < 40; i++) {
    const expected = i % 2 === 0 ? undefined : noise(10_000, i);
    assert.deepEqual(await store.get(`old ${i}`), expected);
  }
  assert.equal(store.stats().keys, 60);
});

testStore("the newest value wins across segments and reopening", async ({ open }) => {
  for (let round = 0; round < 4; round++) {
    await using store = await open();
    for (let i = 0; i < 30; i++) await store.put(`k${i}`, noise(9000, round * 100 + i));
    for (let i = 0; i < 30; i++) {
      assert.deepEqual(await store.get(`k${i}`), noise(9000, round * 100 + i));
    }
  }
  await using store = await open();
  for (let i = 0; i < 30; i++) assert.deepEqual(await store.get(`k${i}`), noise(9000, 300 + i));
});

testStore("batch() does all of its operations in order", async ({ open }) => {
  const operations: BatchOperation[] = [
    { type: "put", key: "a", value: "1" },
    { type: "put", key: "b", value: "2" },
    { type: "delete", key: "a" },
    { type: "delete", key: "never there" },
    { type: "put", key: "b", value: "3" },
  ];
  {
    await using store = await open();
    assert.equal(await store.batch([]), 0);
    assert(await store.batch(operations) > 0);
    assert.equal(await store.get("a"), undefined);
    assert.equal(await store.getText("b"), "3");
  }
  await using store = await open();
  assert.equal(await store.get("a"), undefined);
  assert.equal(await store.getText("b"), "3");
  assert.equal(store.stats().keys, 1);
});

testStore("batch() may be larger than a slab", async ({ open }) => {
  const value = (i: number) => noise(20_000, i);
  {
    await using store = await open();
    await store.put("before", "x");
    await store.batch(
      Array.from({ length: 20 }, (_, i) => ({ type: "put", key: `k${i}`, value: value(i) })),
    );
    await store.put("after", "y");
  }
  await using store = await open();
  for (let i = 0; i < 20; i++) assert.deepEqual(await store.get(`k${i}`), value(i));
  assert.equal(await store.getText("before"), "x");
  assert.equal(await store.getText("after"), "y");
});

testStore("update() lets no write in between", async ({ open }) => {
  await using store = await open();
  const add = (old: Uint8Array | undefined) => String(Number(text(old) ?? "0") + 1);
  await Promise.all(
    Array.from(
      { length: 100 },
      (_, i) =>
        store.update(
          "counter",
          i % 2 === 0 ? add : async (old) => {
            await Promise.resolve();
            return add(old);
          },
        ),
    ),
  );
  assert.equal(await store.getText("counter"), "100");
  assert(store.stats().contendedLocks > 0);
  assert.equal(await store.update("counter", () => undefined) !== undefined, true);
  assert.equal(await store.get("counter"), undefined);
  assert.equal(await store.update("counter", () => undefined), undefined);
});

testStore("update() whose function throws changes nothing and frees the key", async ({ open }) => {
  await using store = await open();
  await store.put("a", "1");
  const failure = new Error("no");
  await assert.rejects(
    store.update("a", () => {
      throw failure;
    }),
    failure,
  );
  await store.put("a", "2");
  assert.equal(await store.getText("a"), "2");
});

testStore("a put called during an update comes after it", async ({ open }) => {
  await using store = await open();
  const { promise, resolve } = Promise.withResolvers<void>();
  const update = store.update("a", async () => {
    await promise;
    return "updated";
  });
  const put = store.put("a", "put");
  assert.equal(text(store.getSync("a")), "put");
  resolve();
  assert((await update)! < await put);
  assert.equal(await store.getText("a"), "put");
});

testStore("getMany() returns values in the order of the keys", async ({ open }) => {
  await using store = await open();
  await store.put("a", "1");
  await store.put("c", "3");
  assert.deepEqual((await store.getMany(["c", "b", "a"])).map(text), ["3", undefined, "1"]);
});

testStore("keys are exact: strings, bytes, prefixes of one another, zeros", async ({ open }) => {
  const keys = ["a", "ab", "a\0", "a\0\0", "ä", "\u{1f600}", "x".repeat(65), "k".repeat(65_535)];
  const raw = [new Uint8Array([0]), new Uint8Array([0, 0]), new Uint8Array([255, 254])];
  for (let round = 0; round < 2; round++) {
    await using store = await open();
    if (round === 0) {
      for (const [i, key] of [...keys, ...raw].entries()) await store.put(key, String(i));
    }
    for (const [i, key] of [...keys, ...raw].entries()) {
      assert.equal(await store.getText(key), String(i));
    }
    const listed = await collect(store.list());
    assert.deepEqual(new Set(listed.map(({ key }) => key)), new Set([...keys, ...raw]));
  }
});

testStore("a string and its UTF-8 bytes are one key; the last put says which", async ({ open }) => {
  await using store = await open();
  await store.put("k", "1");
  await store.put(bytes("k"), "2");
  assert.equal(await store.getText("k"), "2");
  assert.deepEqual((await collect(store.list())).map(({ key }) => key), [bytes("k")]);
});

testStore("list() gives keys in order, with prefix, range, limit and reverse", async (place) => {
  const names = Array.from({ length: 300 }, (_, i) => `k${String((i * 7) % 300).padStart(3, "0")}`);
  const sorted = names.toSorted();
  const keysOf = (entries: ListEntry[]) => entries.map(({ key }) => key);
  await using store = await place.open();
  for (const [i, name] of names.entries()) await store.put(name, noise(1000, i));
  assert(filesOf(place, ".seg").length > 0, "part of the keys is in segments");
  const other = await store.put("other", "x");
  await store.delete(sorted[10]!);
  sorted.splice(10, 1);
  assert.deepEqual(keysOf(await collect(store.list())), [...sorted, "other"]);
  assert.deepEqual(keysOf(await collect(store.list({ prefix: "k" }))), sorted);
  assert.deepEqual(
    keysOf(await collect(store.list({ prefix: "k1", reverse: true }))),
    sorted.filter((name) => name.startsWith("k1")).reverse(),
  );
  assert.deepEqual(
    keysOf(await collect(store.list({ start: "k100", end: "k2", limit: 5 }))),
    ["k100", "k101", "k102", "k103", "k104"],
  );
  assert.deepEqual(
    keysOf(await collect(store.list({ start: "k100", end: "k2", limit: 2, reverse: true }))),
    ["k199", "k198"],
  );
  assert.deepEqual(await collect(store.list({ limit: 0 })), []);
  assert.deepEqual(await collect(store.list({ prefix: "zzz" })), []);
  const [entry] = await collect(store.list({ prefix: "other" }));
  assert.equal(entry!.size, 1);
  assert.equal(entry!.version, other);
});

testStore(
  "list() shows a key that is overwritten meanwhile once, a deleted one not",
  async (place) => {
    await using store = await place.open();
    for (let i = 0; i < 100; i++) await store.put(`k${100 + i}`, noise(2000, i));
    const seen: unknown[] = [];
    for await (const { key } of store.list()) {
      seen.push(key);
      if (seen.length === 10) {
        for (let i = 0; i < 100; i++) await store.put(`k${100 + i}`, noise(2000, i + 1));
        await store.delete("k150");
      }
    }
    const expected = Array.from({ length: 100 }, (_, i) => `k${100 + i}`).filter((k) =>
      k !== "k150"
    );
    assert.deepEqual(seen, expected);
  },
);

testStore("list() ends with ABORTED when its signal fires", async ({ open }) => {
  await using store = await open();
  await store.put("a", "1");
  await store.put("b", "1");
  const abort = new AbortController();
  const list = store.list({ signal: abort.signal });
  await list.next();
  abort.abort();
  await assert.rejects(list.next(), { code: "ABORTED" });
});

testStore("every durability ends up on disk", async ({ open }) => {
  {
    await using store = await open({ durability: "memory" });
    await store.put("memory", "1");
    await store.put("written", "2", { durability: "written" });
    await store.put("synced", "3", { durability: "synced" });
    await store.put("late", "4");
    await store.flush();
    assert.equal(store.stats().pendingAcks, 0);
  }
  await using store = await open();
  const keys = ["memory", "written", "synced", "late"];
  assert.deepEqual((await store.getMany(keys)).map(text), ["1", "2", "3", "4"]);
});

testStore(
  "a value far larger than a slab is put, overwritten, deleted, reopened",
  async (place) => {
    const large = noise(700_000, 1);
    {
      await using store = await place.open();
      await store.put("large", large);
      await store.put("small", "s");
      await store.put("large", noise(500_000, 2));
      await store.put("gone", large);
      await store.delete("gone");
    }
    await using store = await place.open();
    assert.deepEqual(await store.get("large"), noise(500_000, 2));
    assert.equal(await store.get("gone"), undefined);
    assert.equal(await store.getText("small"), "s");
    assert.deepEqual((await store.verify()).problems, []);
  },
);

testStore("slabs are sealed into segments, reused, and read from afterwards", async (place) => {
  await using store = await place.open();
  for (let i = 0; i < 200; i++) await store.put(`k${i}`, noise(4000, i));
  const { rotations, segments, slabMemoryBytes } = store.stats();
  assert(rotations >= 10, `${rotations} rotations`);
  assert(segments >= rotations - 2, `${segments} segments of ${rotations}`);
  assert(slabMemoryBytes <= 3 * 64 * 1024);
  for (let i = 0; i < 200; i++) assert.deepEqual(await store.get(`k${i}`), noise(4000, i));
  const report = await store.verify();
  assert.deepEqual(report.problems, []);
  assert(report.records >= 200);
});

Deno.test("a slab that goes all the way round within one turn is neither forgotten nor waited for", async () => {
  // The loops run inside the calls that ring for them: a slab can be sealed, logged, flushed, zeroed
  // and taken again before the main thread looks at any of it.
  const fs = new MemFs();
  await using store = await openWith(
    "/store",
    { ...SMALL, slabs: 2, fs, stallTimeoutMs: 1000 },
    (control, _pool, directory) =>
      new InlineHost(control, fs, directory, "segment", (task) => task()),
  );
  const writes = Array.from({ length: 300 }, (_, i) => store.put(`k${1000 + i}`, noise(3000, i)));
  const alive = setInterval(() => {}, 1000);
  await Promise.all(writes).finally(() => clearInterval(alive));
  assert(store.stats().rotations > 10);
  const listed = (await collect(store.list())).map(({ key }) => key);
  assert.deepEqual(listed, writes.map((_, i) => `k${1000 + i}`));
});

testStore("open() with other slab sizes and counts reads what is there", async ({ open }) => {
  const sizes = [64, 128, 64, 256].map((kib) => kib * 1024);
  for (const [round, slabBytes] of sizes.entries()) {
    await using store = await open({ slabBytes, slabs: 2 + round });
    for (let i = 0; i < 60; i++) await store.put(`${round}:${i}`, noise(3000, i));
    for (let old = 0; old <= round; old++) {
      for (let i = 0; i < 60; i++) {
        assert.deepEqual(await store.get(`${old}:${i}`), noise(3000, i));
      }
    }
  }
});

testStore("a small store stays one log: closing and opening adds no files", async (place) => {
  for (let round = 0; round < 5; round++) {
    await using store = await place.open();
    await store.put(`k${round}`, "v");
  }
  assert.deepEqual(place.fs.list(place.dir), ["0000000001.log", "LOCK", "STORE"]);
  await using store = await place.open();
  assert.equal(store.stats().keys, 5);
});

/** Stores with `maxBytes`: what they take of the disk, and what they say. */
import assert from "node:assert/strict";
import { ArgumentError, type EvictedEvent, open, type OpenOptions, type Snapshot } from "../mod.ts";
import { FaultFs, MemFs } from "../vfs/mod.ts";
import { CacheModel, diskBytes, runCacheLoad } from "./_cache_model.ts";
import { collect, failsWith, noise, type Place, placeOn, testStore, turn } from "./_support.ts";

const MAX_BYTES = 1024 * 1024;
const BOUNDED: OpenOptions = { maxBytes: MAX_BYTES, slabBytes: 64 * 1024, slabs: 3 };

function assertBound(place: Place, maxBytes = MAX_BYTES): void {
  const bytes = diskBytes(place.fs, place.dir);
  assert(bytes <= maxBytes + 4096, `${bytes} bytes on disk, ${maxBytes} are allowed`);
}

testStore(
  "maxBytes: the files never take more, a get gives the newest value or nothing, also after reopening",
  async (place) => {
    const model = new CacheModel();
    for (const seed of [1, 2]) {
      await using store = await place.open(BOUNDED);
      assertBound(place);
      let told = 0;
      store.addEventListener("evicted", ({ keys }: EvictedEvent) => void (told += keys));
      await runCacheLoad(store, model, {
        seed,
        steps: 1800,
        keys: 3000,
        sizeOf: (random) => Math.floor(random() * 3000),
        onStep: () => assertBound(place),
      });
      await store.flush();
      const { eviction, keys } = store.stats();
      assert(eviction!.keys > 100, `${eviction!.keys} keys were evicted`);
      assert(eviction!.bytes > eviction!.keys * 50);
      assert(eviction!.diskBytes <= MAX_BYTES && keys > 150);
      assert(told > 0 && told <= store.stats().eviction!.keys);
      const there = await model.checkAll(store);
      assert.equal(there, (await collect(store.list())).length);
      assert.deepEqual((await store.verify()).problems, []);
    }
    await using store = await place.open(BOUNDED);
    await model.checkAll(store);
  },
);

testStore("maxBytes: large values, streams among them, share the bound", async (place) => {
  await using store = await place.open(BOUNDED);
  const model = new CacheModel();
  await runCacheLoad(store, model, {
    seed: 5,
    steps: 150,
    keys: 200,
    sizeOf: (random) => random() < 0.5 ? 70_000 + Math.floor(random() * 60_000) : 500,
    onStep: async (step) => {
      assertBound(place);
      if (step % 10 !== 0) return;
      const key = `stream:${step}`;
      const value = model.put(key, 100_000);
      const pieces = () => ReadableStream.from([value.subarray(0, 40_000), value.subarray(40_000)]);
      await store.put(key, pieces());
    },
  });
  const there = await model.checkAll(store);
  const { eviction, blobFiles, keys } = store.stats();
  assert(there >= keys && there > 5, `${there} of ${keys} keys`);
  assert(blobFiles >= 2, `${blobFiles} files of large values`);
  assert(eviction!.keys > 30);
  assert.deepEqual((await store.verify()).problems, []);
});

testStore(
  "maxBytes: an evicted key is missing for conditions, updates and deletes",
  async (place) => {
    await using store = await place.open(BOUNDED);
    const first = await store.put("first", "old");
    for (let i = 0; await store.has("first"); i++) {
      await store.put(`filler:${i}`, noise(2000, i), { durability: "written" });
      assert(i < 2000, "the first key is never evicted");
    }
    assert.equal(await store.get("first"), undefined);
    assert.equal(await store.delete("first"), false);
    await failsWith("CONFLICT", store.put("first", "no", { ifVersion: first }));
    await store.update("first", (old) => {
      assert.equal(old, undefined);
      return "updated";
    });
    assert.equal(await store.getText("first"), "updated");
    await failsWith(
      "CONFLICT",
      store.batch([{ type: "put", key: "first", value: "", ifAbsent: true }]),
    );
  },
);

testStore(
  "maxBytes: values that are overwritten give their space back; nothing is evicted",
  async (place) => {
    await using store = await place.open(BOUNDED);
    for (let i = 0; i < 1500; i++) {
      await store.put(`key:${i % 100}`, noise(1000, i), { durability: "written" });
    }
    assertBound(place);
    assert.equal(store.stats().keys, 100);
    assert.equal(store.stats().eviction!.keys, 0);
  },
);

testStore(
  "maxBytes: a snapshot keeps what it sees; writes are refused rather than evict it",
  async (place) => {
    await using store = await place.open(BOUNDED);
    for (let i = 0; i < 180; i++) {
      await store.put(`seen:${i}`, noise(2000, i), {
        durability: "memory",
      });
    }
    assert.equal(store.stats().eviction!.keys, 0);
    const snapshot = store.snapshot();
    const fill = async (seed: number) => {
      for (let i = 0; i < 2000; i++) {
        await store.put(`filler:${i % 7}`, noise(2000, seed + i), { durability: "memory" });
      }
    };
    const fillAll = async () => {
      for (let i = 0; i < 1000; i++) {
        await store.put(`more:${i}`, noise(2000, i), { durability: "memory" });
        assertBound(place);
      }
    };
    await fill(1);
    await fillAll();
    for (let i = 0; i < 180; i++) {
      assert.deepEqual(await snapshot.get(`seen:${i}`), noise(2000, i), `seen:${i}`);
    }
    assertBound(place);
    // Each one sees what was written since the last: in the end there is nothing left to go.
    const snapshots = [snapshot];
    const keys: string[][] = [];
    await failsWith("NO_SPACE", async () => {
      for (let i = 0; i < 60; i++) {
        for (let n = 0; n < 20; n++) {
          await store.put(`x:${i}:${n}`, noise(2000, n), { durability: "memory" });
        }
        snapshots.push(store.snapshot());
        keys.push((await collect(snapshots.at(-1)!.list())).map(({ key }) => key as string));
      }
    });
    assertBound(place);
    for (const [i, expected] of keys.entries()) {
      const values = await snapshots[i + 1]!.getMany(expected);
      assert(values.every((value) => value !== undefined), `snapshot ${i}`);
    }
    for (const one of snapshots) one.dispose();
    await fillAll();
    assert.deepEqual((await store.verify()).problems, []);
  },
);

testStore(
  "maxBytes: a write that is refused, as snapshots see everything, copies nothing",
  async (place) => {
    // Each one had the hand go round four times, and copy all there was, twice.
    await using store = await place.open(BOUNDED);
    const snapshots: Snapshot[] = [];
    const fill = async () => {
      for (let i = 0; i < 2000; i++) {
        await store.put(`key:${i}`, noise(2000, i), { durability: "memory" });
        if (i % 20 === 19) snapshots.push(store.snapshot());
      }
    };
    await failsWith("NO_SPACE", fill);
    const refuse = () => failsWith("NO_SPACE", store.put("key", noise(2000, 1)));
    // The log that was active becomes a segment, and of that the hand leaves what is seen.
    await refuse();
    await refuse();
    const { jobs, movedBytes } = store.stats().compaction;
    for (let i = 0; i < 10; i++) await refuse();
    const now = store.stats().compaction;
    assert.deepEqual([now.jobs, now.movedBytes], [jobs, movedBytes]);
    for (const one of snapshots) one.dispose();
    await store.put("key", noise(2000, 1));
    assertBound(place);
  },
);

testStore("maxBytes: what cannot fit is refused before anything is written", async (place) => {
  await using store = await place.open(BOUNDED);
  await store.put("key", "value");
  await failsWith("TOO_LARGE", store.put("key", new Uint8Array(MAX_BYTES + 1)));
  await failsWith("TOO_LARGE", store.put("key", new Blob([new Uint8Array(MAX_BYTES)])));
  const half = new Uint8Array(MAX_BYTES / 2);
  await failsWith(
    "TOO_LARGE",
    store.batch([{ type: "put", key: "key", value: half }, { type: "delete", key: "other" }]),
  );
  assert.equal(await store.getText("key"), "value");
  await store.batch([
    { type: "put", key: "a", value: new Uint8Array(100_000) },
    { type: "put", key: "b", value: new Uint8Array(50_000) },
  ]);
  await store.put("key", half.subarray(0, 300_000));
  assertBound(place);
});

testStore(
  "maxBytes: a batch larger than a slab waits for room, also where a usual slab would have some",
  async (place) => {
    // Whoever waited was let in for any slab, tried in vain, and was let in again in the same turn of
    // the event loop: nothing else had a turn any more, and no room was ever made.
    {
      await using store = await place.open({ slabBytes: 64 * 1024 });
      for (let i = 0; i < 93; i++) {
        await store.put(`key:${i}`, noise(5000, i), { durability: "memory" });
      }
    }
    await using store = await place.open({ ...BOUNDED, maxBytes: 14 * 64 * 1024 });
    const value = noise(70_000, 1);
    await store.batch([{ type: "put", key: "a", value }, { type: "put", key: "b", value: "b" }]);
    assert.deepEqual(await store.get("a"), value);
    assert(store.stats().eviction!.keys > 0);
    assertBound(place, 14 * 64 * 1024);
  },
);

testStore(
  "maxBytes: compact() ends, also where a snapshot keeps it from making room",
  async (place) => {
    // Each time, what had been made to make room was compacted again, to no avail, and again room was to be made.
    await using store = await place.open(BOUNDED);
    const put = (i: number) => store.put(`key:${i}`, noise(5000, i), { durability: "memory" });
    for (let i = 0; i < 92; i++) await put(i);
    using snapshot = store.snapshot();
    for (let i = 0; i < 40; i++) await store.delete(`key:${i}`, { durability: "memory" });
    await store.put("short-lived", noise(20_000, 1));
    await store.delete("short-lived");
    let jobs = 0;
    const stop = new AbortController();
    await store.compact({ signal: stop.signal, onProgress: () => ++jobs > 100 && stop.abort() });
    assert(snapshot.getSync("key:1") !== undefined);
    assert.deepEqual((await store.verify()).problems, []);
  },
);

testStore("maxBytes: a store that is opened with less shrinks", async (place) => {
  {
    await using store = await place.open({ slabBytes: 64 * 1024 });
    for (let i = 0; i < 1500; i++) {
      await store.put(`key:${i}`, noise(2000, i), { durability: "memory" });
    }
  }
  assert(diskBytes(place.fs, place.dir) > 2 * MAX_BYTES);
  await using store = await place.open(BOUNDED);
  await store.get("key:3");
  await store.put("new", "value");
  assertBound(place);
  assert.equal(await store.getText("new"), "value");
  assert.deepEqual((await store.verify()).problems, []);
});

testStore(
  "maxBytes: close, clear, compact and checkpoint in the midst of evictions",
  async (place) => {
    for (let round = 0; round < 2; round++) {
      const store = await place.open({ ...BOUNDED, compaction: round === 1 ? "manual" : {} });
      const writes: Promise<unknown>[] = [];
      const long: Promise<unknown>[] = [];
      for (let i = 0; i < 1200; i++) {
        writes.push(store.put(`key:${round}:${i}`, noise(1500, i), { durability: "memory" }));
        if (i === 700) long.push(store.compact());
        if (i === 900) long.push(store.checkpoint(`${place.dir}-copy${round}`));
        if (i === 1000 && round === 1) long.push(store.clear());
        if (i % 50 === 0) await store.get(`key:${round}:${Math.floor(i / 2)}`);
      }
      await Promise.all(long);
      await store.close();
      await Promise.all(writes);
      assertBound(place);
      await using copy = await placeOn(place.fs, `${place.dir}-copy${round}`).open();
      assert.deepEqual((await copy.verify()).problems, []);
      assert(copy.stats().keys > 100);
    }
  },
);

Deno.test("maxBytes is refused unless there is room for slabs", async () => {
  const wrong = [0, -1, 1.5, NaN, "1", 14 * 64 * 1024 - 1, 2 ** 53];
  for (const maxBytes of wrong as number[]) {
    const fs = new MemFs();
    await assert.rejects(open("/store", { fs, maxBytes, slabBytes: 64 * 1024 }), ArgumentError);
    assert.deepEqual(fs.list("/"), []);
  }
  await using store = await open("/store", { fs: new MemFs(), maxBytes: 14 * 64 * 1024 });
  assert.equal(store.stats().eviction!.maxBytes, 14 * 64 * 1024);
  await using unbounded = await open("/other", { fs: new MemFs() });
  assert.equal(unbounded.stats().eviction, undefined);
});

for (const onWriteFailure of ["refuse", "memory"] as const) {
  Deno.test(`a large value that waits for room is told when the log fails, onWriteFailure "${onWriteFailure}"`, async () => {
    const fs = new FaultFs(new MemFs());
    const store = await placeOn(fs, "/store").open({ ...BOUNDED, onWriteFailure });
    // As long as a value is being written, the store refuses none: that may make room.
    let source: ReadableStreamDefaultController<Uint8Array>;
    const stream = store.put(
      "stream",
      new ReadableStream({
        start(controller) {
          source = controller;
          controller.enqueue(noise(400_000, 1));
        },
      }),
    );
    const unwritten = failsWith("WRITE_FAILED", stream);
    while (store.stats().eviction!.diskBytes < 400_000) await turn();
    const large = failsWith("WRITE_FAILED", store.put("large", noise(400_000, 2)));
    while (store.stats().eviction!.waits === 0) await turn();
    fs.arm({ on: ["syncData", "sync"], path: ".log", fault: { kind: "error", code: "IO" } });
    const small = store.put("small", "value");
    if (onWriteFailure === "memory") assert.equal(await small, 0);
    else await failsWith("WRITE_FAILED", small);
    await large;
    await failsWith("WRITE_FAILED", store.put("larger", noise(500_000, 3)));
    source!.enqueue(noise(100_000, 4));
    source!.close();
    await unwritten;
    if (onWriteFailure === "memory") await store.close();
    else await failsWith("WRITE_FAILED", store.close());
  });
}

/** Large values in files of their own: what users see of them, and which files there are. */
import assert from "node:assert/strict";
import { open } from "../mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { assertBytes, killed } from "./_killed.ts";
import { steered, streamOf } from "./_streams.ts";
import { collect, filesOf, noise, placeOn, SMALL, testStore } from "./_support.ts";

const SLAB = SMALL.slabBytes!;
/** Several pieces of 256 KiB, the last one not whole. */
const LARGE = 600_000;

const blobsOf = (place: Parameters<typeof filesOf>[0]) => filesOf(place, ".blob");

testStore(
  "a large value is in one file, which goes when it is overwritten or deleted",
  async (place) => {
    await using store = await place.open();
    const first = noise(LARGE, 1);
    await store.put("k", first);
    assert.equal(blobsOf(place).length, 1);
    const { blobFiles, blobBytes } = store.stats();
    assert.equal(blobFiles, 1);
    assert.equal(blobBytes, place.fs.stat(`${place.dir}/${blobsOf(place)[0]}`).size);
    assertBytes(await store.get("k"), first, "k");
    assertBytes(store.getSync("k"), first, "k");
    const second = noise(LARGE + 1, 2);
    await store.put("k", second);
    assertBytes(await store.get("k"), second, "k");
    await store.put("other", noise(LARGE, 3));
    assert.equal(await store.delete("k"), true);
    assert.equal(await store.get("k"), undefined);
    await store.put("other", "short");
    assert.equal(await store.getText("other"), "short");
    await store.close();
    assert.deepEqual(blobsOf(place), []);
  },
);

testStore("a large value lists with its length, is verified, and lasts", async (place) => {
  const value = noise(LARGE, 1);
  {
    await using store = await place.open();
    const version = await store.put("k", value);
    assert.deepEqual(await collect(store.list()), [
      { key: "k", version, size: LARGE, storedSize: LARGE },
    ]);
    const { problems, bytes } = await store.verify();
    assert.deepEqual(problems, []);
    assert(bytes > LARGE);
    assert.deepEqual(await store.getEntry("k"), { value, version });
  }
  for (const reopened of [place, killed(place)]) {
    await using store = await reopened.open();
    assert.deepEqual(store.stats().recovery.blobs, { files: 1, swept: 0, problems: [] });
    assertBytes(await store.get("k"), value, "k");
    assert.deepEqual((await store.verify()).problems, []);
  }
});

testStore("update() may return a large value, and is given one", async (place) => {
  await using store = await place.open();
  await store.update("k", () => noise(LARGE, 1));
  await store.update("k", (old) => new Uint8Array([...old!.subarray(0, 3), ...noise(LARGE, 2)]));
  const value = (await store.get("k"))!;
  assertBytes(value.subarray(0, 3), noise(3, 1), "its beginning");
  assertBytes(value.subarray(3), noise(LARGE, 2), "the rest");
  await store.update("k", () => undefined);
  await store.close();
  assert.deepEqual(blobsOf(place), []);
});

testStore(
  "a batch that replaces large values removes their files once all of it is durable",
  async (place) => {
    await using store = await place.open();
    await store.put("a", noise(LARGE, 1));
    await store.put("b", noise(LARGE, 2));
    await store.batch([{ type: "delete", key: "a" }, { type: "put", key: "b", value: "short" }]);
    await store.flush();
    await store.close();
    assert.deepEqual(blobsOf(place), []);
  },
);

testStore("clear() removes the files of large values", async (place) => {
  await using store = await place.open();
  await store.put("a", noise(LARGE, 1));
  const { stream, controller } = steered();
  const streamed = store.put("b", stream);
  controller.enqueue(noise(LARGE, 2));
  await store.clear();
  controller.close();
  await streamed;
  assertBytes(await store.get("b"), noise(LARGE, 2), "a stream that ends after the clear");
  assert.equal(await store.has("a"), false);
  await store.close();
  assert.equal(blobsOf(place).length, 1);
  await using again = await place.open();
  assertBytes(await again.get("b"), noise(LARGE, 2), "b");
});

testStore(
  "checkpoint() has the large values of its moment, whatever is overwritten meanwhile",
  async (place) => {
    const value = noise(LARGE, 1);
    await using store = await place.open();
    let older = 0;
    for (let ticks = 0; ticks < 8; ticks++) {
      await store.put("a", value);
      await store.put("dead", noise(LARGE, 2));
      await store.delete("dead");
      const dir = `${place.dir}-copy-${ticks}`;
      const checkpoint = store.checkpoint(dir);
      for (let i = 0; i < ticks; i++) await Promise.resolve();
      await store.put("a", "gone");
      await checkpoint;
      assert.equal(await store.getText("a"), "gone");
      await using copy = await open(dir, { ...SMALL, fs: place.fs });
      const { problems, swept } = copy.stats().recovery.blobs;
      assert.deepEqual({ problems, swept }, { problems: [], swept: 0 });
      const found = (await copy.get("a"))!;
      if (found.length === LARGE) {
        assertBytes(found, value, "a");
        older++;
      } else {
        assert.equal(await copy.getText("a"), "gone");
      }
      assert.deepEqual((await copy.verify()).problems, []);
    }
    assert(older > 0, "none was made before the overwriting");
    await store.close();
    assert.deepEqual(blobsOf(place), [], "a checkpoint that is done keeps files of large values");
  },
);

testStore(
  "a large value that is read while it is overwritten is the old one, to its end",
  async (place) => {
    await using store = await place.open();
    const old = noise(6_000_000, 1);
    await store.put("k", old);
    const read = store.get("k");
    await store.put("k", noise(LARGE, 2));
    assertBytes(await read, old, "what was there when the read began");
    assertBytes(await store.get("k"), noise(LARGE, 2), "k");
  },
);

testStore("an image of the index knows large values", async (place) => {
  const options = { indexImageKeys: 0 };
  const value = noise(LARGE, 1);
  {
    await using store = await place.open(options);
    await store.put("k", value);
    for (let i = 0; i < 40; i++) await store.put(`filler ${i}`, noise(4000, i));
  }
  {
    await using store = await place.open(options);
    const { recovery } = store.stats();
    assert.equal(recovery.indexImage, "loaded");
    assert.deepEqual(recovery.blobs, { files: 1, swept: 0, problems: [] });
    assertBytes(await store.get("k"), value, "k");
    await store.delete("k");
  }
  assert.deepEqual(blobsOf(place), []);
});

testStore(
  "a compressed large value that becomes short is a record; else it is stored as it is",
  async (place) => {
    await using store = await place.open({ compression: "zstd" });
    const zeros = new Uint8Array(LARGE);
    await store.put("zeros", zeros);
    assert.deepEqual(blobsOf(place), []);
    assertBytes(await store.get("zeros"), zeros, "zeros");
    await store.put("noise", noise(LARGE, 1));
    assert.equal(blobsOf(place).length, 1);
    assertBytes(await store.get("noise"), noise(LARGE, 1), "noise");
  },
);

Deno.test("numbers of blob files are not given twice, across reopening and crashes", async () => {
  const fs = new MemFs();
  const seen = new Set<string>();
  let place = placeOn(fs, "/store");
  for (let round = 0; round < 6; round++) {
    const store = await place.open();
    for (let i = 0; i < 3; i++) {
      await store.put("k", noise(SLAB, i));
      const [name, ...others] = blobsOf(place);
      assert.deepEqual(others, []);
      assert(!seen.has(name!), `${name} was there before`);
      seen.add(name!);
    }
    await store.delete("k");
    const survivor = killed(place);
    await store.close();
    if (round % 2 === 1) place = survivor;
  }
});

Deno.test("files to which no record points are removed by open, others never", async () => {
  const place = placeOn(new MemFs(), "/store");
  {
    await using store = await place.open();
    await store.put("k", noise(LARGE, 1));
  }
  const [name] = blobsOf(place);
  for (const orphan of ["0000000001.blob", "9007199254740.blob"]) {
    using file = place.fs.create(`${place.dir}/${orphan}`);
    file.writeAt(noise(100, 1), 0);
  }
  // Names that no blob file has are somebody else's.
  for (const foreign of ["1.blob", "x.blob", "00000000001.blob", "99999999999999999.blob"]) {
    place.fs.create(`${place.dir}/${foreign}`).close();
  }
  await using store = await place.open();
  assert.equal(store.stats().recovery.blobs.swept, 2);
  assert.equal(blobsOf(place).length, 5);
  assert(blobsOf(place).includes(name!));
  assertBytes(await store.get("k"), noise(LARGE, 1), "k");
});

testStore("a large value that expires is gone with its file, at its time", async (place) => {
  let now = 1_000_000;
  const options = { now: () => now };
  {
    await using store = await place.open(options);
    await store.put("k", noise(LARGE, 1), { expireIn: 1000 });
    await store.put("s", streamOf(noise(LARGE, 2)), { expireIn: 2000 });
    assert.equal((await store.getEntry("k"))!.expiresAt, now + 1000);
    assertBytes(await store.get("s"), noise(LARGE, 2), "s");
  }
  await using store = await place.open(options);
  assertBytes(await store.get("k"), noise(LARGE, 1), "k");
  now += 1000;
  assert.equal(await store.get("k"), undefined);
  assert.equal(store.stream("k"), undefined);
  assert.equal(store.stats().blobFiles, 1);
  assertBytes(await store.get("s"), noise(LARGE, 2), "s");
  now += 1000;
  await store.close();
  await using again = await place.open(options);
  assert.equal(again.stats().recovery.blobs.files, 0);
  assert.deepEqual(blobsOf(place), []);
});

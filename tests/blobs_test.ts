/** Large values in files of their own: what users see of them, and which files there are. */
import assert from "node:assert/strict";
import { open, type Store } from "../mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { steered, streamOf } from "./_streams.ts";
import { assertBytes, isStepwise, killed } from "./_killed.ts";
import {
  bytes,
  collect,
  failsWith,
  filesOf,
  noise,
  placeOn,
  SMALL,
  testStore,
} from "./_support.ts";

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

testStore(
  "put() of a stream stores what it brings, short or long, and returns its version",
  async (place) => {
    const sizes = [
      0,
      1,
      100,
      4095,
      4096,
      4097,
      SLAB - 200,
      SLAB - 1,
      SLAB,
      SLAB + 1,
      3 * SLAB,
      LARGE,
    ];
    const store = await place.open();
    for (const size of sizes) {
      const value = noise(size, size);
      const version = await store.put(`s${size}`, streamOf(value, 1 + Math.ceil(size / 7)));
      assert.equal((await store.getEntry(`s${size}`))!.version, version);
      await store.put(`b${size}`, new Blob([value]));
    }
    assert.equal(blobsOf(place).length, 2 * 5);
    const check = async (opened: Store) => {
      for (const size of sizes) {
        for (const key of [`s${size}`, `b${size}`]) {
          assertBytes(await opened.get(key), noise(size, size), key);
        }
      }
    };
    await check(store);
    {
      await using survivor = await killed(place).open();
      await check(survivor);
    }
    await store.close();
    await using again = await place.open();
    await check(again);
  },
);

testStore(
  "a stream holds its key's lock: puts to the key come after it, others go on",
  async (place) => {
    await using store = await place.open();
    await store.put("k", "old");
    const { stream, controller } = steered();
    const streamed = store.put("k", stream);
    controller.enqueue(noise(LARGE, 1));
    const later = store.put("k", "new");
    await store.put("another", "goes on");
    assert.equal(await store.getText("k"), "new", "what was called last is seen");
    controller.enqueue(noise(10, 2));
    controller.close();
    assert(await streamed < await later);
    assert.equal(await store.getText("k"), "new");
  },
);

testStore("conditions of a large value are decided before it is read", async (place) => {
  await using store = await place.open();
  const version = await store.put("k", "old");
  const { stream, cancelled } = steered();
  const error = await failsWith("CONFLICT", store.put("k", stream, { ifAbsent: true }));
  assert.equal(error.version, version);
  assert.equal(await cancelled, error);
  await failsWith("CONFLICT", store.put("k", noise(LARGE, 1), { ifVersion: version + 1 }));
  await store.put("k", streamOf(noise(LARGE, 2)), { ifVersion: version });
  assertBytes(await store.get("k"), noise(LARGE, 2), "k");
  assert.equal(blobsOf(place).length, 1);
});

testStore(
  "a stream that fails, or is aborted, leaves nothing, wherever it stands",
  async (place) => {
    await using store = await place.open();
    await store.put("k", "old");
    for (const brought of [0, 100, SLAB + 1, LARGE]) {
      const failing = steered();
      const own = new RangeError("the source's own error");
      const failed = store.put("k", failing.stream);
      if (brought > 0) failing.controller.enqueue(noise(brought, 1));
      failing.controller.error(own);
      await assert.rejects(failed, own);

      const aborted = steered();
      const signal = new AbortController();
      const put = store.put("k", aborted.stream, { signal: signal.signal });
      if (brought > 0) aborted.controller.enqueue(noise(brought, 1));
      signal.abort("enough");
      const error = await failsWith("ABORTED", put);
      assert.equal(await aborted.cancelled, error);
      assert.equal(error.cause, "enough");
      assert.equal(await store.getText("k"), "old");
    }
    assert.deepEqual(blobsOf(place), []);
    // The key is free again.
    await store.put("k", "new");
  },
);

testStore("abort at any moment of a large put: there is all of it, or nothing", async (place) => {
  await using store = await place.open();
  await store.put("k", "old");
  for (let ticks = 0; ticks < 12; ticks++) {
    const controller = new AbortController();
    const { signal } = controller;
    const value = noise(LARGE, ticks);
    const put = store.put("k", ticks % 2 ? streamOf(value) : value, { signal });
    put.catch(() => {});
    for (let i = 0; i < ticks * ticks; i++) await Promise.resolve();
    controller.abort();
    let done = true;
    try {
      await put;
    } catch {
      done = false;
    }
    if (done) assertBytes(await store.get("k"), value, "k");
    else assert.equal(await store.getText("k"), "old");
    await store.put("k", "old");
  }
  await store.close();
  assert.deepEqual(blobsOf(place), []);
});

testStore("what is no stream of bytes is refused", async (place) => {
  await using store = await place.open();
  const locked = streamOf(bytes("x"));
  locked.getReader();
  await assert.rejects(store.put("k", locked), { code: "INVALID_ARGUMENT" });
  const texts = new ReadableStream({
    start: (controller) => controller.enqueue("text"),
  });
  await assert.rejects(store.put("k", texts as ReadableStream<Uint8Array>), {
    code: "INVALID_ARGUMENT",
  });
  const untouched = streamOf(bytes("x"));
  await assert.rejects(store.put("", untouched), { code: "INVALID_ARGUMENT" });
  assert.equal(untouched.locked, false);
  assert.equal(await store.has("k"), false);
});

testStore(
  "close() waits for no stream: it is refused, cancelled, and leaves nothing",
  async (place) => {
    const store = await place.open();
    const { stream, controller, cancelled } = steered();
    const put = store.put("k", stream);
    put.catch(() => {});
    controller.enqueue(noise(LARGE, 1));
    await store.put("other", "1");
    await store.flush();
    await store.close();
    await failsWith("CLOSED", put);
    assert.equal((await cancelled as { code: string }).code, "ABORTED");
    assert.deepEqual(blobsOf(place), []);
  },
);

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

testStore(
  "large puts count as waiting while they are written, and are refused beyond the limit",
  async (place) => {
    await using store = await place.open({ maxWaitingBytes: 3 * LARGE });
    const puts = [1, 2].map((i) => store.put(`k${i}`, noise(LARGE, i)));
    if (!isStepwise(place)) assert(store.stats().waitingBytes >= LARGE);
    const refused = store.put("k3", noise(LARGE, 3)).then(() => false, (error) => error.code);
    const wasRefused = await refused;
    assert(wasRefused === "BUSY" || isStepwise(place), `${wasRefused}`);
    await Promise.all(puts);
    assertBytes(await store.get("k2"), noise(LARGE, 2), "k2");
  },
);

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

import assert from "node:assert/strict";
import { CodecWorker, compressValue, openValue, valueHeader, zstd } from "../codec/mod.ts";
import { deflate } from "../codec/deflate.ts";
import {
  ArgumentError,
  type BatchOperation,
  type Codec,
  type Key,
  type ListEntry,
} from "../mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { bytes, collect, failsWith, noise, placeOn, testStore } from "./_support.ts";

/** Text that compresses about as JSON does, `size` bytes of it. */
function json(size: number, seed: number): Uint8Array<ArrayBuffer> {
  let content = "";
  for (let i = seed; content.length < size; i++) {
    content += JSON.stringify({ id: i, name: `user ${(i * 7919) % 1000}`, active: i % 3 === 0 });
  }
  return bytes(content.slice(0, size));
}

async function sizes(list: AsyncIterable<ListEntry>): Promise<Map<Key, ListEntry>> {
  return new Map((await collect(list)).map((entry) => [entry.key, entry]));
}

const SIZES = [0, 1, 511, 512, 4000, 30_000, 65_535, 65_536, 200_000, 300_000, 700_000];

testStore(
  "zstd: every size comes back, by every call, before and after reopening",
  async (place) => {
    const check = async () => {
      await using store = await place.open();
      for (const size of SIZES) {
        for (const [key, value] of [[`j${size}`, json(size, 1)], [`n${size}`, noise(size, size)]]) {
          const expected = value as Uint8Array;
          assert.deepEqual(await store.get(key as string), expected);
          assert.deepEqual(store.getSync(key as string), expected);
          assert.deepEqual((await store.getEntry(key as string))!.value, expected);
        }
      }
      const listed = await sizes(store.list());
      for (const size of SIZES) {
        const { size: raw, storedSize } = listed.get(`j${size}`)!;
        assert.equal(raw, size);
        if (size < 512) assert.equal(storedSize, size);
        else assert(storedSize <= size * 7 / 8, `${storedSize} of ${size}`);
        assert.equal(listed.get(`n${size}`)!.storedSize, size);
      }
      assert.deepEqual((await store.verify()).problems, []);
    };
    {
      await using store = await place.open({ compression: "zstd" });
      await Promise.all(SIZES.flatMap((size) => {
        const writes = [
          store.put(`j${size}`, json(size, 1)),
          store.put(`n${size}`, noise(size, size)),
        ];
        assert.deepEqual(store.getSync(`j${size}`), json(size, 1));
        return writes;
      }));
      const { valueBytes, storedValueBytes } = store.stats();
      const noises = SIZES.reduce((sum, size) => sum + size);
      assert.equal(valueBytes, 2 * noises);
      assert(storedValueBytes < 1.3 * noises, `${storedValueBytes} of ${valueBytes}`);
    }
    await check();
    await check();
  },
);

testStore("puts to one key keep their order, whoever compresses them", async ({ open }) => {
  await using store = await open({ compression: "zstd" });
  for (let round = 0; round < 5; round++) {
    const versions = [
      store.put("a", json(300_000, round)),
      store.put("a", json(1000, round)),
      store.update("a", (old) => json(old!.length + 100_000, round)),
      store.batch([{ type: "put", key: "b", value: json(90_000, round) }, {
        type: "put",
        key: "a",
        value: "batch",
      }]),
      store.put("a", json(80_000, round), { compression: "none" }),
      store.put("a", json(70_000, round), { ifVersion: 1 }).catch(({ code }) => code),
      store.put("a", json(600, round + 1)),
      store.put("a", json(150_000, round + 1)),
    ];
    assert.deepEqual(store.getSync("a"), json(150_000, round + 1));
    const done = await Promise.all(versions);
    assert.equal(done.splice(5, 1)[0], "CONFLICT");
    assert.deepEqual(done, done.toSorted((a, b) => Number(a) - Number(b)));
    assert.deepEqual(await store.get("a"), json(150_000, round + 1));
    assert.deepEqual(await store.get("b"), json(90_000, round));
  }
});

testStore("large values: the buffer may be reused, a signal ends the wait", async ({ open }) => {
  await using store = await open({ compression: "zstd" });
  const buffer = json(200_000, 1);
  const put = store.put("a", buffer);
  buffer.fill(0);
  const control = new AbortController();
  const aborted = store.put("a", json(200_000, 2), { signal: control.signal })
    .then(() => "written", ({ code }) => code);
  control.abort();
  await put;
  const outcome = await aborted;
  // Where there is no other thread, it had its place when the call returned.
  const expected = store.stats().threads > 0 ? "ABORTED" : "written";
  assert.equal(outcome, expected);
  assert.deepEqual(await store.get("a"), json(200_000, outcome === "written" ? 2 : 1));
});

testStore("compression is chosen per store, per write, from a size on", async ({ open }) => {
  await using store = await open({ compression: { codec: "zstd", level: 3, minBytes: 2000 } });
  const value = json(1500, 1);
  await store.put("below", value);
  await store.put("own", value, { compression: "zstd" });
  await store.put("not", json(3000, 1), { compression: "none" });
  await store.update("updated", () => value, { compression: { codec: "zstd", minBytes: 0 } });
  await store.batch([{ type: "put", key: "batch", value }], { compression: "zstd" });
  const listed = await sizes(store.list());
  const small = [...listed].filter(([, { size, storedSize }]) => storedSize < size);
  assert.deepEqual(small.map(([key]) => key), ["batch", "own", "updated"]);
  assert.deepEqual(await store.getMany(["own", "updated", "batch"]), [value, value, value]);
});

testStore("compression is chosen per operation of a batch", async ({ open }) => {
  await using store = await open({ codecs: [deflate()], compression: "zstd" });
  const small = json(1500, 1);
  const large = json(100_000, 2);
  const operations = (prefix: string): BatchOperation[] => [
    { type: "put", key: `${prefix}as the batch`, value: small },
    { type: "put", key: `${prefix}none`, value: small, compression: "none" },
    { type: "put", key: `${prefix}deflate`, value: small, compression: "deflate" },
    { type: "put", key: `${prefix}large`, value: large, compression: { codec: "zstd", level: 5 } },
    { type: "put", key: `${prefix}large, none`, value: large, compression: "none" },
    {
      type: "put",
      key: `${prefix}too short`,
      value: small,
      compression: { codec: "zstd", minBytes: 2000 },
    },
    { type: "delete", key: `${prefix}no such key` },
  ];
  await store.batch(operations("a:"));
  // What the batch says holds for those that say nothing.
  await store.batch(operations("b:"), { compression: "none" });
  // Both ways through the write path: this one has no large value, so it waits for no thread.
  await store.batch(operations("c:").filter(({ key }) => !String(key).includes("large")));
  const listed = await sizes(store.list());
  const isSmaller = (key: string) => listed.get(key)!.storedSize < listed.get(key)!.size;
  const smaller = [...listed.keys()].map(String).filter(isSmaller);
  assert.deepEqual(smaller, [
    ...["a:as the batch", "a:deflate", "a:large", "b:deflate", "b:large"],
    ...["c:as the batch", "c:deflate"],
  ]);
  for (const key of listed.keys()) {
    assert.deepEqual(await store.get(key), String(key).includes("large") ? large : small);
  }
  const before = store.stats().writes;
  const wrong = { type: "put", key: "x", value: small, compression: "lz4" } as const;
  await assert.rejects(
    store.batch([{ type: "put", key: "y", value: small }, wrong as unknown as BatchOperation]),
    (error) =>
      error instanceof ArgumentError && error.argument === "operations[1].compression" &&
      error.message.includes("deflate"),
  );
  assert.equal(store.stats().writes, before);
});

testStore("a codec of the user's: deflate, also for what waits for memory", async (place) => {
  const options = { codecs: [deflate()], compression: "deflate" };
  {
    await using store = await place.open(options);
    const writes: Promise<unknown>[] = [];
    for (let i = 0; i < 300; i++) {
      writes.push(store.put(`k${i}`, json(4000 + i, i)), store.put(`n${i}`, noise(1000, i)));
      assert.deepEqual(store.getSync(`k${i}`), json(4000 + i, i));
    }
    await Promise.all(writes);
    await store.put("zstd", json(4000, 1), { compression: "zstd" });
  }
  {
    await using store = await place.open();
    const error = await failsWith("UNKNOWN_CODEC", store.get("k1"));
    assert(error.message.includes("deflate") && error.message.includes("codecs"), error.message);
    await failsWith("UNKNOWN_CODEC", () => store.getSync("k1"));
    assert.deepEqual(await store.get("n1"), noise(1000, 1));
    assert.deepEqual(await store.get("zstd"), json(4000, 1));
    assert.equal((await collect(store.list({ prefix: "k1", limit: 1 })))[0]!.size, 4001);
    assert((await store.verify()).problems.length > 0);
  }
  await using store = await place.open(options);
  for (let i = 0; i < 300; i++) assert.deepEqual(await store.get(`k${i}`), json(4000 + i, i));
  assert.deepEqual((await store.verify()).problems, []);
});

testStore(
  "deflate: a value that fits into no slab even so is stored as it is",
  async ({ open }) => {
    const value = new Uint8Array([...noise(200_000, 1), ...new Uint8Array(200_000)]);
    await using store = await open({ codecs: [deflate()], compression: "deflate" });
    await store.put("large", value);
    assert.deepEqual(await store.get("large"), value);
    assert.deepEqual(store.getSync("large"), value);
    const [entry] = await collect(store.list());
    assert.deepEqual([entry!.size, entry!.storedSize], [value.length, value.length]);
  },
);

testStore("a value that does not decompress is CORRUPT, with its place", async (place) => {
  const liar: Codec = {
    name: "liar",
    id: 200,
    levels: { least: 1, most: 1, usual: 1 },
    compress: (raw) => noise(raw.length / 2, 1),
    decompress: (stored) => zstd.decompress(stored, 1000),
  };
  await using store = await place.open({ codecs: [liar], compression: "liar" });
  await store.put("a", json(1000, 1));
  for (const read of [() => store.get("a"), () => store.getEntry("a"), () => store.getSync("a")]) {
    const error = await failsWith("CORRUPT", read);
    assert(error.path!.startsWith(place.dir) && error.offset! > 0);
  }
  await failsWith("CORRUPT", store.update("a", () => "never"));
  assert.equal((await store.verify()).problems.length, 1);
});

Deno.test("a value is stored compressed if that saves an eighth, header and all, and not else", () => {
  // So many bytes of noise, then zeros.
  const value = (noisy: number) => {
    const raw = new Uint8Array(8000);
    raw.set(noise(noisy, 1));
    return raw;
  };
  let least = 8000;
  for (let noisy = 6000; noisy < 8000; noisy += 7) {
    const stored = compressValue(zstd, value(noisy), 1);
    if (stored === undefined) least = Math.min(least, noisy);
    else {
      assert(stored.length <= 7000, `${stored.length}`);
      assert(noisy < least);
    }
  }
  assert(least > 6900 && least < 7000, `${least}`);
});

Deno.test("what a value header claims is checked before memory is taken", async () => {
  const place = { path: "/store/1.log", offset: 64 };
  const codecs = new Map([[1, zstd]]);
  const stored = compressValue(zstd, new Uint8Array(100_000_000), 1)!;
  assert(stored.length < 20_000);
  const claim = (rawBytes: number) => {
    const copy = stored.slice();
    new DataView(copy.buffer).setUint32(4, rawBytes, true);
    return copy;
  };
  const read = (copy: Uint8Array) => {
    const { codec, rawBytes } = openValue(codecs, copy, 2 ** 30, place);
    return codec.decompress(copy.subarray(8), rawBytes);
  };
  assert.equal(read(stored).length, 100_000_000);
  for (const wrong of [99_999_999, 100_000_001, 50_000, 2 ** 30]) {
    assert.throws(() => read(claim(wrong)), RangeError, `${wrong}`);
  }
  for (const wrong of [0, 1000, 2 ** 30 + 1, 2 ** 32 - 1]) {
    const error = await failsWith("CORRUPT", () => read(claim(wrong)));
    assert.equal(error.offset, 64);
  }
  await failsWith("CORRUPT", () => openValue(codecs, stored.subarray(0, 7), 2 ** 30, place));
  const padded = stored.slice();
  padded[2] = 1;
  await failsWith("CORRUPT", () => openValue(codecs, padded, 2 ** 30, place));
  const other = stored.slice();
  other[0] = 99;
  await failsWith("UNKNOWN_CODEC", () => openValue(codecs, other, 2 ** 30, place));
});

Deno.test("zstd and deflate refuse what is not theirs, or not as long as it was", async () => {
  const codec = deflate();
  await codec.init!();
  for (const one of [zstd, codec]) {
    for (const size of [1000, 100_000]) {
      const raw = json(size, 3);
      const compressed = new Uint8Array(one.compress(raw, 1, size)!);
      assert.deepEqual(one.decompress(compressed, size), raw);
      // It stops as soon as there is too much, whatever would follow.
      const stopped = /more than|larger than/;
      for (const wrong of [size - 100, 0]) {
        assert.throws(() => one.decompress(compressed, wrong), stopped, `${one.name} ${wrong}`);
      }
      for (const wrong of [size - 1, size + 1]) {
        assert.throws(() => one.decompress(compressed, wrong), `${one.name} ${wrong}`);
      }
      assert.throws(() => one.decompress(compressed.subarray(0, compressed.length - 9), size));
      assert.throws(() => one.decompress(noise(500, 1), size));
      assert.equal(one.compress(noise(size, 1), 1, size - 100), undefined);
    }
  }
});

Deno.test("a codec thread that ends gives everybody an answer", async () => {
  const worker = new CodecWorker(50);
  const raw = json(200_000, 1);
  const lent = worker.compress(raw, 1);
  const stored = (await lent.stored)!;
  assert.equal(valueHeader(stored).rawBytes, raw.length);
  const compressed = stored.slice(8);
  assert.deepEqual(await worker.decompress(compressed.slice(), raw.length), raw);
  await assert.rejects(worker.decompress(compressed.slice(), raw.length + 1), RangeError);
  await assert.rejects(worker.decompress(new Uint8Array(100), 1000), RangeError);
  lent.giveBack();
  const again = worker.compress(raw, 1);
  assert.equal(again.raw.buffer, lent.raw.buffer, "memory is used again");
  const waiting = [again.stored, worker.decompress(compressed.slice(), raw.length)];
  worker.close();
  assert.deepEqual(await Promise.all(waiting), [undefined, undefined]);
  assert.equal(worker.usable, false);
  assert.equal(await worker.compress(raw, 1).stored, undefined);
});

Deno.test("a record's flags and header are those of docs/FORMAT.md", async () => {
  const place = placeOn(new MemFs(), "/store");
  await using store = await place.open({ compression: "zstd" });
  await store.put("key", new Uint8Array(1000));
  using file = place.fs.open("/store/0000000001.log");
  const record = new Uint8Array(64);
  file.readAt(record, 64);
  assert.equal(record[23], 8);
  assert.deepEqual([...record.subarray(27, 35)], [1, 0, 0, 0, 1000 & 255, 1000 >> 8, 0, 0]);
  assert.deepEqual([...record.subarray(35, 39)], [0x28, 0xb5, 0x2f, 0xfd]);
});

import assert from "node:assert/strict";
import type { Store } from "../mod.ts";
import { FaultFs, MemFs } from "../vfs/mod.ts";
import {
  collect,
  failsWith,
  filesOf,
  noise,
  type Place,
  placeOn,
  testStore,
  turn,
} from "./_support.ts";

const MANUAL = { compaction: "manual" } as const;

const keyOf = (i: number) => `key:${String(i).padStart(6, "0")}`;

function segmentBytesOf(place: Place): number {
  const sizes = filesOf(place, ".seg").map((name) => place.fs.stat(`${place.dir}/${name}`).size);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Calls `write` for all, a hundred at a time under way. */
async function each(count: number, write: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i += 100) {
    const part = Array.from({ length: Math.min(100, count - i) }, (_, nth) => write(i + nth));
    await Promise.all(part);
  }
}

testStore(
  "compact() after 90 % were deleted: files of 1.3 times what is alive, and every value",
  async (place) => {
    const keys = 3000;
    const isKept = (i: number) => i % 10 === 3;
    const check = async (store: Store) => {
      for (let i = 0; i < keys; i++) {
        const expected = isKept(i) ? noise(400, i) : undefined;
        assert.deepEqual(await store.get(keyOf(i)), expected, keyOf(i));
      }
      const listed = await collect(store.list());
      assert.deepEqual(
        listed.map(({ key }) => key),
        Array.from({ length: keys / 10 }, (_, i) => keyOf(10 * i + 3)),
      );
      assert.deepEqual((await store.verify()).problems, []);
    };
    {
      await using store = await place.open(MANUAL);
      await each(keys, (i) => store.put(keyOf(i), noise(400, i), { durability: "written" }));
      await each(
        keys,
        (i) => isKept(i) ? Promise.resolve() : store.delete(keyOf(i), { durability: "written" }),
      );
      const before = segmentBytesOf(place);
      const report = await store.compact();
      const { liveBytes, deadBytes, segmentBytes, compaction } = store.stats();
      assert.equal(segmentBytes, segmentBytesOf(place));
      assert(liveBytes >= keys / 10 * 400 && liveBytes <= keys / 10 * 450, `${liveBytes} live`);
      assert(segmentBytes <= 1.3 * liveBytes, `${segmentBytes} bytes for ${liveBytes} alive`);
      assert(deadBytes < liveBytes / 10, `${deadBytes} dead`);
      assert.equal(compaction.freedBytes, report.freedBytes);
      assert(report.freedBytes > before / 2 && report.droppedTombstones > keys / 2);
      await check(store);
    }
    // Twice: the second time with what the first close has left.
    for (let round = 0; round < 2; round++) {
      await using store = await place.open(MANUAL);
      await check(store);
    }
  },
);

testStore("stats() tells what is alive and what is dead, also after a reopening", async (place) => {
  const recordBytes = (keyBytes: number, valueBytes: number) =>
    (24 + keyBytes + valueBytes + 7) & -8;
  const sizes = new Map<string, number>();
  for (let round = 0; round < 6; round++) {
    await using store = await place.open({ ...MANUAL, indexImageKeys: round < 3 ? 0 : 1e9 });
    let all = 0;
    for (const [key, size] of sizes) all += recordBytes(key.length, size);
    const { liveBytes, deadBytes, segmentBytes } = store.stats();
    assert(liveBytes + deadBytes <= segmentBytes);
    // What a log has is in neither figure; it is less than a quarter of a slab.
    if (filesOf(place, ".log").length === 0) assert.equal(liveBytes, all, `round ${round}`);
    assert(liveBytes <= all && liveBytes >= all - 16 * 1024, `${liveBytes} of ${all}`);
    await each(300, (i) => {
      const key = keyOf((i * 7 + round * 100) % 400);
      if (i % 9 === 0) {
        sizes.delete(key);
        return store.delete(key);
      }
      sizes.set(key, 500 + i);
      return store.put(key, noise(500 + i, i));
    });
    if (round % 2 === 1) await store.compact();
  }
});

testStore("segments in which all is dead go in the background, without a copy", async (place) => {
  await using store = await place.open();
  for (let round = 0; round < 30; round++) {
    await each(50, (i) => store.put(keyOf(i), noise(1000, round * 50 + i)));
  }
  await settled(store);
  const { liveBytes, segmentBytes, compaction } = store.stats();
  assert(compaction.jobs > 0 && compaction.failures === 0);
  assert(segmentBytes < 50 * 1024 * 6, `${segmentBytes} bytes, ${liveBytes} alive`);
  for (let i = 0; i < 50; i++) {
    assert.deepEqual(await store.get(keyOf(i)), noise(1000, 29 * 50 + i));
  }
});

/** Writes little until compaction has nothing to do any more. */
async function settled(store: Store): Promise<void> {
  // Takes its turn after what runs in the background.
  await store.compact();
}

testStore("values whose time is over stay hidden, whatever is compacted", async (place) => {
  let now = 1_000_000;
  const options = { ...MANUAL, now: () => now };
  {
    await using store = await place.open(options);
    // Old values in a segment that is not compacted: hardly anything in it is dead.
    await store.put("hidden", "old");
    await each(60, (i) => store.put(`still:${i}`, noise(1000, i)));
    await store.put("hidden", "over", { expireIn: 10 });
    await each(100, (i) => store.put(keyOf(i), noise(1000, i), { expireIn: 10 }));
    now += 10;
    await each(100, (i) => store.put(keyOf(i), noise(1000, i)));
    const { removedFiles } = await store.compact();
    assert(removedFiles > 0);
  }
  for (let round = 0; round < 2; round++) {
    await using store = await place.open({ ...options, indexImageKeys: 1e9 });
    assert.equal(await store.get("hidden"), undefined);
    assert.equal((await collect(store.list())).length, 160);
    await store.compact();
    assert.equal(await store.get("hidden"), undefined);
  }
});

testStore(
  "reads, listings and writes go on while segments are compacted and removed",
  async (place) => {
    await using store = await place.open(MANUAL);
    const keys = 300;
    const value = (i: number, round: number) => noise(i === 7 ? 100_000 : 700, i * 10 + round);
    await each(keys, (i) => store.put(keyOf(i), value(i, 0)));
    await each(keys / 2, (i) => store.put(keyOf(2 * i), value(2 * i, 1)));
    const listing = store.list();
    const listed = [(await listing.next()).value.key];
    const compacting = store.compact();
    let isDone = false;
    compacting.finally(() => isDone = true);
    for (let i = 0; !isDone || i < keys; i++) {
      const at = i % keys;
      const large = store.get(keyOf(7));
      assert.deepEqual(await store.get(keyOf(at)), value(at, at % 2 === 0 ? 1 : 0));
      assert.deepEqual(store.getSync(keyOf(at)), value(at, at % 2 === 0 ? 1 : 0));
      assert.deepEqual(await large, value(7, 0));
      await turn();
    }
    assert((await compacting).removedFiles > 0);
    for await (const { key } of listing) listed.push(key);
    assert.deepEqual(listed, Array.from({ length: keys }, (_, i) => keyOf(i)));
  },
);

testStore(
  "compact() tells its progress, and ends with ABORTED by its signal; what it did stays",
  async (place) => {
    await using store = await place.open(MANUAL);
    await each(400, (i) => store.put(keyOf(i), noise(1000, i)));
    await each(400, (i) => i % 8 === 0 ? Promise.resolve() : store.put(keyOf(i), "x"));
    await failsWith("ABORTED", store.compact({ signal: AbortSignal.abort() }));
    const controller = new AbortController();
    let told = 0;
    const onProgress = ({ removedFiles }: { removedFiles: number }) => {
      assert(removedFiles > 0);
      told++;
      controller.abort();
    };
    await failsWith("ABORTED", store.compact({ signal: controller.signal, onProgress }));
    assert.equal(told, 1);
    const { freedBytes } = store.stats().compaction;
    assert(freedBytes > 0);
    await store.compact();
    for (let i = 0; i < 400; i++) {
      assert.deepEqual(
        await store.get(keyOf(i)),
        i % 8 === 0 ? noise(1000, i) : new TextEncoder().encode("x"),
      );
    }
  },
);

testStore("close() ends a compaction, and the next open has everything", async (place) => {
  for (let round = 0; round < 4; round++) {
    const store = await place.open(MANUAL);
    await each(200, (i) => store.put(keyOf(i), noise(1000, round * 200 + i)));
    const job = Promise.withResolvers<void>();
    const compacting = store.compact({ onProgress: () => job.resolve() }).then(
      () => job.resolve(),
      (error) => assert.match(error.code, /CLOSED|ABORTED/),
    );
    // At once, a little later, later, and after the first job.
    if (round === 3) await job.promise;
    else for (let i = 0; i < round * round * 10; i++) await turn();
    await store.close();
    await compacting;
    await using reopened = await place.open(MANUAL);
    for (let i = 0; i < 200; i++) {
      assert.deepEqual(await reopened.get(keyOf(i)), noise(1000, round * 200 + i));
    }
    assert.deepEqual((await reopened.verify()).problems, []);
  }
});

testStore("clear() and checkpoint() in the midst of compactions", async (place) => {
  await using store = await place.open(MANUAL);
  for (let round = 0; round < 3; round++) {
    await each(200, (i) => store.put(keyOf(i), noise(1000, i)));
    await each(100, (i) => store.put(keyOf(i), noise(1000, 1000 + i)));
    const compacting = store.compact();
    const copy = `${place.dir}-copy-${round}`;
    await store.checkpoint(copy);
    const again = store.compact();
    await store.clear();
    await store.put("after", String(round));
    await Promise.all([compacting, again]);
    assert.deepEqual((await collect(store.list())).map(({ key }) => key), ["after"]);
    const copied = await placeOn(place.fs, copy).open(MANUAL);
    assert.equal((await collect(copied.list())).length, 200 + (round > 0 ? 1 : 0));
    for (let i = 0; i < 200; i++) {
      assert.deepEqual(await copied.get(keyOf(i)), noise(1000, i < 100 ? 1000 + i : i));
    }
    await copied.close();
  }
});

Deno.test("no version is given twice, also if everything was deleted and compacted", async () => {
  const place = placeOn(new MemFs(), "/store");
  let newest = 0;
  for (let round = 0; round < 5; round++) {
    await using store = await place.open(MANUAL);
    for (let i = 0; i < 100; i++) {
      const version = await store.put(keyOf(i), noise(1000, i));
      assert(version > newest);
      newest = version;
    }
    for (let i = 0; i < 100; i++) await store.delete(keyOf(i));
    await store.compact();
    assert(store.stats().segmentBytes < 10_000);
  }
});

Deno.test("a damaged record is told, its segment stays, and the others are compacted", async () => {
  const fs = new FaultFs(new MemFs());
  const place = placeOn(fs, "/store");
  await using store = await place.open(MANUAL);
  await each(300, (i) => store.put(keyOf(i), noise(1000, i)));
  await each(150, (i) => store.put(keyOf(2 * i), noise(1000, 1000 + i)));
  const [first] = filesOf(place, ".seg");
  {
    using file = fs.openReadWrite(`/store/${first}`);
    // In the value of the second record, which is alive.
    file.writeAt(new Uint8Array([1, 2, 3]), 64 + 1040 + 500);
  }
  const error = await failsWith("CORRUPT", store.compact());
  assert.equal(error.path, `/store/${first}`);
  assert((await store.compact()).removedFiles > 0);
  assert(filesOf(place, ".seg").includes(first!));
  await failsWith("CORRUPT", store.get(keyOf(1)));
  assert.deepEqual(await store.get(keyOf(3)), noise(1000, 3));
});

testStore(
  "a delete that the index's image does not know is kept for the compacted segment that it does know",
  async (place) => {
    // What was dead by the image replaced what its successors had found dead: the delete was dropped as
    // nothing had anything dead, and the next opening without the image brought the value back.
    const fill = (store: Store, round: number) =>
      each(12, (i) => store.put(`filler:${i}`, noise(5000, i + round)));
    {
      await using store = await place.open({ ...MANUAL, indexImageKeys: 0 });
      await store.put("gone", "value");
      await fill(store, 1);
      await fill(store, 2);
      await store.flush();
      await store.compact();
      assert(filesOf(place, ".seg").some((name) => name.includes("-")), "a compacted segment");
    }
    const later = { ...MANUAL, indexImageKeys: 1e9 };
    {
      await using store = await place.open(later);
      await store.delete("gone");
      for (let round = 3; round < 5; round++) await fill(store, round);
    }
    {
      await using store = await place.open(later);
      assert.equal(store.stats().recovery.indexImage, "loaded");
      assert.deepEqual((await store.verify()).problems, []);
      await fill(store, 6);
      await store.compact();
    }
    await using store = await place.open(later);
    assert.equal(await store.get("gone"), undefined);
  },
);

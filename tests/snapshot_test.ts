import assert from "node:assert/strict";
import type { Snapshot, Store } from "../mod.ts";
import { InterceptFs, MemFs } from "../vfs/mod.ts";
import { collect, failsWith, filesOf, noise, placeOn, testStore, text, turn } from "./_support.ts";

const MANUAL = { compaction: "manual" } as const;

const keyOf = (i: number) => `key:${String(i).padStart(4, "0")}`;

/** What `snapshot` must show: all, by every way of reading. */
async function shows(snapshot: Snapshot, expected: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const keys = [...expected.keys()].sort();
  const listed = await collect(snapshot.list());
  assert.deepEqual(listed.map(({ key }) => key), keys);
  const many = await snapshot.getMany(keys);
  for (const [i, key] of keys.entries()) {
    assert.deepEqual(many[i], expected.get(key), key);
    assert.deepEqual(snapshot.getSync(key), expected.get(key), key);
    assert.deepEqual(await snapshot.get(key), expected.get(key), key);
  }
  const reverse = await collect(snapshot.list({ reverse: true, limit: 7 }));
  assert.deepEqual(reverse.map(({ key }) => key), keys.slice(-7).reverse());
}

/** Puts, all under way at once. */
async function fill(store: Store, count: number, seed: number): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  await Promise.all(Array.from({ length: count }, (_, i) => {
    values.set(keyOf(i), noise(300 + i, seed + i));
    return store.put(keyOf(i), noise(300 + i, seed + i), { durability: "written" });
  }));
  return values;
}

testStore(
  "a snapshot shows its version, whatever is written, deleted and compacted",
  async (place) => {
    await using store = await place.open(MANUAL);
    const before = await fill(store, 400, 1);
    using first = store.snapshot();
    await store.put("new", "not seen");
    const after = await fill(store, 200, 5000);
    for (let i = 300; i < 400; i++) await store.delete(keyOf(i), { durability: "written" });
    using second = store.snapshot();
    await store.compact();
    await fill(store, 400, 9000);
    await store.compact();
    await shows(first, before);
    const expected = new Map([...before, ...after, ["new", new TextEncoder().encode("not seen")]]);
    for (let i = 300; i < 400; i++) expected.delete(keyOf(i));
    await shows(second, expected);
    assert.equal(await first.has("new"), false);
    assert.equal(await second.has("new"), true);
    assert.equal((await first.getEntry(keyOf(3)))!.version <= first.version, true);
    assert.deepEqual((await store.verify()).problems, []);
    const { snapshots, snapshotEntries } = store.stats();
    assert.equal(snapshots, 2);
    // 300 keys changed after the first, then the 300 that the second saw.
    assert.equal(snapshotEntries, 600);
  },
);

testStore(
  "the space of what only a snapshot sees comes back once it is disposed of",
  async (place) => {
    await using store = await place.open(MANUAL);
    const before = await fill(store, 400, 1);
    const bytes = store.stats().segmentBytes;
    const snapshot = store.snapshot();
    for (let i = 0; i < 400; i++) await store.delete(keyOf(i), { durability: "written" });
    await store.compact();
    assert(store.stats().segmentBytes >= bytes);
    await shows(snapshot, before);
    snapshot.dispose();
    snapshot.dispose();
    assert.equal(store.stats().snapshotEntries, 0);
    await store.compact();
    assert(store.stats().segmentBytes < bytes / 5, `${store.stats().segmentBytes}`);
  },
);

testStore(
  "a snapshot keeps values that expire, and large ones, until it is disposed of",
  async (place) => {
    let now = 1e12;
    await using store = await place.open({ ...MANUAL, now: () => now });
    const large = noise(300_000, 1);
    await store.put("large", large);
    await store.put("short", "lived", { expireIn: 1000 });
    await store.put("over", "over", { expireIn: 10 });
    now += 500;
    const snapshot = store.snapshot();
    await store.put("large", noise(200_000, 2));
    await store.delete("large");
    now += 5000;
    assert.equal(await store.has("short"), false);
    await store.compact();
    assert.equal(await store.has("large"), false);
    assert.deepEqual(await snapshot.get("large"), large);
    const stream = snapshot.stream("large", { offset: 1000, length: 5000 })!;
    assert.deepEqual(await new Response(stream).bytes(), large.subarray(1000, 6000));
    assert.equal(text(snapshot.getSync("short")), "lived");
    assert.equal((await snapshot.getEntry("short"))!.expiresAt, 1e12 + 1000);
    assert.equal(await snapshot.get("over"), undefined);
    assert.deepEqual(
      (await collect(snapshot.list())).map(({ key, size }) => [key, size]),
      [["large", 300_000], ["short", 5]],
    );
    assert.equal(store.stats().blobFiles, 1);
    snapshot.dispose();
    assert.equal(store.stats().blobFiles, 0);
  },
);

testStore("a listing that is consistent shows one moment", async (place) => {
  await using store = await place.open(MANUAL);
  const before = await fill(store, 300, 1);
  const listed: string[] = [];
  for await (const { key } of store.list({ consistent: true })) {
    if (listed.length === 10) {
      for (let i = 0; i < 300; i++) await store.delete(keyOf(i), { durability: "memory" });
      await store.put("z", "new");
      await store.compact();
    }
    listed.push(key as string);
  }
  assert.deepEqual(listed, [...before.keys()].sort());
  assert.equal(store.stats().snapshots, 0);
  // One that is left early ends its snapshot, too.
  for await (const { key } of store.list({ consistent: true })) {
    assert.equal(key, "z");
    assert.equal(store.stats().snapshots, 1);
    break;
  }
  assert.equal(store.stats().snapshots, 0);
});

testStore(
  "a snapshot that is disposed of, or whose store is closed, refuses everything",
  async (place) => {
    const store = await place.open(MANUAL);
    await fill(store, 50, 1);
    const disposed = store.snapshot();
    const open = store.snapshot();
    const listing = disposed.list()[Symbol.asyncIterator]();
    await listing.next();
    disposed.dispose();
    await failsWith("CLOSED", listing.next());
    const refuses = async (snapshot: Snapshot) => {
      await failsWith("CLOSED", () => snapshot.getSync("a"));
      await failsWith("CLOSED", snapshot.get("a"));
      await failsWith("CLOSED", snapshot.has("a"));
      await failsWith("CLOSED", snapshot.getMany(["a"]));
      await failsWith("CLOSED", snapshot.getEntry("a"));
      await failsWith("CLOSED", () => snapshot.stream("a"));
      await failsWith("CLOSED", () => snapshot.list());
    };
    await refuses(disposed);
    // A long getMany that is under way says so as well.
    const some = open.getMany(Array.from({ length: 3000 }, (_, i) => keyOf(i)));
    open.dispose();
    await failsWith("CLOSED", some);
    const last = store.snapshot();
    await store.close();
    await refuses(last);
    last.dispose();
  },
);

testStore(
  "writes, deletes and compactions that go on all the while change no snapshot",
  async (place) => {
    const models: { snapshot: Snapshot; values: Map<string, Uint8Array> }[] = [];
    {
      await using store = await place.open({ compaction: { deadPart: 0.2 } });
      const now = new Map<string, Uint8Array>();
      for (let round = 0; round < 12; round++) {
        const compacting = round % 3 === 0 ? store.compact() : undefined;
        const writes: Promise<unknown>[] = [];
        for (let i = 0; i < 150; i++) {
          const key = keyOf((i * 7 + round * 31) % 200);
          if (i % 5 === 0) {
            writes.push(store.delete(key, { durability: "written" }));
            now.delete(key);
          } else {
            const value = noise(500, round * 1000 + i);
            writes.push(store.put(key, value, { durability: "written" }));
            now.set(key, value);
          }
        }
        await Promise.all(writes);
        models.push({ snapshot: store.snapshot(), values: new Map(now) });
        await compacting;
        for (const { snapshot, values } of models) await shows(snapshot, values);
        if (models.length > 3) models.shift()!.snapshot.dispose();
      }
      for (const { snapshot } of models) snapshot.dispose();
      await store.compact();
      const { segmentBytes, liveBytes, snapshotEntries } = store.stats();
      assert.equal(snapshotEntries, 0);
      assert(segmentBytes <= 1.5 * liveBytes, `${segmentBytes} bytes for ${liveBytes}`);
      assert.deepEqual((await store.verify()).problems, []);
    }
    assert.equal(filesOf(place, ".tmp").length, 0);
  },
);

testStore(
  "what is overwritten while it is being compacted is kept for a snapshot",
  async (place) => {
    await using store = await place.open(MANUAL);
    const values = await fill(store, 300, 1);
    for (let i = 0; i < 300; i += 3) {
      await store.delete(keyOf(i), { durability: "memory" });
      values.delete(keyOf(i));
    }
    using snapshot = store.snapshot();
    let isDone = false;
    const compacting = store.compact().finally(() => isDone = true);
    const keys = [...values.keys()];
    let overwritten = 0;
    while (!isDone) {
      // From the end on: the compaction begins with the first ones.
      const key = keys[keys.length - 1 - overwritten++ % keys.length]!;
      await store.put(key, "new", { durability: "memory" });
      if (overwritten % 4 === 0) await turn();
    }
    await compacting;
    assert(overwritten > 0);
    await shows(snapshot, values);
    await store.compact();
    await shows(snapshot, values);
    snapshot[Symbol.dispose]();
    await store.compact();
    const { liveBytes, deadBytes, snapshotEntries } = store.stats();
    assert.equal(snapshotEntries, 0);
    assert(deadBytes <= liveBytes / 10, `${deadBytes} dead bytes stay, beside ${liveBytes}`);
  },
);

for (const ending of ["close", "dispose"]) {
  testStore(
    `what is overwritten before the compaction under way comes to it is kept for a snapshot, then ${ending}`,
    async (place) => {
      await using store = await place.open(MANUAL);
      // Many sources of one job, so that looking at them takes several turns of the event loop; and in
      // each of them deletes of what the one before it has.
      const all = Array.from({ length: 8000 }, (_, i) => keyOf(i));
      const kept = all.filter((_, i) => i % 20 === 0);
      const values = new Map(kept.map((key) => [key, noise(60, all.indexOf(key))]));
      let older: string[] = [];
      for (let at = 0; at <= all.length; at += 400) {
        const keys = all.slice(at, at + 400);
        await store.batch([
          ...keys.map((key, i) => ({ type: "put", key, value: noise(60, at + i) }) as const),
          ...older.map((key) => ({ type: "delete", key }) as const),
        ]);
        older = keys.filter((key) => !values.has(key));
      }
      using snapshot = store.snapshot();
      let isDone = false;
      const compacting = store.compact().finally(() => isDone = true);
      // From the end on, a segment after the other: the compaction begins with the first ones.
      for (let at = kept.length - 1; at >= 0 && !isDone; at -= 30) {
        await store.put(kept[at]!, "new", { durability: "memory" });
        await turn();
      }
      await compacting;
      await shows(snapshot, values);
      if (ending === "dispose") {
        // Nothing is needed any more, wherever it was moved meanwhile.
        snapshot[Symbol.dispose]();
        await store.batch(kept.map((key) => ({ type: "put", key, value: "new" })));
        await store.compact();
        const { liveBytes, deadBytes } = store.stats();
        assert(deadBytes <= liveBytes / 10, `${deadBytes} dead bytes stay, beside ${liveBytes}`);
      }
      // A segment that stays for the snapshot has values whose deletes must stay as well.
      await store.close();
      await using again = await place.open(MANUAL);
      const left = await collect(again.list());
      assert.deepEqual(left.map(({ key }) => key), kept);
    },
  );
}

testStore(
  "a snapshot does not see what the store had lost before, wherever the clock goes",
  async (place) => {
    let now = 1e12;
    await using store = await place.open({ ...MANUAL, now: () => now });
    await store.put("key", "value", { expireAt: now + 1000 });
    using before = store.snapshot();
    now += 2000;
    assert.equal(await store.get("key"), undefined);
    now -= 1500;
    // Nothing was written in between.
    using after = store.snapshot();
    assert.equal(after.version, before.version);
    assert.equal(await before.getText("key"), "value");
    assert.equal(await after.getText("key"), undefined);
    assert.deepEqual(await collect(after.list()), []);
    assert.equal((await collect(before.list())).length, 1);
  },
);

Deno.test("a snapshot that sees what was evicted does not spoil the image of the index", async () => {
  const memory = new MemFs();
  let onRemove = (_path: string) => {};
  const fs = new InterceptFs("watched", memory, {
    call({ kind, path }, run) {
      if (kind === "remove") onRemove(path);
      return run();
    },
    callAsync: (_operation, run) => run(),
  });
  const place = placeOn(fs, "/store");
  const options = { maxBytes: 1024 * 1024, indexImageKeys: 1 };
  const store = await place.open(options);
  let snapshot: Snapshot | undefined;
  // The file of what was evicted is about to go; its keys are still there.
  onRemove = (path) => {
    if (path.endsWith(".seg")) snapshot ??= store.snapshot();
  };
  const seen = () => store.stats().snapshotEntries;
  for (let i = 0; seen() === 0; i++) {
    assert(i < 2000, "nothing was evicted that the snapshot sees");
    const put = store.put(keyOf(i), noise(2000, i), { durability: "written" });
    // From then on, nothing can go.
    await put.catch((error) => assert.equal(error.code, snapshot && "NO_SPACE"));
  }
  await store.close();
  await using again = await place.open(options);
  assert.equal(again.stats().recovery.indexImage, "loaded");
});

/** The bugs of the store that this one takes after, by their numbers: what opening makes of the files. */
import assert from "node:assert/strict";
import { type Fs, InterceptFs, MemFs } from "../vfs/mod.ts";
import { SegmentReader } from "../segment/mod.ts";
import { FILE_HEADER_BYTES, logName, segmentName } from "../wal/mod.ts";
import { Engine, ENGINE_DIR, exhaust, recover } from "./_engine.ts";
import { assertBytes, killed, powerLost, unseal } from "./_killed.ts";
import {
  failsWith,
  filesOf,
  noise,
  type Place,
  placeOn,
  randomOf,
  readFile,
  SMALL,
  testStore,
  writeFile,
} from "./_support.ts";

const SLAB = SMALL.slabBytes!;

/** What a store should hold; `undefined`: deleted. */
type Model = Map<string, Uint8Array | undefined>;

async function holds(place: Place, model: Model): Promise<void> {
  await using store = await place.open({ compaction: "manual" });
  for (const [key, value] of model) assertBytes(await store.get(key), value, key);
  assert.deepEqual((await store.verify()).problems, []);
}

/** A closed store of some fifteen segments: of each key many values, and some deletes, in several of them. */
async function overwritten(place: Place, rounds = 4): Promise<Model> {
  const model: Model = new Map();
  await using store = await place.open({ compaction: "manual" });
  for (let i = 0; i < rounds * 50; i++) {
    const key = `k${(i * 11) % 50}`;
    if (i % 7 === 3) {
      await store.delete(key);
      model.set(key, undefined);
    } else {
      model.set(key, noise(5000, i));
      await store.put(key, noise(5000, i));
    }
  }
  return model;
}

testStore(
  "B1, B14, B20, B27: logs older than sealed segments are replayed, and the newest of each key wins",
  async (place) => {
    const model = await overwritten(place);
    const segments = filesOf(place, ".seg").length;
    assert(segments > 10, `${segments} segments`);
    // As if the flush worker had finished some, and others before them not.
    assert(unseal(place, (nth) => nth % 3 !== 1) > 6);
    await holds(place, model);
    assert.equal(filesOf(place, ".seg").length, segments);
    await holds(place, model);
  },
);

Deno.test("B1: segments are finished in the order of the log, and every moment in between is whole", () => {
  const fs = new MemFs();
  const engine = new Engine(fs, 4);
  const count = engine.fillUntil(4, false);
  exhaust(engine.log);
  for (let finished = 0; finished < 3;) {
    engine.flush.step(true);
    const sealed = fs.list(ENGINE_DIR).filter((name) => name.endsWith(".seg"));
    finished = sealed.length;
    assert.deepEqual(sealed, sealed.map((_, nth) => segmentName(nth + 1)));
    const found = recover(fs.crashClone({ keep: "all" }));
    assert.deepEqual(found.completed, [1, 2, 3].slice(finished));
    assert.equal(found.active?.segment, 4);
    assert(finished > 0 || found.sequences.length === count);
  }
});

Deno.test("B2: a clock that goes back changes no order", async () => {
  const real = [Date.now, performance.now] as const;
  const place = placeOn(new MemFs(), "/store");
  let last = 0;
  try {
    for (let life = 0; life < 5; life++) {
      // Each life begins a day before the one before, and ends with a kill or a close.
      Date.now = () => 1.7e12 - life * 864e5;
      performance.now = () => 1e6 - life * 1e5;
      const store = await place.open({ compaction: "manual" });
      for (let i = 0; i < 20; i++) {
        const version = await store.put(`k${i % 4}`, noise(4000, life * 100 + i));
        assert(version > last);
        last = version;
      }
      await store.close();
      if (life % 2 === 1) unseal(place);
    }
    await holds(place, new Map([0, 1, 2, 3].map((k) => [`k${k}`, noise(4000, 416 + k)])));
  } finally {
    [Date.now, performance.now] = real;
  }
});

Deno.test("B3: at each promise the names of everything that it rests on are durable", async () => {
  const place = placeOn(new MemFs(), "/a/new/directory/store");
  const model: Model = new Map();
  await using store = await place.open();
  for (let i = 0; i < 60; i++) {
    model.set(`k${i % 40}`, noise(5000, i));
    await store.put(`k${i % 40}`, noise(5000, i));
    await holds(powerLost(place), model);
  }
});

Deno.test("B4: whatever of a footer a crash leaves, the segment is made anew from its log", async () => {
  const closed = placeOn(new MemFs(), "/store");
  const model = await overwritten(closed, 1);
  const log = `/store/${logName(2)}`;
  const footers = new Set<number>();
  for (const part of [0, 1, 100, 0.5, 0.9, -64, -1]) {
    for (const garbage of [false, true]) {
      const fs = (closed.fs as MemFs).crashClone({ keep: "all" });
      const reader = SegmentReader.open(fs, `/store/${segmentName(2)}`);
      const { recordsEnd } = reader.summary;
      reader.close();
      fs.rename(`/store/${segmentName(2)}`, log);
      const whole = readFile(fs, log);
      const length = whole.length - recordsEnd;
      footers.add(length);
      const kept = part < 0 ? length + part : part < 1 ? Math.floor(part * length) : part;
      const bytes = Math.max(SLAB, recordsEnd + kept);
      const torn = garbage ? noise(bytes, 1) : new Uint8Array(bytes);
      torn.set(whole.subarray(0, recordsEnd + kept));
      writeFile(fs, log, torn);
      await holds(placeOn(fs, "/store"), model);
      assertBytes(readFile(fs, `/store/${segmentName(2)}`), whole, "the segment");
    }
  }
  assert(footers.size === 1 && [...footers][0]! > 150);
});

testStore(
  "B8: more logs than slabs are replayed, none of them is lost afterwards, and writing goes on",
  async (place) => {
    const model = await overwritten(place, 2);
    const logs = unseal(place);
    assert(logs > 2, `${logs} logs`);
    const store = await place.open({ slabs: 2, slabBytes: 128 * 1024 });
    await holds(killed(place), model);
    await holds(powerLost(place), model);
    // More than all slabs hold: none of them is missing from the pool.
    for (let i = 0; i < 80; i++) {
      model.set(`new ${i}`, noise(5000, i));
      await store.put(`new ${i}`, noise(5000, i));
    }
    await store.close();
    await holds(place, model);
  },
);

Deno.test(
  "B9, B17: values larger than a slab are replayed, each with its checksum over key and value",
  async () => {
    const place = placeOn(new MemFs(), "/store");
    const model: Model = new Map();
    {
      await using store = await place.open({ compaction: "manual" });
      for (const [i, size] of [3 * SLAB, 10, SLAB + 1, 2 * SLAB, 100].entries()) {
        const keys = [`k${i}`, "same"];
        const value = noise(size, i);
        for (const key of keys) model.set(key, value);
        // Batches keep theirs in the log, in slabs of their own; others are in files of their own.
        if (i !== 2) await store.batch(keys.map((key) => ({ type: "put", key, value })));
        else for (const key of keys) await store.put(key, value);
      }
      await holds(killed(place), model);
      await holds(powerLost(place), model);
    }
    assert(unseal(place) > 1);
    // Also with slabs of another size than they were written with.
    await using store = await place.open({ slabs: 2, slabBytes: 256 * 1024 });
    for (const [key, value] of model) assertBytes(await store.get(key), value, key);
    assert.deepEqual((await store.verify()).problems, []);
  },
);

testStore(
  "B20: a delete during rotations and flushes lasts, whatever became of its key's older values",
  async (place) => {
    const model: Model = new Map();
    {
      await using store = await place.open({ compaction: "manual" });
      const writes: Promise<unknown>[] = [];
      for (let i = 0; i < 200; i++) {
        model.set(`k${i}`, noise(4000, i)).set(`k${i - 25}`, undefined);
        writes.push(store.put(`k${i}`, noise(4000, i)), store.delete(`k${i - 25}`));
        if (i % 30 === 0) await Promise.all(writes);
      }
      await Promise.all(writes);
      for (const [key, value] of model) assertBytes(await store.get(key), value, key);
    }
    unseal(place, (nth) => nth % 2 === 0);
    await holds(place, model);
  },
);

Deno.test("B34: no log is ever created over one that is there", async () => {
  const over: string[] = [];
  let creations = 0;
  let survivor = new MemFs();
  const model: Model = new Map();
  const random = randomOf(34);
  for (let life = 0; life < 12; life++) {
    const inner = survivor;
    const fs: Fs = new InterceptFs("watched", inner, {
      call({ kind, path }, run) {
        const isLog = kind === "create" && path.endsWith(".log");
        if (isLog) creations++;
        if (isLog && inner.list("/store").some((name) => path.endsWith(name))) over.push(path);
        return run();
      },
      callAsync: (_operation, run) => run(),
    });
    const place = placeOn(fs, "/store");
    const store = await place.open();
    const count = 5 + random() * 30;
    for (let i = 0; i < count; i++) {
      model.set(`k${i}`, noise(5000, life * 100 + i));
      await store.put(`k${i}`, noise(5000, life * 100 + i));
    }
    if (life % 3 !== 0) survivor = inner.crashClone({ keep: life % 3 === 1 ? "all" : "synced" });
    await store.close();
  }
  assert.deepEqual(over, []);
  assert(creations > 20, `${creations} logs`);
  await holds(placeOn(survivor, "/store"), model);
});

Deno.test(
  "B35: what is damaged is told and kept: opening changes and removes no file",
  async () => {
    const place = placeOn(new MemFs(), "/store");
    await overwritten(place, 2);
    const { fs, dir } = place;
    const contents = () => fs.list(dir).map((name) => [name, readFile(fs, `${dir}/${name}`)]);
    const path = `${dir}/${segmentName(2)}`;
    const whole = readFile(fs, path);
    for (const offset of [0, FILE_HEADER_BYTES - 1, whole.length - 1, whole.length - 100]) {
      const damaged = whole.slice();
      damaged[offset]! ^= 1;
      writeFile(fs, path, damaged);
      const before = contents();
      assert.equal((await failsWith("CORRUPT", place.open())).path, path);
      assert.deepEqual(contents(), before);
    }
  },
);

Deno.test(
  "B35: a damaged value is CORRUPT when it is read; all others are there, and its segment stays",
  async () => {
    const place = placeOn(new MemFs(), "/store");
    {
      await using store = await place.open();
      for (let i = 0; i < 40; i++) await store.put(`k${i}`, noise(5000, i));
    }
    const path = `${place.dir}/${segmentName(1)}`;
    const damaged = readFile(place.fs, path);
    damaged[FILE_HEADER_BYTES + 3000]! ^= 1;
    writeFile(place.fs, path, damaged);
    await using store = await place.open();
    const error = await failsWith("CORRUPT", store.get("k0"));
    assert.equal(error.path, path);
    assert.equal(error.offset, FILE_HEADER_BYTES);
    for (let i = 1; i < 40; i++) assertBytes(await store.get(`k${i}`), noise(5000, i), `k${i}`);
    const { problems } = await store.verify();
    assert.deepEqual(problems.map((problem) => problem.path), [path]);
    assertBytes(readFile(place.fs, path), damaged, path);
  },
);

/** Values of every size that a slab makes special, through all that can happen to them. */
import assert from "node:assert/strict";
import type { Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { MemFs } from "../vfs/mod.ts";
import {
  FILE_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  recordSpace,
  SEAL_SPACE_BYTES,
} from "../wal/mod.ts";
import { assertBytes, isStepwise, killed, powerLost, unseal } from "./_killed.ts";
import { sameBytes } from "./_history.ts";
import { noise, type Place, placeOn, SMALL, testStore } from "./_support.ts";

const SLAB = SMALL.slabBytes!;
const FILLER = 40_000;
/** Two fillers do not fit into one slab: after the second one, just this much of its slab is used. */
const USED = FILE_HEADER_BYTES + recordSpace("filler".length, FILLER);
/** The value that, under a key of five bytes, fills the rest of that slab to the last byte. */
const REST = SLAB - SEAL_SPACE_BYTES - USED - RECORD_HEADER_BYTES - 5;
/** The longest value, under such a key, for which an empty slab of the usual size is taken. */
const ALONE = SLAB - FILE_HEADER_BYTES - SEAL_SPACE_BYTES - 2 * RECORD_HEADER_BYTES - 5;
/** The longest that such a slab could hold. */
const MOST = ALONE + RECORD_HEADER_BYTES;

const SIZES = [
  ...[0, 1, 100, 4095, 4096, 4097, SLAB - 1, SLAB, SLAB + 1, 3 * SLAB],
  ...[ALONE - 8, ALONE - 1, ALONE, ALONE + 1, ALONE + 8],
  ...[MOST - 8, MOST - 1, MOST, MOST + 1, MOST + 8],
];
const DELTAS = Array.from({ length: 17 }, (_, i) => i - 8);
const FEW_DELTAS = [-8, -7, -1, 0, 1, 7, 8];

/** What the store should hold. */
type Model = Map<string, Uint8Array | undefined>;

/** Puts, and looks at once: in the slab. */
async function put(store: Store, model: Model, key: string, size: number): Promise<number> {
  const value = noise(size, size + model.size * 1000);
  const version = await store.put(key, value);
  model.set(key, value);
  assertBytes(store.getSync(key), value, key);
  return version;
}

async function check(store: Store, model: Model): Promise<void> {
  for (const [key, value] of model) {
    assertBytes(await store.get(key), value, key);
    assertBytes(store.getSync(key), value, key);
  }
  assert.equal(
    store.stats().keys,
    [...model.values()].filter((value) => value !== undefined).length,
  );
  assert.deepEqual((await store.verify()).problems, []);
}

/** Opens, checks, and does so again, where that is quick: what recovery leaves must open as well. */
async function checkTwice(place: Place, model: Model): Promise<void> {
  for (let round = 0; round < (isStepwise(place) ? 2 : 1); round++) {
    await using store = await place.open({ compaction: "manual" });
    await check(store, model);
  }
}

/** What a kill and a power loss leave, what a close leaves, and what it is with no segment finished. */
async function checkAll(place: Place, store: Store, model: Model): Promise<void> {
  await check(store, model);
  await checkTwice(killed(place), model);
  if (place.fs instanceof MemFs) await checkTwice(powerLost(place), model);
  await store.close();
  await checkTwice(place, model);
  assert(unseal(place) > 0);
  await checkTwice(place, model);
}

testStore("every size is put, overwritten, deleted, reopened, replayed", async (place) => {
  const model: Model = new Map();
  const store = await place.open({ compaction: "manual" });
  for (const [i, size] of SIZES.entries()) await put(store, model, `${10_000 + i}`, size);
  await check(store, model);
  for (const i of SIZES.keys()) {
    const key = `${10_000 + i}`;
    // Another size, then for every third key nothing.
    await put(store, model, key, SIZES[(i + 7) % SIZES.length]!);
    if (i % 3 > 0) continue;
    assert.equal(await store.delete(key), true);
    assert.equal(store.getSync(key), undefined);
    model.set(key, undefined);
  }
  await checkAll(place, store, model);
});

Deno.test("every size is put alone into a new store, and replayed", async () => {
  const fs = new MemFs();
  for (const size of SIZES) {
    const own = placeOn(fs, `/stores/${size}`);
    const model: Model = new Map();
    const store = await own.open();
    await put(store, model, "alone", size);
    await checkTwice(killed(own), model);
    await checkTwice(powerLost(own), model);
    await store.close();
    await checkTwice(own, model);
  }
});

testStore("what just fits, or just does not, into the rest of a slab", async (place) => {
  const stepwise = isStepwise(place);
  const deltas = stepwise ? DELTAS : FEW_DELTAS;
  const model: Model = new Map();
  const store = await place.open({ compaction: "manual" });
  for (const round of [0, 1]) {
    for (const [i, delta] of deltas.entries()) {
      await put(store, model, "filler", FILLER);
      const before = await put(store, model, "filler", FILLER);
      const { rotations } = store.stats();
      // In the second round another size over it.
      const other = round === 0 ? delta : -delta;
      const version = await put(store, model, `${10_000 + i}`, REST + other);
      // Workers that fall idle leave marks in between, which take room too.
      if (!stepwise) continue;
      const space = recordSpace("filler".length, FILLER);
      assert.equal(version === before + space, other <= 0, `${other} bytes more than fit`);
      assert.equal(store.stats().rotations - rotations, other <= 0 ? 0 : 1);
      if (round === 0 && delta === 0) {
        // Full to the last byte: this is also what is left at a crash.
        await checkTwice(killed(place), model);
        await checkTwice(powerLost(place), model);
      }
    }
    for (const [i, delta] of deltas.entries()) {
      if (round === 0 || delta % 3 !== 0) continue;
      assert.equal(await store.delete(`${10_000 + i}`), true);
      model.set(`${10_000 + i}`, undefined);
    }
  }
  await checkAll(place, store, model);
});

Deno.test("a batch that just fits, or just does not, is there as a whole", async () => {
  const place = placeOn(new MemFs(), "/store");
  const model: Model = new Map();
  const store = await place.open({ compaction: "manual" });
  for (const delta of DELTAS.filter((delta) => delta % 4 === 0)) {
    await put(store, model, "filler", FILLER);
    await put(store, model, "filler", FILLER);
    // Two records: the first takes 4096 bytes.
    const first = noise(4096 - RECORD_HEADER_BYTES - 5, delta);
    const second = noise(REST - 4096 + delta, delta);
    const keys = [`a${1000 + delta}`, `b${1000 + delta}`] as const;
    await store.batch([
      { type: "put", key: keys[0], value: first },
      { type: "put", key: keys[1], value: second },
    ]);
    model.set(keys[0], first).set(keys[1], second);
  }
  await checkAll(place, store, model);
});

/** A write that was called, or is acknowledged. */
interface Write {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly done: boolean;
}

Deno.test("a power loss at any moment leaves every size that was acknowledged", async () => {
  const sizes = [0, 4096, MOST, SLAB, 3 * SLAB];
  const report = await testCrashes<Write>({
    async run(fs, promise) {
      await using store = await placeOn(fs, "/store").open();
      const write = async (key: string, value: Uint8Array | undefined) => {
        promise({ key, value, done: false });
        await (value === undefined ? store.delete(key) : store.put(key, value));
        promise({ key, value, done: true });
      };
      for (const size of sizes) await write(`size ${size}`, noise(size, size));
      for (const delta of [-8, 0, 8]) {
        for (const seed of [1, 2]) await write("filler", noise(FILLER, seed));
        await write("exact", noise(REST + delta, delta));
      }
      for (const size of sizes.toReversed()) await write(`size ${size}`, undefined);
    },
    async check(fs, writes) {
      await using store = await placeOn(fs, "/store").open();
      for (const key of new Set(writes.map((write) => write.key))) {
        const ofKey = writes.filter((write) => write.key === key);
        const last = ofKey.findLast(({ done }) => done)?.value;
        const called = ofKey.at(-1)!;
        const found = await store.get(key);
        const isCalled = !called.done && sameBytes(found, called.value);
        assert(isCalled || sameBytes(found, last), `${key} has ${found?.length} bytes`);
      }
    },
  }, { statesPerMoment: 3 });
  assert(report.moments > 80, `${report.moments} moments`);
});

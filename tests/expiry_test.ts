/** A key whose time is over is missing, everywhere, from that moment on, whatever happens meanwhile. */
import assert from "node:assert/strict";
import {
  ArgumentError,
  type ExpiredEvent,
  type OpenOptions,
  type PutOptions,
  type Store,
} from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { type Fs, MemFs } from "../vfs/mod.ts";
import {
  collect,
  failsWith,
  filesOf,
  noise,
  type Place,
  placeOn,
  testStore,
  text,
} from "./_support.ts";

/** A clock that goes when it is told to. */
class Clock {
  ms = 1_000_000;
  readonly now = (): number => this.ms;
}

function openAt(place: Place, clock: Clock, options: OpenOptions = {}): Promise<Store> {
  return place.open({ now: clock.now, ...options });
}

function isOver(expiresAt: number | undefined, ms: number): boolean {
  return expiresAt !== undefined && expiresAt !== 0 && expiresAt <= ms;
}

async function assertMissing(store: Store, key: string): Promise<void> {
  assert.equal(await store.get(key), undefined);
  assert.equal(store.getSync(key), undefined);
  assert.equal(await store.has(key), false);
  assert.equal(await store.getEntry(key), undefined);
  assert.deepEqual(await store.getMany([key, key]), [undefined, undefined]);
  assert.deepEqual((await collect(store.list())).filter((entry) => entry.key === key), []);
}

testStore(
  "put() with expireIn is there until its time, and missing from then on",
  async (place) => {
    const clock = new Clock();
    await using store = await openAt(place, clock);
    const version = await store.put("a", "1", { expireIn: 500 });
    await store.put("b", "2");
    const expiresAt = clock.ms + 500;
    clock.ms += 499;
    assert.equal(await store.getText("a"), "1");
    assert.equal(text(store.getSync("a")), "1");
    const entry = await store.getEntry("a");
    assert.deepEqual([text(entry?.value), entry?.version, entry?.expiresAt], [
      "1",
      version,
      expiresAt,
    ]);
    assert.deepEqual(Object.keys((await store.getEntry("b"))!), ["value", "version"]);
    assert.deepEqual(
      (await collect(store.list())).map((one) => [one.key, one.size, one.expiresAt]),
      [
        ["a", 1, expiresAt],
        ["b", 1, undefined],
      ],
    );
    assert.equal(store.stats().expiry.keys, 1);
    clock.ms += 1;
    await assertMissing(store, "a");
    assert.equal(await store.delete("a"), false);
    assert.equal(await store.getText("b"), "2");
    assert.deepEqual([store.stats().expiry.keys, store.stats().expiry.expired], [0, 1]);
    assert.equal(store.stats().keys, 1);
    assert.deepEqual((await store.verify()).problems, []);
  },
);

testStore("each way of looking at a key finds that its time is over", async (place) => {
  const looks: Record<string, (store: Store) => unknown> = {
    get: (store) => store.get("k"),
    getSync: (store) => store.getSync("k"),
    has: async (store) => await store.has("k") || undefined,
    getEntry: (store) => store.getEntry("k"),
    getMany: async (store) => (await store.getMany(["k"]))[0],
    list: async (store) => (await collect(store.list()))[0],
    delete: async (store) => await store.delete("k") || undefined,
    update: (store) => store.update("k", () => undefined),
    ifAbsent: async (store) => void await store.put("k", "new", { ifAbsent: true }),
    ifVersion: async (store) => void await store.put("k", "new", { ifVersion: 0 }),
    batch: async (store) =>
      void await store.batch([{ type: "put", key: "k", value: "", ifAbsent: true }]),
  };
  const clock = new Clock();
  await using store = await openAt(place, clock);
  for (const [name, look] of Object.entries(looks)) {
    for (const size of [10, 100_000]) {
      await store.put("k", noise(size, 1), { expireIn: 10 });
      clock.ms += 10;
      assert.equal(await look(store), undefined, `${name} of ${size} bytes`);
    }
  }
});

testStore("what is put over a key has a time of its own, or none", async (place) => {
  const clock = new Clock();
  const value = "kept";
  const expireAt = clock.ms + 5000;
  const forgets: ((store: Store, key: string) => Promise<unknown>)[] = [
    (store, key) => store.put(key, value),
    (store, key) => store.put(key, value, { expireIn: 5000 }),
    (store, key) => store.put(key, value, { expireAt: new Date(expireAt) }),
    (store, key) => store.batch([{ type: "put", key, value }]),
    (store, key) => store.batch([{ type: "put", key, value, expireAt }]),
    (store, key) => store.update(key, () => value),
    (store, key) => store.update(key, () => value, { expireIn: 5000 }),
    (store, key) => store.delete(key).then(() => store.put(key, value)),
  ];
  {
    await using store = await openAt(place, clock);
    for (const [i, overwrite] of forgets.entries()) {
      await store.put(`k${i}`, "old", { expireIn: 100 });
      await overwrite(store, `k${i}`);
    }
    clock.ms += 100;
    for (let i = 0; i < forgets.length; i++) assert.equal(await store.getText(`k${i}`), "kept");
    assert.deepEqual([store.stats().expiry.keys, store.stats().expiry.expired], [4, 0]);
  }
  {
    await using store = await openAt(place, clock);
    for (let i = 0; i < forgets.length; i++) assert.equal(await store.getText(`k${i}`), "kept");
    assert.deepEqual([store.stats().expiry.keys, store.stats().expiry.expired], [4, 0]);
    clock.ms += 5000;
    assert.equal((await collect(store.list())).length, forgets.length - 4);
  }
});

testStore(
  "a record that is over hides the older ones of its key, also after a reopen",
  async (place) => {
    const clock = new Clock();
    const check = async (store: Store) => {
      for (let i = 0; i < 100; i++) await assertMissing(store, `key:${i}`);
      assert.equal(store.stats().keys, 1);
    };
    {
      await using store = await openAt(place, clock, { compaction: "manual" });
      // Both generations end in sealed segments, the second one partly in a log.
      for (let i = 0; i < 100; i++) await store.put(`key:${i}`, noise(1500, i));
      for (let i = 0; i < 100; i++) {
        await store.put(`key:${i}`, noise(1500, i), { expireIn: 1000 });
      }
      await store.put("stays", "here", { expireIn: 1e9 });
      assert(filesOf(place, ".seg").length > 2);
      clock.ms += 1000;
      await check(store);
    }
    for (let round = 0; round < 3; round++) {
      await using store = await openAt(place, clock, { indexImageKeys: 0 });
      await check(store);
      assert.equal(await store.getText("stays"), "here");
      assert.deepEqual((await store.verify()).problems, []);
    }
  },
);

testStore(
  "times are kept by an image of the index, and by the footers without one",
  async (place) => {
    const clock = new Clock();
    for (const indexImageKeys of [0, 1e9]) {
      {
        await using store = await openAt(place, clock, { indexImageKeys });
        for (let i = 0; i < 300; i++) {
          await store.put(`key:${i}`, noise(500, i), { expireIn: 100 + i % 10 });
        }
      }
      await using store = await openAt(place, clock, { indexImageKeys });
      assert.equal(store.stats().recovery.indexImage, indexImageKeys === 0 ? "loaded" : "absent");
      assert.equal(store.stats().expiry.keys, 300);
      clock.ms += 104;
      const left = (await collect(store.list())).map(({ key, expiresAt }) => [key, expiresAt]);
      assert.equal(left.length, 150);
      assert(left.every(([, expiresAt]) => (expiresAt as number) > clock.ms));
      clock.ms += 1000;
      assert.deepEqual(await collect(store.list()), []);
      await store.clear();
    }
  },
);

testStore("compressed and large values expire, and are whole until then", async (place) => {
  const clock = new Clock();
  const repetitive = new TextEncoder().encode("flagstone ".repeat(30_000));
  for (
    const value of [repetitive, repetitive.slice(0, 2000), noise(150_000, 3), new Uint8Array()]
  ) {
    const put: PutOptions = { expireIn: 50, compression: "zstd" };
    {
      await using store = await openAt(place, clock);
      await store.put("v", value, put);
      assert.deepEqual(await store.get("v"), value);
    }
    await using store = await openAt(place, clock);
    assert.deepEqual(store.getSync("v"), value);
    const [entry] = await collect(store.list());
    assert.deepEqual([entry?.size, entry?.expiresAt], [value.length, clock.ms + 50]);
    assert(value.length > 150_000 === (entry!.storedSize < value.length) || value.length === 2000);
    assert.deepEqual((await store.verify()).problems, []);
    clock.ms += 50;
    await assertMissing(store, "v");
  }
});

testStore("what waits for its place is over at its time, too", async (place) => {
  const clock = new Clock();
  await using store = await openAt(place, clock);
  const puts: Promise<number>[] = [];
  for (let i = 0; i < 12; i++) puts.push(store.put("k", noise(40_000, i), { expireIn: 10 }));
  assert.equal((await store.get("k"))?.length, 40_000);
  clock.ms += 10;
  assert.equal(await store.has("k"), false);
  assert.equal(store.getSync("k"), undefined);
  await Promise.all(puts);
  await assertMissing(store, "k");
});

Deno.test("a clock that is set back brings nothing back that was missing", async () => {
  const clock = new Clock();
  await using store = await openAt(placeOn(new MemFs(), "/store"), clock);
  await store.put("a", "1", { expireIn: 10 });
  clock.ms += 10;
  assert.equal(await store.has("a"), false);
  clock.ms -= 1000;
  await assertMissing(store, "a");
});

for (
  const [what, broken] of [["throws", undefined], ["is NaN", NaN], [
    "is endless",
    Infinity,
  ]] as const
) {
  Deno.test(`a clock that ${what}: nothing expires, nothing hangs, expireIn is refused`, async () => {
    const place = placeOn(new MemFs(), "/store");
    const clock = { calls: 0, brokenFrom: Infinity, ms: 1_000_000 };
    const now = () => {
      if (++clock.calls < clock.brokenFrom) return clock.ms;
      if (broken === undefined) throw new Error("no time");
      return broken;
    };
    {
      await using store = await place.open({ now });
      await store.put("early", "1", { expireIn: 1000 });
      // From the moment on at which the record has its place in the log: it must be completed.
      clock.brokenFrom = clock.calls + 2;
      await store.put("other", "2", { expireIn: 500 });
      assert.equal(text(await store.get("early")), "1");
      assert.equal(text(store.getSync("other")), "2");
      using snapshot = store.snapshot();
      assert.equal(text(await snapshot.get("other")), "2");
      const refused = broken === undefined ? /no time/ : ArgumentError;
      await assert.rejects(store.put("third", "3", { expireIn: 500 }), refused);
      await store.put("early", "4", { expireAt: clock.ms + 1000 });
      clock.brokenFrom = Infinity;
      clock.ms += 600;
      assert.equal(await store.get("other"), undefined);
      assert.equal(text(await store.get("early")), "4");
    }
    clock.brokenFrom = 0;
    // Before anything is touched: so the store can be opened by a clock that goes.
    await assert.rejects(place.open({ now }), broken === undefined ? /no time/ : ArgumentError);
    clock.brokenFrom = Infinity;
    await using store = await place.open({ now });
    assert.equal(text(await store.get("early")), "4");
  });
}

Deno.test("put() with a time in the past leaves a key without a value", async () => {
  const clock = new Clock();
  await using store = await openAt(placeOn(new MemFs(), "/store"), clock);
  for (const expireAt of [0, new Date(0), clock.ms]) {
    await store.put("a", "old");
    await store.put("a", "1", { expireAt });
    await assertMissing(store, "a");
  }
});

Deno.test("expireIn and expireAt that are none are refused, and nothing is written", async () => {
  await using store = await placeOn(new MemFs(), "/store").open();
  const wrong: unknown[] = [
    ...[0, -1, NaN, Infinity, 1e16, "5", null, {}].map((expireIn) => ({ expireIn })),
    ...[-1, NaN, Infinity, 1e16, "5", null, {}, new Date(NaN)].map((expireAt) => ({ expireAt })),
    { expireIn: 1, expireAt: 1 },
  ];
  for (const options of wrong) {
    await assert.rejects(store.put("k", "v", options as PutOptions), ArgumentError);
    await assert.rejects(store.update("k", () => "v", options as PutOptions), ArgumentError);
    const operation = { type: "put" as const, key: "k", value: "v", ...(options as PutOptions) };
    await assert.rejects(store.batch([operation]), ArgumentError);
  }
  await assert.rejects(store.delete("k", { expireIn: 1 } as object), ArgumentError);
  assert.equal(store.stats().writes, 0);
  await store.put("k", "v", { expireIn: undefined, expireAt: undefined });
  assert.deepEqual(Object.keys((await store.getEntry("k"))!), ["value", "version"]);
});

Deno.test("a condition on a key that is over is about no value", async () => {
  const clock = new Clock();
  await using store = await openAt(placeOn(new MemFs(), "/store"), clock);
  const version = await store.put("k", "1", { expireIn: 10 });
  clock.ms += 10;
  const error = await failsWith("CONFLICT", store.put("k", "2", { ifVersion: version }));
  assert.equal(error.version, 0);
  await failsWith("CONFLICT", store.delete("k", { ifVersion: version }));
});

testStore(
  "keys that are over are removed by and by, in small steps, with an event",
  async (place) => {
    const clock = new Clock();
    await using store = await openAt(place, clock, { durability: "memory" });
    const keys = 5000;
    for (let i = 0; i < keys; i++) await store.put(`key:${i}`, "x", { expireIn: 30 + i % 5 });
    const { promise, resolve } = Promise.withResolvers<void>();
    let told = 0;
    store.addEventListener("expired", (event: ExpiredEvent) => {
      told += event.keys;
      if (told === keys) resolve();
    });
    clock.ms += 40;
    // Nobody looks at a key; only the timer, which goes by the real clock, removes them.
    const alive = setInterval(() => {}, 1000);
    await promise;
    clearInterval(alive);
    const { keys: left, expiry } = store.stats();
    assert.deepEqual([left, expiry.keys, expiry.expired], [0, 0, keys]);
  },
);

for (const seed of [1, 2]) {
  Deno.test(`a crash at any moment keeps times and order, seed ${seed}`, async () => {
    const dir = "/parent/store";
    const clock = new Clock();
    const start = clock.ms;
    const writes = Array.from({ length: 40 }, (_, i) => ({
      key: `key:${i % 7}`,
      value: `${i}:${"x".repeat((i * 977 * seed) % 6000)}`,
      expiresAt: (i * seed) % 3 === 0 ? 0 : start + 100 * (1 + i % 5),
    }));
    const report = await testCrashes<number>({
      async run(fs: Fs, promise) {
        await using store = await openAt(placeOn(fs, dir), clock);
        for (const [i, { key, value, expiresAt }] of writes.entries()) {
          await store.put(key, value, expiresAt === 0 ? {} : { expireAt: expiresAt });
          promise(i);
        }
      },
      async check(fs: Fs, promised) {
        // At every moment of the clock, on the same files: what is over stays in them.
        for (const ms of [start, start + 250, start + 1000]) {
          await using store = await openAt(placeOn(fs, dir), { ms, now: () => ms });
          for (let k = 0; k < 7; k++) {
            // The write after the last that was promised was under way: it may be there, or not.
            const allowed = [promised.length, promised.length + 1].map((done) => {
              const last = writes.slice(0, done).findLast(({ key }) => key === `key:${k}`);
              return isOver(last?.expiresAt, ms) ? undefined : last?.value;
            });
            const found = await store.getText(`key:${k}`);
            assert(allowed.includes(found), `key:${k}, ${ms - start} ms: ${found?.slice(0, 4)}`);
          }
          assert.deepEqual((await store.verify()).problems, []);
        }
      },
    }, { statesPerMoment: 4, seed: seed * 1000 });
    assert(report.moments > 40, `${report.moments} moments`);
  });
}

/** The bugs of the store that this one takes after, by their numbers: writing, rotating, flushing. */
import assert from "node:assert/strict";
import { openWith } from "../store/mod.ts";
import { FaultFs, MemFs } from "../vfs/mod.ts";
import { recordSpace, SlotWord } from "../wal/mod.ts";
import { InlineHost } from "../workers/mod.ts";
import { Engine, exhaust } from "./_engine.ts";
import { assertBytes, powerLost } from "./_killed.ts";
import {
  failsWith,
  filesOf,
  noise,
  type Place,
  placeOn,
  SMALL,
  testStore,
  text,
} from "./_support.ts";

const SLAB = SMALL.slabBytes!;

/** Opens what is there and asserts that it is `expected`, and nothing else. */
async function holds(place: Place, expected: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await using store = await place.open();
  for (const [key, value] of expected) assertBytes(await store.get(key), value, key);
  assert.equal(store.stats().keys, expected.size);
}

Deno.test("B5, B30, B37: whichever call of the disk fails, once or for good, what was acknowledged is readable, and survives a power loss", async () => {
  for (const times of [1, Infinity]) {
    for (let failing = 0; failing < 70; failing += 3) {
      const inner = new MemFs();
      const fs = new FaultFs(inner);
      const store = await placeOn(fs, "/store").open({ stallTimeoutMs: 1000 });
      const on = [
        "writeAt",
        "syncData",
        "sync",
        "create",
        "rename",
        "truncate",
        "openDir",
      ] as const;
      const armed = fs.arm({ on, skip: failing, times, fault: { kind: "error", code: "IO" } });
      const acknowledged = new Map<string, Uint8Array>();
      for (let i = 0; i < 60; i += 4) {
        const writes = Array.from({ length: 4 }, (_, k) => noise(4000, i + k));
        await Promise.allSettled(writes.map(async (value, k) => {
          await store.put(`k${i + k}`, value);
          acknowledged.set(`k${i + k}`, value);
        }));
      }
      const where = `call ${failing}, ${times} times`;
      assert.equal(armed.strikes > 0, acknowledged.size < 60, where);
      for (const [key, value] of acknowledged) assertBytes(store.getSync(key), value, where);
      const survivor = placeOn(inner.crashClone({ keep: "synced" }), "/store");
      await store.close().catch(() => {});
      await using reopened = await survivor.open();
      for (const [key, value] of acknowledged) {
        assertBytes(await reopened.get(key), value, `${key}, ${where}`);
      }
    }
  }
});

Deno.test("B7: after the log's disk has failed, whoever waits for a slab, a key or the end is told", async () => {
  const fs = new FaultFs(new MemFs());
  // What the loops do is held back until everybody waits.
  let held: (() => void)[] | undefined;
  const schedule = (task: () => void) =>
    held === undefined ? queueMicrotask(task) : held.push(task);
  const store = await openWith(
    "/store",
    { ...SMALL, fs, stallTimeoutMs: 1000 },
    (control, _pool, directory) => new InlineHost(control, fs, directory, "segment", schedule),
  );
  await store.put("a", "1");
  held = [];
  fs.arm({ on: "writeAt", path: /\.log$/, fault: { kind: "shortWrite", bytes: 5000 } });
  const writes: Promise<unknown>[] = [];
  while (store.stats().waitingWrites < 20) {
    writes.push(store.put(`k${writes.length}`, noise(9000, 1)));
  }
  // Some wait for the key of one that waits for a slab.
  for (const key of ["k0", `k${writes.length - 1}`]) {
    writes.push(store.put(key, "2"), store.update(key, () => "3"));
  }
  writes.push(store.delete("k0"), store.flush(), store.put("large", noise(3 * SLAB, 1)));
  const told = writes.map((write) => failsWith("WRITE_FAILED", write));
  while (store.stats().stalls < 20) await Promise.resolve();
  const tasks = held;
  held = undefined;
  for (const task of tasks) task();
  await Promise.all(told);
  assert.equal(store.stats().waitingBytes, 0);
  assert.equal(text(store.getSync("a")), "1");
  await failsWith("WRITE_FAILED", store.close());
});

testStore(
  "B10: values of any size need one slab each, and leave no segment without a record",
  async (place) => {
    const sizes = [2 * SLAB, 2 * SLAB + 1, 3 * SLAB, 7 * SLAB, 8000, 8000, 2 * SLAB, 100, SLAB];
    const expected = new Map([...sizes, ...sizes].map((size, i) => [`k${i}`, noise(size, i)]));
    {
      await using store = await place.open({ stallTimeoutMs: 1000 });
      const writes = Array.from(expected, ([key, value]) => () => store.put(key, value));
      await Promise.all(writes.slice(0, sizes.length).map((write) => write()));
      // One after the other: a slab is made ready beside small values, and too small for the next.
      for (const write of writes.slice(sizes.length)) await write();
      assert(store.stats().rotations <= 2 * expected.size, `${store.stats().rotations} rotations`);
    }
    const segments = filesOf(place, ".seg");
    assert(segments.length <= expected.size, segments.join());
    for (const name of segments) assert(place.fs.stat(`${place.dir}/${name}`).size > 200, name);
    await holds(place, expected);
  },
);

testStore(
  "B11: small and large values put together are each at their place, in slab and segment",
  async (place) => {
    const expected = new Map<string, Uint8Array>();
    {
      await using store = await place.open();
      const writes: Promise<unknown>[] = [];
      for (let i = 0; i < 24; i++) {
        const size = i % 5 === 2 ? SLAB + i * 1000 : i * 700;
        for (const key of [`k${i}`, `k${i % 7}`]) {
          const value = noise(size, writes.length);
          expected.set(key, value);
          writes.push(store.put(key, value));
          assertBytes(store.getSync(key), value, key);
        }
      }
      await Promise.all(writes);
      for (const [key, value] of expected) assertBytes(await store.get(key), value, key);
      assert.deepEqual((await store.verify()).problems, []);
    }
    await holds(place, expected);
  },
);

testStore(
  "B12, B13: the memory of large values is given back, also of those that were overwritten",
  async ({ open }) => {
    await using store = await open();
    for (let i = 0; i < 12; i++) {
      await Promise.all([
        store.put("same", noise(3 * SLAB, i)),
        store.put(`k${i}`, noise(5 * SLAB, i)),
      ]);
      assert(
        store.stats().slabMemoryBytes <= 3 * (5 * SLAB + 8192),
        "no more than the slabs in use",
      );
    }
    for (let i = 0; i < 60; i++) await store.put("small", noise(6000, i));
    assert(store.stats().slabMemoryBytes <= 3 * SLAB, `${store.stats().slabMemoryBytes} bytes`);
    assertBytes(await store.get("same"), noise(3 * SLAB, 11), "same");
  },
);

testStore(
  "B19: a delete of what is only in memory, or waits for memory, is no delete of nothing",
  async (place) => {
    const store = await place.open();
    const first = store.put("a", "1");
    assert.equal(await store.delete("a"), true);
    await first;
    const writes: Promise<unknown>[] = [];
    while (store.stats().waitingWrites < 5) writes.push(store.put("filler", noise(9000, 1)));
    writes.push(store.put("b", "1"));
    const deleted = store.delete("b");
    assert.equal(store.getSync("b"), undefined);
    await Promise.all(writes);
    assert.equal(await deleted, true);
    await store.close();
    await holds(place, new Map([["filler", noise(9000, 1)]]));
  },
);

Deno.test("B21: a delete that was acknowledged survives a power loss, wherever the value is", async () => {
  const place = placeOn(new MemFs(), "/store");
  const expected = new Map<string, Uint8Array>();
  await using store = await place.open();
  for (let i = 0; i < 60; i++) {
    expected.set(`k${i}`, noise(3000, i));
    await store.put(`k${i}`, noise(3000, i));
  }
  for (let i = 0; i < 60; i += 2) {
    assert.equal(await store.delete(`k${i}`), true);
    expected.delete(`k${i}`);
    await holds(powerLost(place), expected);
  }
});

testStore(
  "B22, B23: puts and deletes side by side across rotations: none is refused, and each key's versions grow",
  async (place) => {
    await using store = await place.open();
    const versions: Promise<number>[][] = [];
    const deletes: Promise<boolean>[] = [];
    for (let i = 0; i < 150; i++) {
      const put = () => store.put(`k${i}`, noise(3000, i));
      versions.push([put()]);
      deletes.push(store.delete(`k${i}`));
      if (i % 2 === 1) versions[i]!.push(put());
      // Many of them find a free slab.
      if (i % 10 === 0) await Promise.all(versions[i]!);
    }
    const all = await Promise.all(versions.map((ofKey) => Promise.all(ofKey)));
    for (const [first, second] of all) assert(second === undefined || second > first!);
    assert.equal(new Set(all.flat()).size, 225);
    assert((await Promise.all(deletes)).every((deleted) => deleted));
    assert(store.stats().rotations > 5);
    for (let i = 0; i < 150; i++) assert.equal(await store.has(`k${i}`), i % 2 === 1);
  },
);

Deno.test("B23: the sequence numbers of a segment all lie between its base and the next one's", () => {
  const engine = new Engine(new MemFs(), 4);
  const seen: { base: number; sequence: number }[] = [];
  for (let i = 0; i < 60; i++) {
    const { slab, offset } = engine.append(3000, i % 3 === 0);
    seen.push({ base: slab.baseSequence, sequence: slab.baseSequence + offset });
    exhaust(engine.log);
    exhaust(engine.flush);
    engine.pool.replenish(() => {});
  }
  const bases = [...new Set(seen.map(({ base }) => base)), Infinity];
  assert(bases.length > 3);
  for (const { base, sequence } of seen) {
    assert(sequence > base && sequence < bases[bases.indexOf(base) + 1]!);
  }
  assert.deepEqual(bases, bases.toSorted((a, b) => a - b));
});

Deno.test("B24: one write that is refused takes none with it", async () => {
  const place = placeOn(new MemFs(), "/store");
  const store = await place.open();
  const expected = new Map<string, Uint8Array>();
  const good: Promise<unknown>[] = [];
  const bad: Promise<unknown>[] = [];
  const signal = AbortSignal.abort();
  for (let i = 0; i < 60; i++) {
    expected.set(`k${i}`, noise(4000, i));
    good.push(store.put(`k${i}`, noise(4000, i)));
    const refused = [
      store.put("", "1"),
      store.put("refused", "1", { ifVersion: 5 }),
      store.put("refused", "1", { signal }),
      store.update("refused", () => Promise.reject(new Error("no"))),
      store.batch([
        { type: "put", key: "refused", value: "1" },
        { type: "put", key: `k${i}`, value: "refused", ifAbsent: true },
      ]),
    ];
    bad.push(...refused.map((write) => assert.rejects(write)));
  }
  await Promise.all([...good, ...bad]);
  await store.close();
  await holds(place, expected);
});

testStore(
  "B25, B29: close() in the midst of everything: each call gets an answer, and no answer lies",
  async (place) => {
    const store = await place.open();
    const expected = new Map<string, Uint8Array>();
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 250; i++) {
      const value = noise(5000, i);
      calls.push(store.put(`k${i}`, value).then(() => expected.set(`k${i}`, value)));
      if (i % 50 === 0) calls.push(store.flush());
    }
    const closed = store.close();
    const late = [store.put("late", "1"), store.delete("k1"), store.flush(), store.get("k1")]
      .map((call) => failsWith("CLOSED", call));
    await closed;
    await Promise.all([...calls, ...late]);
    assert.equal(expected.size, 250);
    await holds(place, expected);
  },
);

for (const slabs of [2, 8]) {
  testStore(
    `B28: what was written is read at every moment, with ${slabs} slabs going round`,
    async ({ open }) => {
      await using store = await open({ slabs });
      const newest = new Map<string, Uint8Array>();
      const writes: Promise<unknown>[] = [];
      for (let i = 0; i < 200; i++) {
        const key = `k${(i * 7) % 23}`;
        newest.set(key, noise(3000, i));
        writes.push(store.put(key, noise(3000, i), { durability: i % 3 ? "memory" : "synced" }));
        const other = `k${(i * 5) % 23}`;
        assertBytes(store.getSync(other), newest.get(other), `${other} after ${i}`);
        if (i % 16 === 0) await writes.at(-1);
        assertBytes(await store.get(key), noise(3000, i), `${key} at ${i}`);
      }
      await Promise.all(writes);
    },
  );
}

testStore(
  "B29: flush() makes no file, however often; it has everything that was called before",
  async (place) => {
    await using store = await place.open({ durability: "memory" });
    const none = place.fs.list(place.dir);
    for (let i = 0; i < 5; i++) await store.flush();
    assert.deepEqual(place.fs.list(place.dir), none);
    const expected = new Map<string, Uint8Array>();
    // More than the slabs hold: rotations are under way, and writes wait.
    for (let i = 0; i < 60; i++) {
      expected.set(`k${i}`, noise(5000, i));
      store.put(`k${i}`, noise(5000, i));
    }
    await store.flush();
    await holds(powerLost(place), expected);
    await store.put("last", "1", { durability: "synced" });
    const { rotations } = store.stats();
    for (let i = 0; i < 5; i++) await store.flush();
    assert.equal(store.stats().rotations, rotations);
  },
);

Deno.test("B33: a slab that comes back has nothing of its old records", () => {
  const engine = new Engine(new MemFs(), 2);
  const segmentsOf = new Map<number, number>();
  for (let i = 0; i < 120; i++) {
    const { slab, end } = engine.append(100 + (i * 977) % 5000, false);
    assert(slab.image.bytes.subarray(end).every((byte) => byte === 0), `record ${i}`);
    segmentsOf.set(slab.slot, slab.segment);
    exhaust(engine.log);
    exhaust(engine.flush);
    engine.pool.replenish(() => {});
    exhaust(engine.flush);
    const written = engine.control.get(slab.slot, SlotWord.written);
    assert.equal(written, end, "nothing is taken for published that is not");
  }
  assert(segmentsOf.size === 2 && engine.memtable.rotations > 4);
});

Deno.test("B36: a record takes its own length in the log, and a header", async () => {
  const place = placeOn(new MemFs(), "/store");
  const count = 400;
  {
    await using store = await place.open({ slabBytes: 128 * 1024 });
    const writes = Array.from(
      { length: count },
      (_, i) => store.put(`k${1000 + i}`, noise(100, i)),
    );
    const versions = await Promise.all(writes);
    const space = recordSpace("k1000".length, 100);
    assert(space <= 100 + 40);
    assert(versions.at(-1)! - versions[0]! <= (count - 1) * space);
  }
  const bytes = place.fs.list(place.dir)
    .map((name) => place.fs.stat(`${place.dir}/${name}`).size)
    .reduce((sum, size) => sum + size, 0);
  assert(bytes < count * 200, `${bytes} bytes`);
});

Deno.test("B38: hundreds of rotations in one go neither nest nor wait for the disk one by one", async () => {
  const place = placeOn(new MemFs(), "/store");
  await using store = await place.open({ durability: "memory" });
  const writes = Array.from({ length: 1200 }, (_, i) => store.put(`k${i % 5}`, noise(8, i)));
  const fillers = Array.from({ length: 1200 }, () => store.put("filler", FILLER));
  await Promise.all([...writes, ...fillers]);
  assert(store.stats().rotations > 300, `${store.stats().rotations} rotations`);
  for (let k = 0; k < 5; k++) assertBytes(store.getSync(`k${k}`), noise(8, 1195 + k), `k${k}`);
});

const FILLER = new Uint8Array(20_000);

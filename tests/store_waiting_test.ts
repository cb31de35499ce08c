import assert from "node:assert/strict";
import type { Store } from "../mod.ts";
import { bytes, failsWith, noise, placeOn, testStore, text } from "./_support.ts";
import { MemFs } from "../vfs/mod.ts";

/** Fills every slab: until the disk gets a turn, writes wait for memory. */
function fillMemory(store: Store): Promise<unknown>[] {
  const writes: Promise<unknown>[] = [];
  while (store.stats().waitingWrites === 0) writes.push(store.put("filler", noise(9000, 1)));
  return writes;
}

testStore("a signal that has fired already ends every write at once", async ({ open }) => {
  await using store = await open();
  await store.put("a", "1");
  const { writes } = store.stats();
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  const error = await failsWith("ABORTED", store.put("a", "2", { signal }));
  assert.equal(error.cause, reason);
  await failsWith("ABORTED", store.delete("a", { signal }));
  await failsWith("ABORTED", store.batch([{ type: "put", key: "a", value: "2" }], { signal }));
  const never = () => assert.fail("the function of an aborted update is called");
  await failsWith("ABORTED", store.update("a", never, { signal }));
  assert.equal(store.stats().writes, writes);
  assert.equal(await store.getText("a"), "1");
});

testStore(
  "a signal ends writes that wait for memory, and nobody behind them waits longer",
  async (place) => {
    await using store = await place.open();
    await store.put("a", "1");
    const fillers = fillMemory(store);
    const control = new AbortController();
    const { signal } = control;
    const aborted = [
      store.put("a", "2", { signal }),
      store.put("b", "2", { signal }),
      store.delete("a", { signal }),
      store.batch([{ type: "put", key: "a", value: "3" }, { type: "put", key: "c", value: "3" }], {
        signal,
      }),
      store.update("a", () => "4", { signal }),
    ];
    const kept = [store.put("a", "5"), store.put("d", "5")];
    assert.equal(text(store.getSync("a")), "5");
    assert.equal(store.getSync("b"), undefined, "what may be taken back is not shown");
    control.abort();
    for (const write of aborted) await failsWith("ABORTED", write);
    await Promise.all([...kept, ...fillers]);
    assert.deepEqual((await store.getMany(["a", "b", "c", "d"])).map(text), [
      "5",
      undefined,
      undefined,
      "5",
    ]);
    assert.equal(store.stats().waitingBytes, 0);
    // Every lock and every place in the queue was given back.
    fillers.push(...fillMemory(store));
    await Promise.all([...fillers, ...["a", "b", "c"].map((key) => store.put(key, "6"))]);
  },
);

testStore("a signal ends writes that wait for their key", async ({ open }) => {
  await using store = await open();
  const { promise, resolve } = Promise.withResolvers<void>();
  const update = store.update("a", () => promise.then(() => "1"));
  const control = new AbortController();
  const { signal } = control;
  const put = store.put("a", "2", { signal });
  const other = store.update("a", () => "3", { signal });
  const batch = store.batch(
    [{ type: "put", key: "free", value: "4" }, { type: "put", key: "a", value: "4" }],
    { signal },
  );
  const last = store.put("a", "5");
  control.abort();
  for (const write of [put, other, batch]) await failsWith("ABORTED", write);
  // The batch had one of its keys already.
  await store.put("free", "6");
  resolve();
  assert((await update)! < await last);
  assert.equal(await store.getText("a"), "5");
});

testStore("a signal ends an update whose function hangs, and frees its key", async ({ open }) => {
  await using store = await open();
  const { promise, resolve } = Promise.withResolvers<string>();
  const called = Promise.withResolvers<void>();
  const control = new AbortController();
  const hanging = store.update("a", () => {
    called.resolve();
    return promise;
  }, { signal: control.signal });
  await called.promise;
  control.abort();
  await failsWith("ABORTED", hanging);
  await store.put("a", "free");
  resolve("late");
  await store.flush();
  assert.equal(await store.getText("a"), "free");
});

testStore("a signal that fires after the write has its place has no effect", async ({ open }) => {
  await using store = await open();
  const control = new AbortController();
  const { signal } = control;
  const fillers = fillMemory(store);
  const waited = store.put("b", "1", { signal });
  await Promise.all([...fillers, waited]);
  const put = store.put("a", "1", { signal });
  control.abort();
  await put;
  assert.deepEqual((await store.getMany(["a", "b"])).map(text), ["1", "1"]);
});

testStore(
  "one signal for many writes: each rejects or is there, whenever it fires",
  async ({ open }) => {
    await using store = await open();
    for (let round = 0; round < 8; round++) {
      const control = new AbortController();
      const writes = Array.from(
        { length: 60 },
        (_, i) => store.put(`k${i}`, noise(5000, round * 100 + i), { signal: control.signal }),
      );
      const results = Promise.allSettled(writes);
      await writes[round * 4];
      control.abort();
      for (const [i, { status }] of (await results).entries()) {
        const there = text(await store.get(`k${i}`)) === text(noise(5000, round * 100 + i));
        assert.equal(there, status === "fulfilled", `k${i}: ${status}`);
      }
      await Promise.all(Array.from({ length: 60 }, (_, i) => store.put(`k${i}`, "free")));
    }
  },
);

testStore("a batch that waits for one of its keys lets go of the others", async ({ open }) => {
  await using store = await open();
  const { promise, resolve } = Promise.withResolvers<void>();
  const update = store.update("a", () => promise.then(() => "1"));
  const keys = ["before", "a", "behind"];
  const batch = store.batch(keys.map((key) => ({ type: "put", key, value: "2" }) as const));
  resolve();
  await Promise.all([update, batch]);
  for (const key of keys) {
    const put = store.put(key, "3");
    assert.equal(store.stats().waitingWrites, 0, `${key} is not free`);
    await put;
  }
});

testStore("a value that waits for memory is nobody's but the store's", async ({ open }) => {
  await using store = await open();
  const fillers = fillMemory(store);
  const [mine, updated] = [noise(5000, 2), noise(5000, 3)];
  const writes: Promise<unknown>[] = [
    store.put("put", mine),
    store.batch([{ type: "put", key: "batch", value: mine }]),
  ];
  mine.fill(0);
  for (const key of ["put", "batch"]) {
    const shown = store.getSync(key)!;
    assert.deepEqual(shown, noise(5000, 2));
    shown.fill(0);
  }
  const key = bytes("put");
  const entry = store.getEntry(key);
  key.fill(0);
  let isCalled = false;
  writes.push(store.update("update", () => {
    isCalled = true;
    return updated;
  }));
  // Without a turn of the event loop no worker is heard, so it comes to wait as the others do.
  for (let i = 0; i < 1000 && !isCalled; i++) await undefined;
  for (let i = 0; i < 100; i++) await undefined;
  assert(isCalled);
  updated.fill(0);
  await Promise.all([...fillers, ...writes]);
  assert.deepEqual((await entry)?.value, noise(5000, 2));
  assert.deepEqual(await store.getMany(["put", "batch", "update"]), [
    noise(5000, 2),
    noise(5000, 2),
    noise(5000, 3),
  ]);
});

testStore("a write beyond maxWaitingBytes is refused with BUSY, at once", async (place) => {
  await using store = await place.open({ maxWaitingBytes: 64 * 1024 });
  const fillers = fillMemory(store);
  while (store.stats().waitingBytes < 50_000) fillers.push(store.put("more", noise(9000, 1)));
  const { waitingBytes } = store.stats();
  const refused = [
    store.put("a", noise(20_000, 1)),
    store.batch([{ type: "put", key: "a", value: noise(20_000, 1) }]),
  ];
  assert.equal(store.stats().waitingBytes, waitingBytes);
  const small = store.put("small", "1");
  await Promise.all(refused.map((write) => failsWith("BUSY", write)));
  await Promise.all([small, ...fillers]);
  assert.equal(store.stats().waitingBytes, 0);
  assert.equal(await store.get("a"), undefined);
  await store.put("a", noise(20_000, 1));
  assert.deepEqual(await store.get("a"), noise(20_000, 1));
});

Deno.test("one write alone may wait, however large it is", async () => {
  await using store = await placeOn(new MemFs(), "/store").open({ maxWaitingBytes: 64 * 1024 });
  const { promise, resolve } = Promise.withResolvers<void>();
  const update = store.update("a", () => promise.then(() => "1"));
  const large = store.put("a", noise(200_000, 1));
  await failsWith("BUSY", store.put("a", "2"));
  resolve();
  await Promise.all([update, large]);
  assert.deepEqual(await store.get("a"), noise(200_000, 1));
});

testStore(
  "close() takes the key from an update that hangs: it rejects, and changes nothing",
  async (place) => {
    const store = await place.open();
    await store.put("there", "1");
    const { promise, resolve } = Promise.withResolvers<string>();
    const hanging = ["there", "missing"].map((key) => {
      const called = Promise.withResolvers<void>();
      const update = store.update(key, () => {
        called.resolve();
        return promise;
      });
      return { update, called: called.promise };
    });
    await Promise.all(hanging.map(({ called }) => called));
    const rejected = hanging.map(({ update }) => failsWith("CLOSED", update));
    // Who waits for the key of one is not even asked.
    const waiting = store.update("there", () => assert.fail("asked after close()"));
    rejected.push(failsWith("CLOSED", waiting));
    await store.close();
    await Promise.all(rejected);
    resolve("late");
    await using again = await place.open();
    assert.deepEqual(
      [await again.getText("there"), await again.getText("missing")],
      ["1", undefined],
    );
  },
);

testStore("close() ends a getEntry() that waits for a put", async ({ open }) => {
  const store = await open();
  const { promise, resolve } = Promise.withResolvers<string>();
  const update = store.update("a", () => promise);
  const put = store.put("a", "2");
  const entry = failsWith("CLOSED", store.getEntry("a"));
  const rejected = failsWith("CLOSED", update);
  await Promise.all([store.close(), put, entry, rejected]);
  resolve("late");
});

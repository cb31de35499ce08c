import assert from "node:assert/strict";
import { FlagstoneError, type Store } from "../mod.ts";
import { collect, failsWith, noise, testStore, text } from "./_support.ts";

/** Fills every slab: until the disk gets a turn, writes wait for memory. */
function fillMemory(store: Store): Promise<unknown>[] {
  const writes: Promise<unknown>[] = [];
  while (store.stats().waitingWrites === 0) writes.push(store.put("filler", noise(9000, 1)));
  return writes;
}

async function conflict(version: number, work: Promise<unknown>): Promise<FlagstoneError> {
  const error = await failsWith("CONFLICT", work);
  assert.equal(error.version, version);
  return error;
}

testStore("put() with ifVersion writes over that version and no other", async ({ open }) => {
  let last: number;
  {
    await using store = await open();
    const first = await store.put("a", "1");
    const second = await store.put("a", "2", { ifVersion: first });
    assert(second > first);
    await conflict(second, store.put("a", "3", { ifVersion: first }));
    await conflict(0, store.put("b", "3", { ifVersion: first }));
    assert.equal(await store.getText("a"), "2");
    assert.equal(store.stats().writes, 2);
    last = second;
  }
  await using store = await open();
  assert.deepEqual((await store.getEntry("a"))!.version, last);
  await store.put("a", "4", { ifVersion: last });
  assert.equal(await store.getText("a"), "4");
});

testStore("put() with ifAbsent, or ifVersion 0, writes only where nothing is", async ({ open }) => {
  await using store = await open();
  const version = await store.put("a", "1", { ifAbsent: true });
  await conflict(version, store.put("a", "2", { ifAbsent: true }));
  await conflict(version, store.put("a", "2", { ifVersion: 0 }));
  await store.put("a", "3", { ifAbsent: false });
  await store.delete("a");
  await store.put("a", "4", { ifVersion: 0 });
  assert.equal(await store.getText("a"), "4");
});

testStore("delete() with ifVersion deletes that version and no other", async ({ open }) => {
  await using store = await open();
  const first = await store.put("a", "1");
  const second = await store.put("a", "2");
  await conflict(second, store.delete("a", { ifVersion: first }));
  assert.equal(await store.delete("a", { ifVersion: second }), true);
  await conflict(0, store.delete("a", { ifVersion: second }));
  assert.equal(await store.delete("a", { ifVersion: 0 }), false);
});

testStore("batch() checks every condition before it writes anything", async ({ open }) => {
  await using store = await open();
  const a = await store.put("a", "1");
  const b = await store.put("b", "1");
  const { writes } = store.stats();
  const error = await conflict(
    b,
    store.batch([
      { type: "put", key: "c", value: "2" },
      { type: "put", key: "a", value: "2", ifVersion: a },
      { type: "delete", key: "b", ifVersion: a },
    ]),
  );
  assert.equal(error.index, 2);
  assert.equal(store.stats().writes, writes);
  assert.equal(await store.get("c"), undefined);
  // Conditions are about what is there before the batch: its own writes do not count.
  await store.batch([
    { type: "delete", key: "b", ifVersion: b },
    { type: "put", key: "a", value: "2", ifVersion: a },
    { type: "put", key: "a", value: "3", ifVersion: a },
    { type: "put", key: "c", value: "3", ifAbsent: true },
  ]);
  const all = await collect(store.list());
  assert.deepEqual(all.map(({ key }) => key), ["a", "c"]);
  assert.equal(await store.getText("a"), "3");
  const single = await conflict(0, store.batch([{ type: "delete", key: "b", ifVersion: 8 }]));
  assert.equal(single.index, 0);
});

testStore(
  "a condition is decided in turn, also by a write that waits for memory",
  async (place) => {
    await using store = await place.open();
    const before = await store.put("a", "before");
    const fillers = fillMemory(store);
    const results = [
      store.put("a", "1", { ifVersion: before }),
      store.put("a", "2", { ifVersion: before }),
      store.put("b", "1", { ifAbsent: true }),
      store.put("b", "2", { ifAbsent: true }),
      store.delete("a", { ifVersion: before }),
      store.batch([{ type: "put", key: "b", value: "3", ifAbsent: true }, {
        type: "put",
        key: "c",
        value: "3",
      }]),
    ];
    assert(store.stats().waitingWrites > results.length);
    // Who may yet be refused is not shown to readers.
    assert.equal(text(store.getSync("a")), "before");
    assert.equal(store.getSync("b"), undefined);
    const settled = await Promise.allSettled(results);
    assert.deepEqual(settled.map(({ status }) => status), [
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "rejected",
      "rejected",
    ]);
    await Promise.all(fillers);
    assert.equal(await store.getText("a"), "1");
    assert.equal(await store.getText("b"), "1");
    assert.equal(await store.get("c"), undefined);
  },
);

testStore("a condition is decided after the update that has the key", async ({ open }) => {
  await using store = await open();
  const before = await store.put("a", "1");
  const { promise, resolve } = Promise.withResolvers<void>();
  const update = store.update("a", () => promise.then(() => "2"));
  const late = store.put("a", "3", { ifVersion: before });
  const deleted = store.delete("a", { ifVersion: before });
  const refused = Promise.allSettled([late, deleted]);
  resolve();
  const version = (await update)!;
  for (const result of await refused) {
    assert(result.status === "rejected");
    await conflict(version, Promise.reject(result.reason));
  }
  await store.put("a", "4", { ifVersion: version });
});

testStore("getEntry() has the version of the value, also of one that waited", async (place) => {
  await using store = await place.open();
  assert.equal(await store.getEntry("a"), undefined);
  const first = await store.put("a", "1");
  assert.deepEqual(await store.getEntry("a").then((e) => [text(e!.value), e!.version]), [
    "1",
    first,
  ]);
  const fillers = fillMemory(store);
  const put = store.put("a", "2");
  const entry = await store.getEntry("a");
  assert.deepEqual([text(entry!.value), entry!.version], ["2", await put]);
  fillers.push(...fillMemory(store));
  const deleted = store.delete("a");
  assert.equal(await store.getEntry("a"), undefined);
  assert.equal(await deleted, true);
  await Promise.all(fillers);
  const large = await store.put("large", noise(100_000, 5));
  const again = await store.getEntry("large");
  assert.deepEqual([again!.value, again!.version], [noise(100_000, 5), large]);
});

testStore("optimistic loops of many lose no step", async ({ open }) => {
  await using store = await open();
  let conflicts = 0;
  const add = async () => {
    for (;;) {
      const entry = await store.getEntry("n");
      const next = String(Number(text(entry?.value) ?? 0) + 1);
      try {
        return await store.put("n", next, { ifVersion: entry?.version ?? 0 });
      } catch (error) {
        assert(error instanceof FlagstoneError && error.code === "CONFLICT", `${error}`);
        conflicts++;
      }
    }
  };
  const versions = await Promise.all(Array.from({ length: 20 }, add));
  assert.equal(await store.getText("n"), "20");
  assert.equal(new Set(versions).size, 20);
  assert(conflicts > 0);
});

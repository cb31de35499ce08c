import assert from "node:assert/strict";
import { open, type Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { CrashFs, FaultFs, type Fs, MemFs } from "../vfs/mod.ts";
import { collect, failsWith, filesOf, noise, placeOn, SMALL, testStore } from "./_support.ts";

const DIR = "/parent/store";

async function keysOf(store: Store): Promise<unknown[]> {
  return (await collect(store.list())).map(({ key }) => key);
}

async function fill(store: Store, prefix: string, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, i) => `${prefix}:${String(i).padStart(3, "0")}`);
  await Promise.all(keys.map((key, i) => store.put(key, noise(1500 + i, i))));
  return keys;
}

testStore("clear() removes every key and its files, and none comes back", async (place) => {
  let last = 0;
  for (const indexImageKeys of [0, 1_000_000]) {
    await using store = await place.open({ indexImageKeys });
    await fill(store, "old", 200);
    const version = await store.put("old:last", "x");
    assert(version > last);
    last = version;
    await store.clear();
    assert.deepEqual(await keysOf(store), []);
    assert.deepEqual([store.stats().keys, store.stats().segments], [0, 0]);
    assert.equal(await store.get("old:001"), undefined);
    assert.equal(await store.delete("old:002"), false);
    assert.deepEqual(filesOf(place, ".seg"), []);
    const kept = await fill(store, "new", 60);
    await store.put("old:003", "again");
    assert.deepEqual(await keysOf(store), [...kept, "old:003"]);
    assert.deepEqual((await store.verify()).problems, []);
    await store.close();
    await using reopened = await place.open({ indexImageKeys });
    assert.deepEqual(await keysOf(reopened), [...kept, "old:003"]);
    assert.equal(await reopened.getText("old:003"), "again");
    await reopened.clear();
  }
  // No file of old is left: neither versions nor segments begin anew.
  const store = await place.open();
  assert.deepEqual(await keysOf(store), []);
  assert(await store.put("a", "1") > last);
  await store.close();
  await using reopened = await place.open();
  assert.deepEqual(await keysOf(reopened), ["a"]);
});

testStore(
  "clear() takes what was called before it, and nothing that is called after it",
  async (place) => {
    await using store = await place.open();
    const before = fill(store, "before", 20);
    const cleared = store.clear();
    const after = store.put("after", "1");
    assert.equal(await store.has("before:001"), false);
    await Promise.all([before, cleared, after]);
    assert.deepEqual(await keysOf(store), ["after"]);
    // Some of these wait for memory, so it waits for them.
    const waiting = fill(store, "waiting", 300);
    assert(store.stats().waitingWrites > 0);
    await Promise.all([waiting, store.clear()]);
    assert.deepEqual(await keysOf(store), []);
  },
);

testStore("clear() beside a checkpoint, a listing and reads", async (place) => {
  await using store = await place.open();
  const keys = await fill(store, "old", 150);
  const listing = store.list();
  assert.equal((await listing.next()).value.key, keys[0]);
  const checkpoint = store.checkpoint(`${place.dir}-copy`);
  const large = store.get("old:149");
  await Promise.all([checkpoint, store.clear(), large]);
  assert.deepEqual(await collect(listing), []);
  await store.clear();
  assert.deepEqual(await keysOf(store), []);
  {
    await using copy = await open(`${place.dir}-copy`, { ...SMALL, fs: place.fs });
    assert.deepEqual(await keysOf(copy), keys);
  }
  await store.checkpoint(`${place.dir}-empty`);
  await using empty = await open(`${place.dir}-empty`, { ...SMALL, fs: place.fs });
  assert.deepEqual(await keysOf(empty), []);
});

type Promised = "old" | "cleared" | `new:${string}`;

/** All old keys or none; none once the clear was promised, or a later write is there. */
async function checkCleared(
  fs: Fs,
  promised: readonly Promised[],
  old: readonly string[],
): Promise<void> {
  let expected: unknown[] | undefined;
  for (let round = 0; round < 3; round++) {
    await using store = await open(DIR, { ...SMALL, fs, indexImageKeys: 0 });
    const found = await keysOf(store);
    const left = found.filter((key) => String(key).startsWith("old"));
    const added = found.filter((key) => String(key).startsWith("new"));
    if (promised.includes("cleared") || added.length > 0) assert.deepEqual(left, []);
    else if (promised.includes("old") && left.length > 0) assert.deepEqual(left, old);
    for (const one of promised) if (one.startsWith("new")) assert(added.includes(one), one);
    expected ??= found;
    assert.deepEqual(found, expected, `round ${round}: what was found once stays`);
    assert.deepEqual((await store.verify()).problems, []);
    await store.put("zz:after", noise(30_000, round));
    expected = [...found.filter((key) => key !== "zz:after"), "zz:after"];
  }
}

Deno.test("a crash at any moment of a clear leaves all keys or none", async () => {
  const old = Array.from({ length: 80 }, (_, i) => `old:${String(i).padStart(3, "0")}`);
  const report = await testCrashes<Promised>({
    async run(fs, promise) {
      await using store = await open(DIR, { ...SMALL, fs, indexImageKeys: 0 });
      await fill(store, "old", 80);
      promise("old");
      const cleared = store.clear().then(() => promise("cleared"));
      const added = store.put("new:0", noise(100, 1)).then(() => promise("new:0"));
      await Promise.all([cleared, added]);
      for (const key of ["new:1", "new:2"] as const) {
        await store.put(key, noise(100, 1));
        promise(key);
      }
    },
    check: (fs, promised) => checkCleared(fs, promised, old),
  }, { statesPerMoment: 10, seed: 31 });
  assert(report.moments > 40, `${report.moments} moments`);
});

Deno.test("a clear of which nobody knows ends writing, and recovery decides for good", async () => {
  const old = Array.from({ length: 80 }, (_, i) => `old:${String(i).padStart(3, "0")}`);
  await testCrashes<Promised>({
    async run(fs, promise) {
      const faults = new FaultFs(fs);
      const store = await open(DIR, { ...SMALL, fs: faults, indexImageKeys: 0 });
      await fill(store, "old", 80);
      promise("old");
      await store.flush();
      // The new STORE file has its name; whether that lasts is unknown.
      faults.arm({ on: "sync", path: /store$/, times: 1, fault: { kind: "error", code: "IO" } });
      await failsWith("WRITE_FAILED", store.clear());
      await failsWith("WRITE_FAILED", store.put("a", "1"));
      assert.equal((await keysOf(store)).length, 80, "reads go on");
      await failsWith("WRITE_FAILED", store.close());
      // Recovery finds it cleared, and must not remove what may come back in part.
      await using reopened = await open(DIR, { ...SMALL, fs, indexImageKeys: 0 });
      assert.deepEqual(await keysOf(reopened), []);
      promise("cleared");
    },
    check: (fs, promised) => checkCleared(fs, promised, old),
  }, { statesPerMoment: 10, seed: 32 });
});

Deno.test("a clear that cannot begin leaves everything, and the store goes on", async () => {
  const faults = new FaultFs(new CrashFs());
  await using store = await placeOn(faults, DIR).open();
  const keys = await fill(store, "old", 80);
  for (const on of ["create", "rename"] as const) {
    const armed = faults.arm({ on, path: "STORE", fault: { kind: "error", code: "NO_SPACE" } });
    await failsWith("NO_SPACE", store.clear());
    armed.clear();
    assert.deepEqual(await keysOf(store), keys);
    await store.put("old:000", "still here");
  }
  await store.clear();
  assert.deepEqual(await keysOf(store), []);
});

Deno.test("clear() gives a full disk its space back", async () => {
  const fs = new MemFs();
  const faults = new FaultFs(fs);
  const place = placeOn(faults, DIR);
  {
    await using store = await place.open();
    await fill(store, "old", 150);
    // No record, no seal and no footer can be written from here on.
    const fault = { kind: "error", code: "NO_SPACE" } as const;
    const full = faults.arm({ on: "writeAt", path: ".log", fault });
    await store.clear();
    full.clear();
    assert.deepEqual(filesOf(place, ".seg"), []);
    assert.deepEqual(await keysOf(store), []);
  }
  await using store = await placeOn(fs, DIR).open();
  assert.deepEqual(await keysOf(store), []);
});

Deno.test("clear() of an empty store changes nothing; files that cannot be removed go later", async () => {
  const fs = new MemFs();
  const faults = new FaultFs(fs);
  const place = placeOn(faults, DIR);
  {
    await using store = await place.open();
    await store.clear();
    assert.deepEqual(place.fs.list(DIR), ["LOCK", "STORE"]);
    await fill(store, "old", 80);
    faults.arm({ on: "remove", path: ".seg", fault: { kind: "error", code: "BUSY" } });
    await store.clear();
    assert(filesOf(place, ".seg").length > 0);
    await store.put("new", "1");
  }
  await using store = await placeOn(fs, DIR).open();
  assert.deepEqual(await keysOf(store), ["new"]);
  assert.deepEqual(filesOf(place, ".seg"), []);
});

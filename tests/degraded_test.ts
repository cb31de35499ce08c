/** `onWriteFailure: "memory"`: a store that goes on as a cache when its disk has failed, and says so. */
import assert from "node:assert/strict";
import { DegradedEvent, FlagstoneError, open, type OpenOptions, type Store } from "../mod.ts";
import { openWith } from "../store/mod.ts";
import { CrashFs, FaultFs, type FsOperationKind, MemFs, serveFs } from "../vfs/mod.ts";
import { InlineHost } from "../workers/mod.ts";
import { collect, failsWith, noise, placeOn, SMALL, text, turn } from "./_support.ts";

const CACHE: OpenOptions = { onWriteFailure: "memory" };

/** Runs a test on a faulty file system, with the loops on this thread and in real Workers. */
function testFaulty(name: string, body: (fs: FaultFs, inner: MemFs) => Promise<void>): void {
  Deno.test(`${name} [stepwise]`, () => {
    const inner = new MemFs();
    return body(new FaultFs(inner), inner);
  });
  Deno.test(`${name} [workers]`, async () => {
    const inner = new MemFs();
    const fs = new FaultFs(inner);
    const server = serveFs(fs);
    Object.defineProperty(fs, "spec", { value: server.spec });
    try {
      await body(fs, inner);
    } finally {
      server.close();
    }
  });
}

/** Makes the log's next sync fail, and waits until the store knows. */
async function fail(fs: FaultFs, store: Store): Promise<void> {
  fs.arm({ on: ["syncData", "sync"], fault: { kind: "error", code: "IO" } });
  assert.equal(await store.put("the last straw", "!"), 0);
}

for (const on of ["writeAt", "syncData", "create", "rename", "openDir"] as const) {
  testFaulty(`after a failed ${on}, writes go to memory and say so`, async (fs, inner) => {
    const store = await placeOn(fs, "/store").open(CACHE);
    const told: unknown[] = [];
    store.addEventListener("error", () => assert.fail("it goes on"));
    assert(await store.put("old", "on disk") > 0);
    assert.equal(store.stats().degraded, undefined);
    fs.arm({ on, fault: { kind: "error", code: "IO" } });
    const versions: number[] = [];
    for (let i = 0; store.stats().degraded === undefined; i++) {
      assert(i < 1000, "the fault never struck");
      versions.push(
        ...await Promise.all([
          store.put(`k${i}`, noise(3000, i)),
          store.put(`l${i}`, noise(3000, i)),
        ]),
      );
      // Those that are made ahead of need fail a moment later.
      await turn();
    }
    store.addEventListener("degraded", (event) => {
      assert(event instanceof DegradedEvent);
      told.push(event.error);
    });
    assert.equal(await store.put("new", "in memory"), 0);
    assert.equal(await store.put("old", "newer", { durability: "memory" }), 0);
    const last = (versions.length >> 1) - 1;
    assert.equal(await store.delete(`k${last}`), true);
    assert.equal(await store.delete("no such key"), false);
    assert.equal(await store.update("new", (old) => `${text(old)} still`), 0);
    const operations = [{ type: "put", key: "b", value: "1" }, { type: "delete", key: `l${last}` }];
    assert.equal(await store.batch(operations as Parameters<Store["batch"]>[0]), 0);
    assert.equal(await store.getText("new"), "in memory still");
    assert.equal(await store.getText("old"), "newer");
    const keys = (await collect(store.list())).map(({ key }) => key);
    assert(keys.includes("b") && keys.includes("new") && !keys.includes(`k${last}`), keys.join());
    const { degraded } = store.stats();
    assert(degraded !== undefined && degraded.writes >= 6);
    assert.equal(degraded.error.code, "WRITE_FAILED");
    assert.deepEqual(told, [degraded.error]);
    const dying = await failsWith("WRITE_FAILED", store.flush());
    assert.equal(dying, degraded.error);
    await failsWith("WRITE_FAILED", store.clear());
    await failsWith("WRITE_FAILED", store.checkpoint("/copy"));
    await store.close();
    // What was acknowledged with a version is there, and nothing of what came after.
    await using reopened = await placeOn(inner.crashClone({ keep: "synced" }), "/store").open();
    assert.equal(await reopened.getText("old"), "on disk");
    assert.equal(await reopened.has("new"), false);
    for (const [i, version] of versions.entries()) {
      if (version === 0) continue;
      const key = `${i % 2 === 0 ? "k" : "l"}${i >> 1}`;
      assert.deepEqual(await reopened.get(key), noise(3000, i >> 1), key);
    }
  });
}

testFaulty("a store in memory only is bounded: the oldest keys go, the newest stay", async (fs) => {
  const store = await placeOn(fs, "/store").open(CACHE);
  for (let i = 0; i < 100; i++) await store.put(`disk${i}`, noise(3000, i));
  await fail(fs, store);
  const { slabMemoryBytes } = store.stats();
  for (let i = 0; i < 300; i++) assert.equal(await store.put(`k${i}`, noise(3000, i)), 0);
  const { degraded, keys } = store.stats();
  assert(degraded!.droppedKeys > 200, `${degraded!.droppedKeys}`);
  assert(store.stats().slabMemoryBytes <= Math.max(slabMemoryBytes, 3 * 64 * 1024));
  for (let i = 270; i < 300; i++) assert.deepEqual(await store.get(`k${i}`), noise(3000, i));
  assert.equal(await store.get("k0"), undefined);
  // What had become a segment is read from the disk.
  assert.deepEqual(await store.get("disk0"), noise(3000, 0));
  assert.equal((await collect(store.list())).length, keys);
  await store.close();
});

testFaulty(
  "a key that was dropped from memory does not show its older value on disk",
  async (fs) => {
    const store = await placeOn(fs, "/store").open(CACHE);
    for (let i = 0; i < 100; i++) await store.put(`disk${i}`, noise(3000, i));
    await fail(fs, store);
    assert.equal(await store.put("disk0", "newer"), 0);
    assert.equal(await store.put("disk1", "for a day", { expireIn: 86_400_000 }), 0);
    assert.equal(await store.delete("disk2"), true);
    for (let i = 0; i < 100; i++) await store.put(`k${i}`, noise(3000, i));
    for (const key of ["disk0", "disk1", "disk2"]) {
      assert.equal(
        await store.get(key),
        undefined,
        key,
      );
    }
    const listed = (await collect(store.list({ prefix: "disk" }))).map(({ key }) => key);
    for (const key of ["disk0", "disk1", "disk2"]) assert(!listed.includes(key), key);
    assert.equal(store.stats().expiry.keys, 0);
    await store.close();
  },
);

testFaulty("writes that wait when the disk fails find their place in memory", async (fs) => {
  const store = await placeOn(fs, "/store").open(CACHE);
  await store.put("a", "1");
  fs.arm({ on: ["syncData", "sync"], fault: { kind: "error", code: "IO" } });
  const writes = Array.from({ length: 200 }, (_, i) => store.put(`k${i}`, noise(4000, i)));
  assert(store.stats().waitingWrites > 50);
  // 200 × 4000 bytes are more than three slabs, so all but the first of them waited.
  assert.deepEqual(await Promise.all(writes), writes.map(() => 0));
  assert.deepEqual(await store.get("k199"), noise(4000, 199));
  await store.close();
});

testFaulty("conditions are decided in memory as they are on a disk", async (fs) => {
  const store = await placeOn(fs, "/store").open(CACHE);
  await store.put("a", "1");
  await fail(fs, store);
  await store.put("a", "2");
  const { version } = (await store.getEntry("a"))!;
  assert(version > 0);
  await failsWith("CONFLICT", store.put("a", "3", { ifAbsent: true }));
  assert.equal(await store.put("a", "3", { ifVersion: version }), 0);
  await failsWith("CONFLICT", store.put("a", "4", { ifVersion: version }));
  assert.equal(await store.getText("a"), "3");
  await store.close();
});

testFaulty("values that need a file are refused, and keep their old ones", async (fs, inner) => {
  const large = noise(200_000, 1);
  const store = await placeOn(fs, "/store").open(CACHE);
  await store.put("large", large);
  await fail(fs, store);
  await failsWith("WRITE_FAILED", store.put("large", noise(200_000, 2)));
  await failsWith("WRITE_FAILED", store.put("stream", new Blob([noise(200_000, 3)])));
  assert.equal(await store.put("short", new Blob(["short"])), 0);
  assert.equal(await store.getText("short"), "short");
  assert.deepEqual(await store.get("large"), large);
  // In memory only it is gone; its file must stay, as its record on the disk does.
  assert.equal(await store.delete("large"), true);
  assert.equal(await store.get("large"), undefined);
  await store.close();
  await using reopened = await placeOn(inner.crashClone({ keep: "synced" }), "/store").open();
  assert.deepEqual(await reopened.get("large"), large);
});

testFaulty("a batch larger than a slab fits into memory, too", async (fs) => {
  const store = await placeOn(fs, "/store").open(CACHE);
  await fail(fs, store);
  const operations = Array.from(
    { length: 30 },
    (_, i) => ({ type: "put", key: `b${i}`, value: noise(5000, i) }) as const,
  );
  assert.equal(await store.batch(operations), 0);
  for (let i = 0; i < 30; i++) assert.deepEqual(await store.get(`b${i}`), noise(5000, i));
  await store.close();
});

Deno.test("without the option, a failed store refuses writes", async () => {
  const fs = new FaultFs(new MemFs());
  const store = await placeOn(fs, "/store").open();
  store.addEventListener("degraded", () => assert.fail("it was not asked to"));
  fs.arm({ on: "syncData", fault: { kind: "error", code: "IO" } });
  await failsWith("WRITE_FAILED", store.put("a", "1"));
  assert.equal(store.stats().degraded, undefined);
  await failsWith("WRITE_FAILED", store.close());
});

Deno.test("a full disk is no failure: a cache waits for space like any store", async () => {
  const fs = new FaultFs(new MemFs());
  await using store = await placeOn(fs, "/store").open(CACHE);
  fs.arm({ on: "writeAt", fault: { kind: "error", code: "NO_SPACE" } });
  await failsWith("NO_SPACE", store.put("a", "1"));
  fs.clear();
  while (await store.put("b", "2").catch(() => 0) === 0) {
    // A write that finds the disk full has it tried again.
  }
  assert(await store.put("c", "3") > 0);
  assert.equal(store.stats().degraded, undefined);
});

Deno.test("a disk that hangs makes a cache go on in memory, and nothing of a late call harms it", async () => {
  const fs = new MemFs();
  let held = false;
  const tasks: (() => void)[] = [];
  const store = await openWith(
    "/store",
    { ...SMALL, ...CACHE, fs, stallTimeoutMs: 1000 },
    (control, _describe, directory) =>
      new InlineHost(control, fs, directory, "segment", (task) => {
        if (held) tasks.push(task);
        else queueMicrotask(task);
      }),
  );
  assert(await store.put("a", "1") > 0);
  held = true;
  const alive = setInterval(() => {}, 100);
  assert.equal(await store.put("b", "2"), 0);
  clearInterval(alive);
  assert.equal(store.stats().degraded?.error.code, "STALLED");
  for (let i = 0; i < 100; i++) assert.equal(await store.put(`k${i}`, noise(3000, i)), 0);
  held = false;
  for (const task of tasks.splice(0)) task();
  await Promise.resolve();
  for (let i = 70; i < 100; i++) assert.deepEqual(await store.get(`k${i}`), noise(3000, i));
  await store.close();
  await using reopened = await open("/store", { ...SMALL, fs });
  assert.equal(await reopened.getText("a"), "1");
  assert.equal(await reopened.has("k99"), false);
});

/** Puts until all is done; every promise of a cache resolves, whatever fails. Returns what has versions. */
async function fill(store: Store): Promise<Map<string, { version: number; seed: number }>> {
  const kept = new Map<string, { version: number; seed: number }>();
  for (let round = 0; round < 6; round++) {
    const puts = Array.from({ length: 10 }, async (_, i) => {
      const seed = round * 10 + i;
      const key = `key${seed % 17}`;
      return { key, seed, version: await store.put(key, noise(2500, seed)) };
    });
    for (const { key, seed, version } of await Promise.all(puts)) {
      // In memory only, it hides what is on the disk from readers, until the store is reopened.
      if (version !== 0) kept.set(key, { version, seed });
      assert.deepEqual(await store.get(`key${(round * 10 + 9) % 17}`), noise(2500, round * 10 + 9));
    }
  }
  return kept;
}

for (
  const on of ["create", "writeAt", "syncData", "sync", "rename", "truncate", "openDir"] as const
) {
  Deno.test(`whichever ${on} fails, and after a power loss, a cache tells the truth`, async () => {
    let struck = true;
    for (let skip = 0; struck; skip++) struck = await runWithFault(on, skip);
  });
}

async function runWithFault(on: FsOperationKind, skip: number): Promise<boolean> {
  const disk = new CrashFs();
  const fs = new FaultFs(disk);
  const rule = fs.arm({ on, skip, fault: { kind: "error", code: "IO" } });
  let kept = new Map<string, { version: number; seed: number }>();
  try {
    const store = await open("/store", { ...SMALL, ...CACHE, fs });
    kept = await fill(store);
    await store.close();
  } catch (error) {
    // A store that cannot be opened is none; nothing else is told to a cache.
    assert(error instanceof FlagstoneError && kept.size === 0, `${on} ${skip}: ${error}`);
  }
  for (const seed of [1, 2]) {
    const survivor = disk.crashClone({ seed });
    await using store = await open("/store", { ...SMALL, fs: survivor });
    for (const [key, { version, seed }] of kept) {
      const entry = await store.getEntry(key);
      assert(entry !== undefined && entry.version >= version, `${on} ${skip}: ${key}`);
      if (entry.version === version) assert.deepEqual(entry.value, noise(2500, seed));
    }
  }
  return rule.strikes > 0;
}

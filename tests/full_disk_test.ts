import assert from "node:assert/strict";
import { open, type Store } from "../mod.ts";
import { FaultFs, MemFs } from "../vfs/mod.ts";
import { openOn } from "./_wal_support.ts";
import { failsWith, noise, settled, SMALL, turn } from "./_support.ts";

const KIB = 1024;

/** A store on a disk of so many bytes. */
function smallDisk(capacityBytes: number): MemFs {
  return new MemFs({ capacityBytes });
}

/** Puts until the disk is full. Returns what was acknowledged. */
async function fill(store: Store, prefix: string): Promise<Map<string, Uint8Array>> {
  const acknowledged = new Map<string, Uint8Array>();
  for (let i = 0; i < 1000; i++) {
    const key = `${prefix}:${i}`;
    const value = noise(3000, i);
    try {
      await store.put(key, value);
      acknowledged.set(key, value);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "NO_SPACE");
      return acknowledged;
    }
  }
  assert.fail("the disk is never full");
}

async function checkAll(store: Store, expected: ReadonlyMap<string, Uint8Array>): Promise<void> {
  for (const [key, value] of expected) assert.deepEqual(await store.get(key), value, key);
}

Deno.test("a full disk refuses writes, loses none that was acknowledged, and is left behind once there is space", async () => {
  for (const capacity of [200, 300, 333, 400, 450]) {
    const fs = smallDisk(capacity * KIB);
    await using store = await open("/store", { ...SMALL, fs });
    const first = await fill(store, "first");
    assert(first.size > 10, `${first.size} writes on ${capacity} KiB`);
    await failsWith("NO_SPACE", store.put("refused", "x"));
    assert.equal(await store.get("refused"), undefined, "a refused write was never there");
    await checkAll(store, first);
    fs.setCapacity(4 * 1024 * KIB);
    await store.put("after", noise(3000, 1));
    await store.flush();
    await checkAll(store, first);
    assert.deepEqual((await store.verify()).problems, []);
    await store.close();
    await using again = await open("/store", { ...SMALL, fs });
    await checkAll(again, first);
    assert.deepEqual(await again.get("after"), noise(3000, 1));
  }
});

Deno.test("a store whose disk is full closes, and opens again once there is space", async () => {
  for (let capacity = 190; capacity < 460; capacity += 7) {
    const fs = smallDisk(capacity * KIB);
    const store = await open("/store", { ...SMALL, fs });
    const first = await fill(store, "first");
    await store.close().catch((error) => assert.equal(error.code, "NO_SPACE"));
    const crashed = fs.crashClone({ keep: "synced" });
    for (const disk of [fs, crashed]) {
      disk.setCapacity(4 * 1024 * KIB);
      await using again = await open("/store", { ...SMALL, fs: disk });
      await checkAll(again, first);
      await again.put("after", "x");
    }
  }
});

Deno.test("writes that wait for memory are refused when segments find no space, and go on when they do", async () => {
  const fs = new FaultFs(new MemFs());
  await using store = await open("/store", { ...SMALL, fs });
  fs.arm({ on: "rename", path: /\.seg$/, fault: { kind: "error", code: "NO_SPACE" } });
  const acknowledged = await fill(store, "first");
  assert(acknowledged.size > 40, "as many as the slabs hold");
  await failsWith("NO_SPACE", store.put("refused", noise(40_000, 1)));
  fs.clear();
  await store.put("after", noise(3000, 1));
  await checkAll(store, acknowledged);
  await store.close();
  await using again = await open("/store", { ...SMALL, fs });
  await checkAll(again, acknowledged);
  assert.equal(await again.get("refused"), undefined);
});

Deno.test("full logs become segments once the disk has space again, though nobody calls", async () => {
  const fs = new FaultFs(new MemFs());
  await using store = await open("/store", { ...SMALL, fs });
  fs.arm({ on: "rename", path: /\.seg$/, fault: { kind: "error", code: "NO_SPACE" } });
  const acknowledged = await fill(store, "first");
  // Both loops have seen it, and have nothing else to do.
  for (let i = 0; i < 10; i++) await turn();
  const { logged } = store.stats().slabs;
  assert(logged > 0);
  fs.clear();
  const written = async () => {
    while (store.stats().slabs.logged > 0) await turn();
  };
  await settled(written());
  await checkAll(store, acknowledged);
});

Deno.test("a full disk rejects what is in memory and cannot be written, and writes it later", async () => {
  const fs = new FaultFs(new MemFs());
  await using store = await open("/store", { ...SMALL, fs });
  await store.put("before", "x");
  fs.arm({ on: "writeAt", path: /\.log$/, fault: { kind: "error", code: "NO_SPACE" } });
  const error = await failsWith("NO_SPACE", store.put("doubt", "y"));
  assert.match(error.message, /seen by readers/);
  assert.equal(await store.getText("doubt"), "y");
  await failsWith("NO_SPACE", store.flush());
  const refused = await failsWith("NO_SPACE", store.put("refused", "z"));
  assert.match(refused.message, /not written/);
  fs.clear();
  await store.put("after", "x");
  await store.flush();
  assert.equal(await store.getText("doubt"), "y");
  await store.close();
  await using again = await open("/store", { ...SMALL, fs });
  assert.equal(await again.getText("doubt"), "y");
  assert.equal(await again.getText("refused"), undefined);
});

Deno.test("a sync that finds no space ends writing: what it was about may be lost", async () => {
  const fs = new FaultFs(new MemFs());
  const store = await open("/store", { ...SMALL, fs });
  await store.put("before", "x");
  fs.arm({ on: "syncData", fault: { kind: "error", code: "NO_SPACE" }, times: 1 });
  await failsWith("NO_SPACE", store.put("a", "y"));
  await failsWith("NO_SPACE", store.put("b", "y"));
  await failsWith("NO_SPACE", store.close());
});

Deno.test("a log on its own goes on after a full disk, too", async () => {
  const fs = smallDisk(200 * KIB);
  await using wal = await openOn(fs);
  const lsns: number[] = [];
  await assert.rejects(async () => {
    for (let i = 0; i < 500; i++) lsns.push(await wal.appendAndSync(noise(3000, i)));
  }, { code: "NO_SPACE" });
  await failsWith("NO_SPACE", wal.append(noise(10, 1)));
  fs.setCapacity(4 * 1024 * KIB);
  const after = await wal.appendAndSync(noise(10, 1));
  const found = [...wal.iterate()].map(({ lsn }) => lsn);
  assert.deepEqual(found.slice(0, lsns.length), lsns);
  assert.equal(found.at(-1), after);
});

Deno.test("a full disk that is told when a log is closed keeps no writer waiting", async () => {
  for (let skip = 0; skip < 12; skip++) {
    const fs = new FaultFs(new MemFs());
    const store = await open("/store", { ...SMALL, fs, stallTimeoutMs: 1000 });
    const rule = { on: "close", path: ".log", skip, times: 1 } as const;
    const armed = fs.arm({ ...rule, fault: { kind: "error", code: "NO_SPACE" } });
    const acknowledged = new Map<string, Uint8Array>();
    for (let i = 0; i < 60; i++) {
      // Large enough for a sync by a flush worker.
      const value = noise(9000, i);
      try {
        await store.put(`key:${i}`, value);
        acknowledged.set(`key:${i}`, value);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "NO_SPACE", `close ${skip}`);
      }
    }
    assert.equal(armed.strikes, 1);
    assert(acknowledged.size > 50, `${acknowledged.size} writes`);
    await store.flush();
    await store.close();
    await using again = await open("/store", { ...SMALL, fs });
    await checkAll(again, acknowledged);
  }
});

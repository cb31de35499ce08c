/** What must be durable before what, while segments are compacted. */
import assert from "node:assert/strict";
import { open, type Store } from "../mod.ts";
import { FaultFs, type FsOperation, InterceptFs, MemFs } from "../vfs/mod.ts";
import { collect, noise, SMALL } from "./_support.ts";

const DIR = "/store";
const MANUAL = { ...SMALL, compaction: "manual" } as const;

/** Calls `before` ahead of every call. */
function watched(fs: MemFs, before: (operation: FsOperation) => void): InterceptFs {
  return new InterceptFs("watched", fs, {
    call(operation, run) {
      before(operation);
      return run();
    },
    callAsync: (_operation, run) => run(),
  });
}

async function fill(store: Store, keys: number, seed: number): Promise<void> {
  for (let i = 0; i < keys; i++) await store.put(`key:${i}`, noise(2000, seed + i));
}

Deno.test("a dead value stays until what replaced it is durable, also if nobody waits for that", async () => {
  const memory = new MemFs();
  const survivors: MemFs[] = [];
  let onFirstLook: (() => void) | undefined;
  const fs = watched(memory, ({ kind, path }) => {
    if (kind === "open" && path?.endsWith(".seg")) {
      onFirstLook?.();
      onFirstLook = undefined;
    }
    survivors.push(memory.crashClone({ keep: "synced" }));
  });
  const keys = 40;
  const store = await open(DIR, { ...MANUAL, fs });
  await fill(store, keys, 0);
  await fill(store, keys / 2, 1000);
  survivors.length = 0;
  const replaced: Promise<unknown>[] = [];
  onFirstLook = () => {
    for (let i = 0; i < 20; i++) {
      replaced.push(store.put(`key:${i}`, "new", { durability: "memory" }));
      replaced.push(store.delete(`key:${i + 20}`, { durability: "memory" }));
    }
  };
  const { removedFiles } = await store.compact();
  assert.equal(replaced.length, 40);
  assert(removedFiles > 0);
  await Promise.all(replaced);
  await store.close();
  for (const [moment, survivor] of survivors.entries()) {
    await using left = await open(DIR, { ...MANUAL, fs: survivor });
    for (let i = 0; i < 20; i++) {
      assert(await left.get(`key:${i}`) !== undefined, `key:${i} is lost at moment ${moment}`);
    }
    // Deletes are in the order of writes with the puts: all before a delete that lasts are there.
    const kept = (await collect(left.list())).length;
    assert(kept >= 20 && kept <= keys);
  }
});

Deno.test("a delete of a value that was to expire has no effect before it is durable", async () => {
  for (let steps = 0; steps < 8; steps++) {
    const memory = new MemFs();
    const survivors: MemFs[] = [];
    const store = await open(DIR, { ...MANUAL, fs: memory });
    // An older value in a segment that stays: what hides it is copied.
    await store.put("key", "older");
    await fill(store, 35, 0);
    await store.put("key", "value", { expireIn: 3_600_000 });
    for (let i = 0; i < 70; i++) await store.put(`filler:${i}`, noise(2000, i));
    for (let i = 0; i < 30; i++) await store.delete(`filler:${i}`);
    for (let i = 0; i < 35; i++) await store.put(`last:${i}`, noise(2000, i));
    memory.onSync = () => survivors.push(memory.crashClone({ keep: "synced" }));
    const compacting = store.compact();
    for (let i = 0; i < steps; i++) await Promise.resolve();
    const batch = [
      { type: "put", key: "twin", value: "of the delete" },
      { type: "delete", key: "key" },
    ] as const;
    const written = store.batch(batch, { durability: "memory" });
    assert((await compacting).madeFiles > 0);
    await written;
    await store.close();
    for (const [moment, survivor] of survivors.entries()) {
      await using left = await open(DIR, { ...MANUAL, fs: survivor });
      const [key, twin] = [await left.getText("key"), await left.getText("twin")];
      const expected = twin === undefined ? "value" : undefined;
      assert.equal(
        key,
        expected,
        `half of a batch at moment ${moment}, begun after ${steps} steps`,
      );
    }
  }
});

Deno.test("a segment whose file cannot be closed is removed all the same", async () => {
  const fs = new FaultFs(new MemFs());
  const store = await open(DIR, { ...MANUAL, fs });
  await fill(store, 90, 0);
  // Of each segment, a reader is open.
  for (let i = 0; i < 90; i++) await store.get(`key:${i}`);
  for (let i = 0; i < 80; i++) await store.delete(`key:${i}`);
  const rule = fs.arm({ on: "close", path: /\.seg$/, fault: { kind: "error", code: "IO" } });
  const { removedFiles } = await store.compact();
  assert(removedFiles > 0 && rule.strikes > 0);
  assert.deepEqual(await store.get("key:85"), noise(2000, 85));
  assert.equal(await store.get("key:5"), undefined);
  fs.clear();
  await store.close();
});

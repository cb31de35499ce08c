/** What must be durable before what, while segments are compacted. */
import assert from "node:assert/strict";
import { open, type Store } from "../mod.ts";
import { type FsOperation, InterceptFs, MemFs } from "../vfs/mod.ts";
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

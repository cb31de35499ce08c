/** Who waits for room in a store with `maxBytes` is let in as soon as there is some, whatever made it. */
import assert from "node:assert/strict";
import { open, type OpenOptions, type Store } from "../mod.ts";
import { FaultFs, MemFs } from "../vfs/mod.ts";
import { noise, settled } from "./_support.ts";

const SLAB = 64 * 1024;
/** Room for 11 slabs is given; from 8 on, more is made. */
const BOUNDED: OpenOptions = { maxBytes: 16 * SLAB, slabBytes: SLAB, slabs: 3 };

/** A put that waits: a full log, of which hardly anything is used, cannot become a segment, as the disk is full. */
async function waiting(fs: FaultFs): Promise<{ store: Store; put: Promise<number> }> {
  const store = await open("/store", { ...BOUNDED, fs });
  fs.arm({ on: "openReadWrite", path: /01\.log$/, fault: { kind: "error", code: "NO_SPACE" } });
  for (let i = 0; i < 3; i++) await store.put(`large:${i}`, noise(100_000, i));
  // Needs a slab of its own.
  const sizes = [32_600, 32_600, 100];
  await store.batch(sizes.map((size, i) => ({ type: "put", key: `k${i}`, value: noise(size, 9) })));
  await store.put("k", "v");
  assert.equal(store.stats().slabs.logged, 1);
  const put = store.put("larger", noise(250_000, 4));
  put.catch(() => {});
  for (let i = 0; store.stats().eviction!.waits === 0; i++) {
    assert(i < 1000, "it does not wait");
    await Promise.resolve();
  }
  return { store, put };
}

Deno.test("maxBytes: a log that has become a segment is shorter, and lets in who waits", async () => {
  const fs = new FaultFs(new MemFs());
  const { store, put } = await waiting(fs);
  fs.clear();
  await settled(put);
  assert.equal(store.stats().eviction!.keys, 0);
  assert.deepEqual(await store.get("larger"), noise(250_000, 4));
  await store.close();
});

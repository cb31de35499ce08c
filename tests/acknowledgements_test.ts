/** When the promises of writes are kept: by the watermarks of the workers, in the order of the log. */
import assert from "node:assert/strict";
import { Acknowledgements } from "../log/acknowledgements.ts";
import type { Slab } from "../memtable/mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { Engine, exhaust } from "./_engine.ts";
import { turn } from "./_support.ts";

/** Notes whether `promise` was kept. */
function watch(promise: Promise<unknown>): { kept: boolean } {
  const state = { kept: false };
  void promise.then(() => state.kept = true);
  return state;
}

Deno.test("what a newer log has not written yet says nothing of an older one", async () => {
  const engine = new Engine(new MemFs());
  const acks = new Acknowledgements(engine.control, undefined);
  const slabs = new Set<Slab>();
  const promised: { kept: boolean }[] = [];
  const append = (durability: "written" | "synced") => {
    const { slab, end } = engine.append(4000, durability === "synced");
    if (!slabs.has(slab)) acks.add(slab);
    slabs.add(slab);
    promised.push(watch(acks.promise(slab, end, durability, 1)));
  };
  while (slabs.size < 2) append(promised.length % 2 === 0 ? "written" : "synced");
  acks.settle();
  await turn();
  assert(promised.every(({ kept }) => !kept), "nothing is written");
  engine.setFlushing(false);
  exhaust(engine.log);
  exhaust(engine.flush);
  exhaust(engine.log);
  acks.settle();
  await turn();
  assert(promised.every(({ kept }) => kept));
  assert.equal(acks.pending, 0);
});

for (const adopted of [false, true]) {
  Deno.test(`a number is told to nobody before this session is in the log, adopted ${adopted}`, async () => {
    const engine = new Engine(new MemFs());
    const before = engine.append(100, false);
    if (adopted) exhaust(engine.log);
    const acks = new Acknowledgements(engine.control, adopted ? before.slab : undefined);
    if (!adopted) acks.add(before.slab);
    acks.settle();
    const promise = () => {
      const { slab, end } = engine.append(100, false);
      return watch(acks.promise(slab, end, "memory", 1));
    };
    const first = promise();
    acks.settle();
    await turn();
    assert.equal(first.kept, false, "a crash would give its number again");
    exhaust(engine.log);
    acks.settle();
    await turn();
    assert.equal(first.kept, true);
    const second = promise();
    await turn();
    assert.equal(second.kept, true, "waits for nothing");
  });
}

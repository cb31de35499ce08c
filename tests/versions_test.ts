import assert from "node:assert/strict";
import { MemFs } from "../vfs/mod.ts";
import { placeOn } from "./_support.ts";

for (const durability of ["written", "memory"] as const) {
  Deno.test(`versions of ${durability} writes that a crash took are never given again, also after a clean close`, async () => {
    const fs = new MemFs();
    const first = await placeOn(fs, "/store").open();
    await first.put("k", "1");
    await first.close();
    const second = await placeOn(fs, "/store").open();
    const lost = await second.put("a", "lost", { durability });
    const survivor = fs.crashClone({ keep: "synced" });
    await second.close();
    await using third = await placeOn(survivor, "/store").open();
    const given = await third.put("a", "another value");
    // Else who remembers `lost` overwrites what it never saw: put("a", ..., { ifVersion: lost }).
    assert.notEqual(given, lost);
  });
}

Deno.test("a delete with durability synced that finds nothing is as durable as one that finds a value", async () => {
  const fs = new MemFs();
  const store = await placeOn(fs, "/store").open();
  await store.put("a", "1");
  const first = store.delete("a", { durability: "memory" });
  assert.equal(await store.delete("a"), false);
  const survivor = fs.crashClone({ keep: "synced" });
  await first;
  await store.close();
  await using again = await placeOn(survivor, "/store").open();
  assert.equal(await again.get("a"), undefined);
});

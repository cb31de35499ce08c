/** The timer that removes what nobody looks at. */
import assert from "node:assert/strict";
import type { ExpiredEvent } from "../mod.ts";
import { testStore } from "./_support.ts";

testStore("what was found by an open expires although nobody looks at it", async (place) => {
  let now = 1e12;
  const options = { now: () => now };
  {
    await using store = await place.open(options);
    await store.put("short", "1", { expireIn: 1000 });
    await store.put("long", "1", { expireIn: 1e6 });
  }
  now += 990;
  await using store = await place.open(options);
  assert.equal(store.stats().keys, 2);
  now += 10;
  const alive = setInterval(() => {}, 1000);
  const { keys } = await new Promise<ExpiredEvent>((resolve) =>
    store.addEventListener("expired", resolve)
  );
  clearInterval(alive);
  assert.equal(keys, 1);
  assert.equal(store.stats().keys, 1);
});

import assert from "node:assert/strict";
import { SyncWaiters } from "../log/sync_waiters.ts";
import { turn } from "./_support.ts";

/** Waits for each of `positions`; what became of them is noted. */
function waitFor(waiters: SyncWaiters, positions: readonly number[]): string[] {
  const told: string[] = [];
  for (const position of positions) {
    waiters.wait(position).then(
      () => told.push(`${position}`),
      (error) => told.push(`${position} ${error}`),
    );
  }
  return told;
}

Deno.test("who waits for a position is told once all below it is durable, and not before", async () => {
  const waiters = new SyncWaiters();
  // In no order: a flush may wait for less than one that was called before it.
  const told = waitFor(waiters, [300, 100, 200, 100]);
  waiters.settle(99);
  await turn();
  assert.deepEqual(told, []);
  waiters.settle(100);
  await turn();
  assert.deepEqual(told, ["100", "100"]);
  assert.equal(waiters.length, 2);
  waiters.settle(1000);
  await turn();
  assert.deepEqual(told.toSorted(), ["100", "100", "200", "300"]);
  // Nobody is listened for any more: a program may end.
  assert.equal(waiters.length, 0);
});

Deno.test("once nothing more will be durable, all who wait are told why", async () => {
  const waiters = new SyncWaiters();
  const told = waitFor(waiters, [200, 100]);
  waiters.settle(100);
  waiters.rejectAll("broken");
  await turn();
  assert.deepEqual(told.toSorted(), ["100", "200 broken"]);
  assert.equal(waiters.length, 0);
});

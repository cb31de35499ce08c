import assert from "node:assert/strict";
import { AckQueue } from "../log/ack_queue.ts";
import { turn } from "./_support.ts";

const MIB = 1024 * 1024;

/** A queue with `count` promises about `bytes` each, and which of them were kept or broken so far. */
function queueOf(
  count: number,
  bytes: number,
): { queue: AckQueue; kept: number[]; broken: number } {
  const all = { queue: new AckQueue(), kept: [] as number[], broken: 0 };
  for (let i = 1; i <= count; i++) {
    all.queue.push(i * bytes, i).then((value) => void all.kept.push(value), () => all.broken++);
  }
  return all;
}

Deno.test("of large writes that are done together, each turn of the event loop hears of one", async () => {
  const all = queueOf(8, MIB);
  all.queue.settle(6 * MIB);
  all.queue.settle(6 * MIB);
  await Promise.resolve();
  assert.deepEqual(all.kept, [1]);
  for (let i = 2; i <= 6; i++) {
    await turn();
    assert.equal(all.kept.length, i);
    // News that come meanwhile change nothing.
    all.queue.settle(6 * MIB);
  }
  for (let i = 0; i < 5; i++) await turn();
  assert.equal(all.kept.length, 6);
  all.queue.settle(8 * MIB);
  for (let i = 0; i < 5; i++) await turn();
  assert.deepEqual(all.kept, [1, 2, 3, 4, 5, 6, 7, 8]);
});

Deno.test("small writes that are done together hear so in the same turn, time and again", async () => {
  const all = queueOf(100_000, 100);
  for (let end = 1000; end <= 100_000; end += 1000) {
    all.queue.settle(end * 100);
    await Promise.resolve();
    assert.equal(all.kept.length, end);
    await turn();
  }
});

Deno.test("a write that is done is so, also if the log fails before it has heard", async () => {
  const failed = queueOf(8, MIB);
  failed.queue.settle(6 * MIB);
  failed.queue.rejectAll(new Error("failed"));
  await turn();
  assert.equal(failed.kept.length, 6);
  assert.equal(failed.broken, 2);
  const waived = queueOf(8, MIB);
  waived.queue.settle(6 * MIB);
  waived.queue.waive();
  await turn();
  assert.deepEqual(waived.kept, [1, 2, 3, 4, 5, 6, 0, 0]);
});

Deno.test("writes that wait for nothing cannot keep the event loop from turning", async () => {
  const queue = new AckQueue();
  let turns = 0;
  let goesOn = true;
  const turning = (async () => {
    for (; goesOn; turns++) await turn();
  })();
  for (let i = 1; i <= 10_000; i++) assert.equal(await queue.pass(i * 1000, i), i);
  goesOn = false;
  await turning;
  assert(turns >= 15 && turns <= 50, `${turns} turns`);
  // In order, also if nobody waits for one before the next is called.
  const kept: number[] = [];
  const passed = Array.from(
    { length: 3000 },
    (_, i) => queue.pass(10_000_000 + i * 1000, i).then((value) => void kept.push(value)),
  );
  await Promise.all(passed);
  assert.deepEqual(kept, Array.from({ length: 3000 }, (_, i) => i));
});

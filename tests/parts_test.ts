import assert from "node:assert/strict";
import { KeyLocks } from "../memtable/mod.ts";
import { FlagstoneError } from "../mod.ts";
import { AckQueue } from "../log/mod.ts";
import { SpaceQueue } from "../log/mod.ts";
import { Control, parseFileName, SlotWord, Word } from "../wal/mod.ts";

Deno.test("KeyLocks grants a key in the order of asking, and keeps other keys of its word free", async () => {
  const locks = new KeyLocks();
  const order: number[] = [];
  await locks.acquire(9, "a");
  const work = [1, 2, 3].map(async (n) => {
    await locks.acquire(9, "a");
    order.push(n);
    await Promise.resolve();
    locks.releaseKey(9, "a");
  });
  assert(!locks.tryAcquire(9), "nobody takes the fast way past who waits");
  await locks.acquire(9, "b");
  locks.releaseKey(9, "b");
  assert(locks.tryAcquire(10), "another word is free");
  assert.deepEqual(order, []);
  locks.releaseKey(9, "a");
  await Promise.all(work);
  assert.deepEqual(order, [1, 2, 3]);
  assert(locks.tryAcquire(9));
  locks.release(9);
  assert.equal(locks.contended, 3);
});

Deno.test("AckQueue keeps promises up to the watermark, in order, across growth", async () => {
  const queue = new AckQueue();
  const kept: number[] = [];
  const promises: Promise<unknown>[] = [];
  let next = 0;
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 900; i++, next++) {
      promises.push(queue.push(next * 10, next).then((value) => kept.push(value)));
    }
    queue.settle(next * 5);
    await Promise.resolve();
    assert.equal(kept.length, Math.floor(next / 2) + 1);
  }
  queue.settle(next * 10);
  await Promise.all(promises);
  assert.deepEqual(kept, kept.map((_, i) => i));
  const late = queue.push(1e9, true);
  queue.rejectAll(new Error("gone"));
  await assert.rejects(late, /gone/);
  assert.equal(queue.length, 0);
});

Deno.test("SpaceQueue serves in order and rejects all who wait on failure", async () => {
  const queue = new SpaceQueue();
  const order: string[] = [];
  const a = queue.wait().then(() => {
    order.push("a");
    queue.done();
  });
  const b = queue.wait().then(() => order.push("b"));
  queue.offer(() => false);
  await Promise.resolve();
  assert.deepEqual(order, []);
  queue.offer(() => true);
  await Promise.all([a, b]);
  assert.deepEqual(order, ["a", "b"]);
  const c = queue.again();
  queue.fail(new Error("gone"));
  await assert.rejects(c, /gone/);
  assert.equal(queue.stalls, 2);
});

Deno.test("Control.reserve() gives each taker its own place, and none beyond the limit", () => {
  const control = new Control(2);
  const places = new Set<number>();
  for (let i = 0; i < 10; i++) places.add(control.reserve(1, 24, 200));
  assert.deepEqual([...places], [0, 24, 48, 72, 96, 120, 144, 168, -1]);
  assert.equal(control.get(0, SlotWord.reserved), 0);
  assert.equal(control.reserveRest(1), 192);
  assert.equal(control.reserve(1, 8, 200), -1);
});

Deno.test("Control.fail() carries the first error to other threads, whole", () => {
  const control = new Control(2);
  const details = { path: "/a/ä", offset: 2 ** 40, operation: "syncData" };
  control.fail(new FlagstoneError("NO_SPACE", "Cannot write: ✗", details));
  control.fail(new Error("second"));
  const seen = new Control(control.buffer).failure();
  assert(seen instanceof FlagstoneError);
  assert.deepEqual(
    [seen.code, seen.message, seen.path, seen.offset, seen.operation],
    ["NO_SPACE", "Cannot write: ✗", "/a/ä", 2 ** 40, "syncData"],
  );
  assert(Atomics.load(control.words, Word.progress) > 0);
  const long = new Control(2);
  long.fail(new FlagstoneError("IO", "\0".repeat(10_000), { path: "✗".repeat(4000) }));
  assert.equal(long.failure()!.code, "IO");
});

Deno.test("parseFileName() compares segments as numbers and ignores other names", () => {
  assert.deepEqual(parseFileName("0000000010.seg"), { segment: 10, kind: "seg" });
  assert.deepEqual(parseFileName("12345678901.log"), { segment: 12345678901, kind: "log" });
  for (
    const name of ["LOCK", "9.log", "00000000009.log", "0000000001.log.tmp", "x0000000001.log"]
  ) {
    assert.equal(parseFileName(name), undefined);
  }
});

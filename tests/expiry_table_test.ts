import assert from "node:assert/strict";
import fc from "fast-check";
import { ExpiryTable, type KeyHash } from "../index/mod.ts";

/** Few keys, of which many share a bucket. */
function hashOf(key: number): KeyHash {
  return { h1: (key % 3) - 1, h2: key, h3: key * 7 };
}

const key = fc.nat(40);
const step = fc.oneof(
  fc.record({
    type: fc.constant("set" as const),
    key,
    sequence: fc.nat(1000).map((n) => n * 2 ** 33),
    time: fc.oneof(fc.nat(9), fc.maxSafeNat()).map((time) => time + 1).filter(Number.isSafeInteger),
  }),
  fc.record({ type: fc.constant("delete" as const), key }),
  fc.record({ type: fc.constant("first" as const) }),
  fc.record({ type: fc.constant("sweep" as const), keep: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ type: fc.constant("image" as const) }),
);

Deno.test("an expiry table is a map that knows its least time", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    let table = new ExpiryTable();
    const model = new Map<number, { sequence: number; time: number }>();
    for (const one of steps) {
      if (one.type === "set") {
        table.set(hashOf(one.key), one.sequence, one.time);
        const old = model.get(one.key);
        if (old === undefined || old.sequence <= one.sequence) model.set(one.key, one);
      } else if (one.type === "delete") {
        assert.equal(table.delete(hashOf(one.key)), model.delete(one.key));
      } else if (one.type === "first") {
        assert.equal(table.first(), model.size > 0);
        if (model.size === 0) continue;
        const { sequence, time } = model.get(table.h2)!;
        assert.deepEqual([table.sequence, table.time], [sequence, time]);
        assert.equal(time, Math.min(...[...model.values()].map((entry) => entry.time)));
        table.delete(table);
        model.delete(table.h2);
      } else if (one.type === "sweep") {
        const seen: number[] = [];
        table.sweep(() => {
          seen.push(table.h2);
          return table.time % one.keep !== 0;
        });
        assert.deepEqual(seen.sort((a, b) => a - b), [...model.keys()].sort((a, b) => a - b));
        for (const [at, { time }] of model) if (time % one.keep === 0) model.delete(at);
      } else {
        const copy = new ExpiryTable();
        for (const piece of table.image(100)) copy.load(piece);
        table = copy;
      }
      assert.equal(table.size, model.size);
      for (let at = 0; at <= 40; at++) {
        assert.equal(table.timeOf(hashOf(at)), model.get(at)?.time ?? 0);
      }
      const least = Math.min(Infinity, ...[...model.values()].map(({ time }) => time));
      assert.equal(table.nextTime, least);
    }
  }));
});

Deno.test("an expiry table takes 44 bytes a key, and gives places to others", () => {
  const table = new ExpiryTable();
  const keys = 200_000;
  const hash = (i: number) => ({ h1: Math.imul(i, 0x9e3779b1), h2: i, h3: i });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < keys; i++) table.set(hash(i), i, 1 + ((i * 7919) % keys));
    assert(table.memoryBytes / keys < 48, `${table.memoryBytes / keys} bytes a key`);
    let last = 0;
    for (let i = 0; i < keys; i++) {
      assert(table.first());
      assert(table.time >= last, `${table.time} comes after ${last}`);
      last = table.time;
      assert(table.delete(table));
    }
    assert.equal(table.size, 0);
  }
});

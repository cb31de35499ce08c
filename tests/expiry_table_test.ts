import assert from "node:assert/strict";
import fc from "fast-check";
import { ExpiryTable, type KeyHash, type Step } from "../index/mod.ts";
import { randomOf } from "./_support.ts";

/** Few keys, of which many share a bucket. */
function hashOf(key: number): KeyHash {
  return { h1: (key % 3) - 1, h2: key, h3: key * 7 };
}

const key = fc.nat(40);
/** Few moments, far apart, and what is near them: so that times share some of their digits. */
const time = fc.record({
  moment: fc.constantFrom(1, 255, 65_536, 2 ** 32 - 3, 1.7e12, 2 ** 53 - 400),
  later: fc.oneof(fc.nat(9), fc.nat(299)),
}).map(({ moment, later }) => moment + later);
const step = fc.oneof(
  fc.record({
    type: fc.constant("set" as const),
    key,
    sequence: fc.nat(1000).map((n) => n * 2 ** 33),
    isKnown: fc.boolean(),
    time: fc.oneof(time, fc.maxSafeNat().filter((time) => time > 0)),
  }),
  fc.record({ type: fc.constant("delete" as const), key }),
  fc.record({ type: fc.constant("expire" as const), now: time, most: fc.nat(20) }),
  fc.record({ type: fc.constant("sweep" as const), keep: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ type: fc.constant("image" as const) }),
);

Deno.test("an expiry table is a map that finds whose time has come, whichever way the clock goes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      let table = new ExpiryTable();
      const model = new Map<number, { sequence: number; time: number }>();
      for (const one of steps) {
        if (one.type === "set") {
          table.set(hashOf(one.key), one.sequence, one.time);
          const old = model.get(one.key);
          if (old === undefined || old.sequence <= one.sequence) model.set(one.key, one);
        } else if (one.type === "delete") {
          assert.equal(table.delete(hashOf(one.key)), model.delete(one.key));
        } else if (one.type === "expire") {
          const isOver = () => [...model.values()].some(({ time }) => time <= one.now);
          let found: Step = "again";
          for (let keys = 0; keys < one.most && found !== "none";) {
            found = table.step(one.now);
            if (found !== "due") continue;
            const { sequence, time } = model.get(table.h2)!;
            assert.deepEqual([table.sequence, table.time], [sequence, time]);
            assert(time <= one.now, `${time} is not over at ${one.now}`);
            assert(table.delete(table));
            model.delete(table.h2);
            keys++;
          }
          if (found === "none") {
            assert(!isOver(), `a key is left at ${one.now}`);
            assert(table.nextTime > one.now);
          }
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
        const at = one.type === "set" ? one.key : 0;
        assert.equal(table.timeOf(hashOf(at)), model.get(at)?.time ?? 0);
        const least = Math.min(Infinity, ...[...model.values()].map(({ time }) => time));
        assert(table.nextTime <= least, `a key expires at ${least}, before ${table.nextTime}`);
        if (model.size === 0) {
          while (table.step(Infinity) !== "none");
          assert.equal(table.nextTime, Infinity);
        }
      }
      for (let at = 0; at <= 40; at++) {
        assert.equal(table.timeOf(hashOf(at)), model.get(at)?.time ?? 0);
      }
      const left = new Set<number>();
      for (let step: Step; (step = table.step(Infinity)) !== "none";) {
        if (step === "again") continue;
        left.add(table.h2);
        table.delete(table);
      }
      assert.deepEqual(left, new Set(model.keys()));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("an expiry table takes 44 bytes a key, and gives places to others", () => {
  const table = new ExpiryTable();
  const keys = 200_000;
  const hash = (i: number) => ({ h1: Math.imul(i, 0x9e3779b1), h2: i, h3: i });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < keys; i++) table.set(hash(i), i, 1 + ((i * 7919) % keys));
    assert(table.memoryBytes / keys < 48, `${table.memoryBytes / keys} bytes a key`);
    let left = keys;
    for (let now = 0; now < keys; now += 1000) {
      for (let step: Step; (step = table.step(now)) !== "none";) {
        if (step === "again") continue;
        assert(now - 1000 < table.time && table.time <= now, `${table.time} is found at ${now}`);
        assert(table.delete(table));
        left--;
      }
      assert.equal(left, keys - now);
    }
    assert.equal(table.step(keys), "due");
    while (table.step(keys) !== "none") table.delete(table);
    assert.equal(table.size, 0);
  }
});

Deno.test("a table of keys that expire at once, after a long time, and in between takes no more memory", () => {
  const table = new ExpiryTable();
  const random = randomOf(1);
  let now = 1.7e12;
  let sequence = 0;
  const add = () => {
    const hash = { h1: random() * 2 ** 32 | 0, h2: ++sequence, h3: 0 };
    table.set(hash, sequence, now + 1 + Math.floor(2 ** (random() * 40)));
  };
  for (let i = 0; i < 10_000; i++) add();
  const before = table.memoryBytes;
  for (let i = 0; i < 100_000; i++) {
    now += random() * 1000;
    for (let step: Step; (step = table.step(now)) !== "none";) {
      if (step === "due" && table.delete(table)) add();
    }
  }
  assert.equal(table.size, 10_000);
  assert(table.memoryBytes < 2 * before, `${before} bytes have become ${table.memoryBytes}`);
});

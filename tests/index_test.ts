import assert from "node:assert/strict";
import fc from "fast-check";
import { HashIndex, KeyHasher } from "../index/mod.ts";
import { randomOf } from "./_support.ts";

const SECRET = new Uint8Array(16).map((_, i) => i);

function hashed(hasher: KeyHasher, key: number): KeyHasher {
  hasher.hash(new Int32Array([key, 0]), 5);
  return hasher;
}

Deno.test("KeyHasher gives the published results of HalfSipHash-2-4, in both lanes", () => {
  // From the authors' test vectors: key 00 to 07, inputs 00, 00 01, … of growing length, 64 bits out.
  const published = [
    "218d1f59b9b83cc8",
    "be552412f8387315",
    "064f39ef7c50eb57",
    "ce0f1a45f7060679",
    "d5e78a175be52ea1",
    "cb9d7c3f2f3db580",
    "ce3e91358aa2bc25",
    "ff202728b07bc684",
    "edfee820bce4858c",
    "5b51cccc13888307",
  ];
  const hasher = new KeyHasher(SECRET.map((_, i) => i % 8));
  const words = new Int32Array(4);
  const bytes = new Uint8Array(words.buffer);
  for (const [length, expected] of published.entries()) {
    for (let i = 0; i < length; i++) bytes[i] = i;
    hasher.hash(words, length);
    for (const lane of [[hasher.h0, hasher.h1], [hasher.h2, hasher.h3]]) {
      assert.equal(new Uint8Array(new Int32Array(lane).buffer).toHex(), expected);
    }
  }
});

Deno.test("KeyHasher depends on every byte, the length and the secret", () => {
  const words = new Int32Array(8);
  const bytes = new Uint8Array(words.buffer);
  const hasher = new KeyHasher(SECRET);
  const other = new KeyHasher(SECRET.map((byte) => byte + 1));
  const result = (h: KeyHasher, length: number) => {
    h.hash(words, length);
    return `${h.h0}:${h.h1}:${h.h2}:${h.h3}`;
  };
  const seen = new Set<string>();
  let count = 0;
  const note = (h: KeyHasher, length: number) => {
    seen.add(result(h, length));
    count++;
  };
  for (let length = 1; length <= 20; length++) {
    note(hasher, length);
    note(other, length);
    for (let i = 0; i < length; i++) {
      bytes[i] = 0x80;
      note(hasher, length);
      bytes[i] = 0;
    }
  }
  assert.equal(seen.size, count);
});

Deno.test("HashIndex agrees with a Map, whatever is put, removed and found", () => {
  const operation = fc.record({
    kind: fc.constantFrom("put", "stale", "remove", "find", "tombstone", "sweep"),
    key: fc.nat(400),
  });
  fc.assert(fc.property(fc.array(operation, { maxLength: 1500 }), (operations) => {
    const hasher = new KeyHasher(SECRET);
    const index = new HashIndex();
    const model = new Map<number, number>();
    const deleted = new Set<number>();
    let sequence = 2 ** 33;
    for (const { kind, key } of operations) {
      hashed(hasher, key);
      sequence += 8;
      if (kind === "put") {
        assert.equal(index.put(hasher, sequence, 7, key * 8, 100 + key, 2), model.has(key));
        model.set(key, sequence);
        deleted.delete(key);
      } else if (kind === "stale") {
        // Older than anything: changes nothing unless the key was never seen.
        if (!model.has(key) && !deleted.has(key)) continue;
        assert.equal(index.put(hasher, 8, 1, 1, 100, 0), false);
      } else if (kind === "remove") {
        assert.equal(index.remove(hasher), model.delete(key));
      } else if (kind === "tombstone") {
        index.putTombstone(hasher, sequence);
        model.delete(key);
        deleted.add(key);
      } else if (kind === "sweep") {
        index.dropTombstones();
        deleted.clear();
      } else {
        assert.equal(index.find(hasher), model.has(key));
        if (!model.has(key)) continue;
        assert.deepEqual(
          [index.sequence, index.segment, index.offset, index.length, index.flags],
          [model.get(key), 7, key * 8, 100 + key, 2],
        );
      }
      assert.equal(index.size, model.size);
    }
    for (const key of model.keys()) assert(index.find(hashed(hasher, key)));
  }));
});

Deno.test("HashIndex grows without losing a key, and frees places on removal", () => {
  const hasher = new KeyHasher(SECRET);
  const index = new HashIndex();
  const count = 50_000;
  for (let key = 0; key < count; key++) index.put(hashed(hasher, key), key + 1, 1, key, 99, 0);
  assert.equal(index.size, count);
  const bytes = index.memoryBytes;
  const random = randomOf(1);
  for (let round = 0; round < 3; round++) {
    const gone = Array.from({ length: count }, (_, key) => key).filter(() => random() < 0.5);
    for (const key of gone) index.remove(hashed(hasher, key));
    for (const key of gone) index.put(hashed(hasher, key), count * 9, 2, key, 99, 0);
  }
  for (let key = 0; key < count; key++) {
    assert(index.find(hashed(hasher, key)));
    assert.equal(index.offset, key);
  }
  assert.equal(index.memoryBytes, bytes, "churn does not grow the tables");
});

/** What of `updates` is to stand, in whatever order they arrive: for each key the newest. */
interface Update {
  readonly key: number;
  readonly sequence: number;
  readonly deletes: boolean;
}

Deno.test("HashIndex ends with the newest of each key, in whatever order updates arrive", () => {
  // Sequences on both sides of 2^32, where their high word begins.
  const sequence = fc.oneof(
    fc.integer({ min: 1, max: 60 }),
    fc.nat(60).map((n) => 2 ** 32 - 30 + n),
  );
  const update = fc.record({ key: fc.nat(1500), sequence, deletes: fc.boolean() });
  fc.assert(
    fc.property(
      fc.uniqueArray(update, {
        minLength: 1,
        maxLength: 4000,
        size: "max",
        selector: ({ key, sequence }) => `${key} ${sequence}`,
      }),
      (updates: readonly Update[]) => {
        const hasher = new KeyHasher(SECRET);
        const index = new HashIndex();
        const model = new Map<number, Update>();
        for (const update of updates) {
          const { key, sequence, deletes } = update;
          hashed(hasher, key);
          const before = model.get(key);
          const newer = before === undefined || before.sequence < sequence;
          if (newer) model.set(key, update);
          if (deletes) index.putTombstone(hasher, sequence);
          else {
            const replaced = newer && before !== undefined && !before.deletes;
            assert.equal(index.put(hasher, sequence, 1, key, 100 + key, 1), replaced);
            if (replaced) assert.equal(index.length, 100 + key);
          }
        }
        const live = [...model.values()].filter((update) => !update.deletes);
        assert.equal(index.size, live.length);
        for (const swept of [false, true]) {
          if (swept) index.dropTombstones();
          for (const { key, sequence, deletes } of model.values()) {
            assert.equal(index.find(hashed(hasher, key)), !deletes);
            if (!deletes) assert.deepEqual([index.sequence, index.offset], [sequence, key]);
          }
        }
        for (const { key, sequence } of live) {
          assert.equal(index.remove(hashed(hasher, key), sequence - 1), false, "it is newer");
          assert.equal(index.remove(hasher, sequence), true);
        }
        assert.equal(index.size, 0);
      },
    ),
    { numRuns: 60 },
  );
});

import assert from "node:assert/strict";
import { HashIndex, KeyHasher } from "../index/mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { keyInto, SECRET } from "./_index_support.ts";
import { bytes, placeOn, randomOf, text } from "./_support.ts";

const FNV_PRIME = 0x01000193;
const FNV_START = 0x811c9dc5 | 0;

function fnv1a(key: Uint8Array, state = FNV_START): number {
  for (const byte of key) state = Math.imul(state ^ byte, FNV_PRIME);
  return state;
}

/** Two different blocks of 8 bytes that lead FNV-1a from `state` to one and the same state. */
function collidingBlocks(state: number, random: () => number): [Uint8Array, Uint8Array] {
  const seen = new Map<number, Uint8Array>();
  for (;;) {
    const block = new Uint8Array(8).map(() => random() * 256);
    const end = fnv1a(block, state);
    const other = seen.get(end);
    if (other !== undefined && other.some((byte, i) => byte !== block[i])) return [other, block];
    seen.set(end, block);
  }
}

/** 2^stages keys of one and the same FNV-1a hash: each stage is one of two blocks (Joux 2004). */
function keysOfOneHash(stages: number, seed: number): Uint8Array[] {
  const random = randomOf(seed);
  let keys: Uint8Array[] = [new Uint8Array(0)];
  for (let stage = 0; stage < stages; stage++) {
    const blocks = collidingBlocks(fnv1a(keys[0]!), random);
    keys = keys.flatMap((key) => blocks.map((block) => new Uint8Array([...key, ...block])));
  }
  return keys;
}

function hashBytes(hasher: KeyHasher, key: Uint8Array): KeyHasher {
  const words = new Int32Array((key.length >> 2) + 1);
  new Uint8Array(words.buffer).set(key);
  hasher.hash(words, key.length);
  return hasher;
}

/** A hasher of which only some bits are left: the hook that forces keys to meet. */
class TruncatedHasher extends KeyHasher {
  readonly #masks: readonly [h1: number, h2: number, h3: number];

  constructor(masks: readonly [h1: number, h2: number, h3: number]) {
    super(SECRET);
    this.#masks = masks;
  }

  override hash(words: Int32Array, length: number): void {
    super.hash(words, length);
    this.h1 &= this.#masks[0];
    this.h2 &= this.#masks[1];
    this.h3 &= this.#masks[2];
  }
}

const ALL = -1;
const MEETINGS: [what: string, masks: readonly [number, number, number], keys: number][] = [
  ["fingerprints", [0, ALL, ALL], 20_000],
  ["pages and places", [ALL, 0, ALL], 20_000],
  ["cells", [ALL, ALL, 0], 1000],
  ["fingerprints and places", [0, 0, ALL], 20_000],
  ["fingerprints and cells", [0, ALL, 0], 1000],
  ["places and cells", [ALL, 0, 0], 400],
];

Deno.test("keys that collide under an unkeyed hash are spread and separate under the keyed one", () => {
  for (const seed of [1]) {
    const keys = keysOfOneHash(11, seed);
    assert.equal(new Set(keys.map((key) => fnv1a(key))).size, 1, `seed ${seed}: they do collide`);
    const hasher = new KeyHasher(crypto.getRandomValues(new Uint8Array(16)));
    const index = new HashIndex();
    keys.forEach((key, i) => index.put(hashBytes(hasher, key), i + 1, 1, i * 8, 100, 0));
    assert.equal(index.size, keys.length, `seed ${seed}`);
    const shards = new Int32Array(64);
    keys.forEach((key, i) => {
      assert(index.find(hashBytes(hasher, key)), `seed ${seed}, key ${i}`);
      assert.equal(index.offset, i * 8, `seed ${seed}`);
      shards[hasher.h3 >>> 26]!++;
    });
    // 32 on average; a stray of 8 standard deviations is as good as impossible.
    assert(shards.every((count) => count < 80), `seed ${seed}: ${shards}`);
  }
});

Deno.test("keys chosen to meet under a known secret do not under another", () => {
  // What an attacker could do if the secret were zeros: pick keys that all belong to one cell.
  const known = new KeyHasher(new Uint8Array(16));
  const chosen: number[] = [];
  for (let key = 0; chosen.length < 1000; key++) {
    if (keyInto(known, key).h3 >>> 24 === 0) chosen.push(key);
  }
  const hasher = new KeyHasher(SECRET);
  const tops = new Set(chosen.map((key) => keyInto(hasher, key).h3 >>> 24));
  assert(tops.size > 200, `${tops.size} of 256`);
});

for (const [what, masks, count] of MEETINGS) {
  Deno.test(`HashIndex finds every key separate where all ${what} are equal`, () => {
    const hasher = new TruncatedHasher(masks);
    const index = new HashIndex();
    const reader = HashIndex.attach(index.share());
    for (let key = 0; key < count; key++) {
      assert.equal(index.put(keyInto(hasher, key), key + 1, 1, key, 100, 0), false);
    }
    assert.equal(index.size, count);
    reader.refresh(index.share());
    for (let key = 0; key < count; key++) {
      assert(index.find(keyInto(hasher, key)), `key ${key}`);
      assert.equal(index.offset, key);
      assert.equal(reader.find(hasher), "found");
      assert.equal(reader.offset, key);
    }
    for (let key = count; key < count + 1000; key++) {
      assert(!index.find(keyInto(hasher, key)));
      assert.equal(reader.find(hasher), "absent");
    }
    for (let key = 0; key < count; key += 2) assert(index.remove(keyInto(hasher, key)));
    for (let key = 0; key < count; key++) {
      assert.equal(index.find(keyInto(hasher, key)), key % 2 === 1, `key ${key}`);
    }
  });
}

Deno.test("HashIndex.put() refuses what it cannot place, and keeps all it had", () => {
  const hasher = new TruncatedHasher([ALL, 0, 0]);
  const index = new HashIndex();
  let count = 0;
  assert.throws(() => {
    for (; count < 5000; count++) index.put(keyInto(hasher, count), count + 1, 1, count, 100, 0);
  }, RangeError);
  assert(count > 400);
  assert.equal(index.size, count);
  for (let key = 0; key < count; key++) assert(index.find(keyInto(hasher, key)));
});

for (const [what, masks] of MEETINGS.slice(0, 4)) {
  Deno.test(`a store finds every key separate where all ${what} are equal`, async () => {
    // The store makes its own hasher, so the hook is put in the class, for the time of this test.
    const { hash } = KeyHasher.prototype;
    KeyHasher.prototype.hash = function (words, length) {
      hash.call(this, words, length);
      this.h1 &= masks[0];
      this.h2 &= masks[1];
      this.h3 &= masks[2];
    };
    try {
      const place = placeOn(new MemFs(), "/store");
      const count = 600;
      {
        await using store = await place.open();
        await Promise.all(
          Array.from({ length: count }, (_, i) => store.put(`key ${i}`, bytes(`value ${i}`))),
        );
        await store.delete("key 0");
      }
      await using store = await place.open();
      for (let i = 0; i < count; i++) {
        const expected = i === 0 ? undefined : `value ${i}`;
        assert.equal(text(await store.get(`key ${i}`)), expected);
        assert.equal(await store.get(`no key ${i}`), undefined);
      }
    } finally {
      KeyHasher.prototype.hash = hash;
    }
  });
}

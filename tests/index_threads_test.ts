import assert from "node:assert/strict";
import { HashIndex, KeyHasher } from "../index/mod.ts";
import type { FromReader, ToReader } from "./_index_worker.ts";
import { fieldsOf, keyInto, KEYS, SECRET } from "./_index_support.ts";
import { randomOf } from "./_support.ts";

const ROUNDS = 24;
const SEED = 20_261_120;

/** A Worker that answers each message with one. */
class Reader implements Disposable {
  readonly #worker = new Worker(new URL("./_index_worker.ts", import.meta.url), {
    type: "module",
  });

  /** Sends a message, and resolves with the answer. */
  ask(message: ToReader): Promise<FromReader> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      this.#worker.postMessage(message);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

Deno.test("IndexReader sees whole entries only, none older than before, while another isolate writes", async () => {
  const index = new HashIndex();
  const hasher = new KeyHasher(SECRET);
  const random = randomOf(SEED);
  let sequence = 2 ** 32 - 1000;
  const put = (key: number) => {
    const { segment, offset, length, flags } = fieldsOf(key, ++sequence);
    index.put(keyInto(hasher, key), sequence, segment, offset, length, flags);
  };
  for (let key = 0; key < 8; key++) put(key);

  using reader = new Reader();
  await reader.ask({ type: "handle", handle: index.share() });
  const total = { found: 0, absent: 0, behind: 0, busy: 0, torn: 0, backwards: 0 };
  const done = new Int32Array(new SharedArrayBuffer(8));
  let most = 8;
  for (let round = 1; round <= ROUNDS; round++) {
    const answer = reader.ask({ type: "round", done, round });
    await Atomics.waitAsync(done, 1, round - 1).value;
    for (let i = 0; i < 40_000; i++) {
      put(i & 7);
      // It grows in the first half; in the second, keys come and go, and others move in their place.
      if (most < KEYS) put(most++);
      else if (i % 4 === 0) {
        const key = 8 + Math.floor(random() * (KEYS - 8));
        if (random() < 0.5) index.remove(keyInto(hasher, key));
        else put(key);
      }
    }
    Atomics.store(done, 0, round);
    const seen = await answer;
    for (const name of Object.keys(total) as (keyof FromReader)[]) total[name] += seen[name];
    if (seen.behind > 0) await reader.ask({ type: "handle", handle: index.share() });
  }
  const told = `seed ${SEED}: ${JSON.stringify(total)}`;
  assert.equal(total.torn, 0, told);
  assert.equal(total.backwards, 0, told);
  // The writer may be interrupted for long in the middle of a change, but not always.
  assert(total.busy * 100 < total.found, told);
  assert(total.found > 1000 && total.absent > 0, `the reader read at all: ${told}`);
  assert(total.behind > 0, `the reader noticed that memory was added: ${told}`);

  await reader.ask({ type: "handle", handle: index.share() });
  const last = await reader.ask({ type: "all", keys: KEYS });
  assert.equal(last.found, index.size, told);
  assert.deepEqual({ ...last, found: 0, absent: 0 }, {
    found: 0,
    absent: 0,
    behind: 0,
    busy: 0,
    torn: 0,
    backwards: 0,
  });
});

Deno.test("IndexReader.find() gives up with busy if the writer ended in the middle of a change", () => {
  const index = new HashIndex();
  const hasher = new KeyHasher(SECRET);
  index.put(keyInto(hasher, 1), 1, 1, 8, 100, 0);
  const handle = index.share();
  const reader = HashIndex.attach(handle);
  assert.equal(reader.find(hasher), "found");
  const versions = new Int32Array(handle.control).subarray(16, 16 + 256);
  versions.fill(1);
  assert.equal(reader.find(hasher), "busy");
  versions.fill(2);
  assert.equal(reader.find(hasher), "found");
});

Deno.test("IndexReader is told of every shard that a change has a part of", () => {
  const index = new HashIndex();
  const hasher = new KeyHasher(SECRET);
  const versions = new Int32Array(index.share().control).subarray(16, 16 + 256);
  const changed = (change: () => void): number => {
    const before = versions.slice();
    change();
    assert(versions.every((version) => version % 2 === 0), "nothing is left open");
    return before.filter((version, shard) => version !== versions[shard]).length;
  };
  const put = (key: number) => index.put(keyInto(hasher, key), key + 1, 1, key, 100, 0);
  assert.equal(changed(() => put(0)), 1, "a put changes one entry");
  assert.equal(changed(() => index.remove(keyInto(hasher, 0))), 256, "what a removal moves");
  let key = 1;
  const grows = () => {
    const before = index.entriesMoved;
    while (index.entriesMoved === before) put(key++);
  };
  assert.equal(changed(grows), 256);
  index.putTombstone(keyInto(hasher, 1), key);
  assert.equal(changed(() => index.dropTombstones()), 256);
});

for (const count of [2500, 100_000]) {
  Deno.test(`IndexReader.find() is behind, never wrong, ${count} keys after its handle`, () => {
    const index = new HashIndex();
    const hasher = new KeyHasher(SECRET);
    const handle = index.share();
    const old = HashIndex.attach(handle);
    for (let key = 0; key < count; key++) index.put(keyInto(hasher, key), key + 1, 1, key, 100, 0);
    // At first only chunks are added, and what is in the old ones is still found.
    const moved = index.share().directoryGeneration !== handle.directoryGeneration;
    assert.equal(moved, count > 10_000);
    let behind = 0;
    for (let key = 0; key < count; key++) {
      const result = old.find(keyInto(hasher, key));
      assert.notEqual(result, "absent");
      if (result === "behind") behind++;
      else assert.equal(old.offset, key);
    }
    assert(behind > 0);
    assert.equal(behind === count, moved);
    old.refresh(index.share());
    for (let key = 0; key < count; key++) assert.equal(old.find(keyInto(hasher, key)), "found");
    assert.equal(old.size, count);
  });
}

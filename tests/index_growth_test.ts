import assert from "node:assert/strict";
import { HashIndex, KeyHasher } from "../index/mod.ts";
import { keyInto, SECRET } from "./_index_support.ts";

/** An index with the keys 0 to `count` - 1. */
function filled(count: number): HashIndex {
  const index = new HashIndex();
  const hasher = new KeyHasher(SECRET);
  for (let key = 0; key < count; key++) index.put(keyInto(hasher, key), key + 1, 1, key, 100, 3);
  return index;
}

Deno.test("HashIndex takes 48 bytes a key at most, at every size from 50 K to 800 K keys", () => {
  const index = new HashIndex();
  const hasher = new KeyHasher(SECRET);
  let next = 50_000;
  for (let key = 1; key <= 800_000; key++) {
    index.put(keyInto(hasher, key), key, 1, key, 100, 0);
    if (key < next) continue;
    const perKey = index.memoryBytes / key;
    assert(perKey <= 48, `${perKey} bytes a key at ${key} keys`);
    next = Math.ceil(key * 1.005);
  }
});

Deno.test("HashIndex moves the entries of one cell at most in a put, however many keys there are", () => {
  const index = new HashIndex();
  const hasher = new KeyHasher(SECRET);
  const moved = () => index.entriesMoved;
  let worst = 0;
  for (let key = 1; key <= 400_000; key++) {
    const before = moved();
    index.put(keyInto(hasher, key), key, 1, key, 100, 0);
    worst = Math.max(worst, moved() - before);
  }
  assert(worst > 0 && worst <= 3 * 512, `${worst} entries were moved in one put`);
  assert(moved() < 400_000 * 4, `${moved()} entries were moved in all`);
});

Deno.test("HashIndex.fromChunks() goes on where the bytes of chunks() were taken", () => {
  const count = 60_000;
  const index = filled(count);
  const hasher = new KeyHasher(SECRET);
  index.remove(keyInto(hasher, 7));
  index.putTombstone(keyInto(hasher, 8), count + 1);
  // Bytes of a file: no shared memory, not aligned.
  const image = index.chunks().map((chunk) => {
    const bytes = new Uint8Array(chunk.length + 3).subarray(3);
    bytes.set(chunk);
    return bytes;
  });
  const loaded = HashIndex.fromChunks(image);
  assert.equal(loaded.size, count - 2);
  assert.equal(loaded.memoryBytes, index.memoryBytes);
  for (let key = 0; key < count; key++) {
    assert.equal(loaded.find(keyInto(hasher, key)), key !== 7 && key !== 8, `key ${key}`);
    if (key === 7 || key === 8) continue;
    const { sequence, segment, offset, length, flags } = loaded;
    assert.deepEqual([sequence, segment, offset, length, flags], [key + 1, 1, key, 100, 3]);
  }
  assert.equal(
    loaded.put(keyInto(hasher, 8), count, 1, 1, 100, 0),
    false,
    "the tombstone is newer",
  );
  for (let key = count; key < 2 * count; key++) {
    loaded.put(keyInto(hasher, key), key + 1, 1, key, 100, 3);
  }
  for (let key = 9; key < 2 * count; key++) assert(loaded.find(keyInto(hasher, key)));
  assert.equal(loaded.size, 2 * count - 2);
  assert.equal(index.size, count - 2, "the memory is its own");
});

Deno.test("HashIndex.fromChunks() takes shared memory over without a copy", () => {
  const index = filled(1000);
  const loaded = HashIndex.fromChunks(index.chunks());
  const hasher = new KeyHasher(SECRET);
  loaded.put(keyInto(hasher, 5), 5000, 9, 9, 100, 0);
  assert(index.find(hasher));
  assert.equal(index.segment, 9);
});

Deno.test("HashIndex.fromChunks() refuses what is no index, or only a part of one", () => {
  const image = () => filled(5000).chunks().map((chunk) => new Uint8Array(chunk));
  const refuses = (why: string, change: (chunks: Uint8Array[]) => void) => {
    const chunks = image();
    change(chunks);
    assert.throws(() => HashIndex.fromChunks(chunks), RangeError, why);
  };
  HashIndex.fromChunks(image());
  refuses("nothing", (chunks) => chunks.length = 0);
  refuses("a magic number that is wrong", (chunks) => chunks[0]![0]! ^= 1);
  refuses("a layout that is newer", (chunks) => chunks[0]![4]!++);
  refuses("a chunk that is missing", (chunks) => chunks.pop());
  refuses("a chunk that is short", (chunks) => chunks.push(chunks.pop()!.slice(0, 4096)));
  refuses("a depth that is not the directory's", (chunks) => chunks[0]![8] = 19);
  refuses("more pages than the last chunk has", (chunks) => chunks[0]![24] = 200);
  refuses("a cell without pages", (chunks) => chunks[1]!.fill(0, 0, 4));
  refuses("a page beyond the end of its chunk", (chunks) => chunks[1]![4] = 200);
});

Deno.test("HashIndex keeps its misses cheap while keys come and go: filters are made anew", () => {
  const index = filled(20_000);
  const hasher = new KeyHasher(SECRET);
  const bytes = index.memoryBytes;
  for (let key = 20_000; key < 400_000; key++) {
    assert(index.remove(keyInto(hasher, key - 20_000)));
    index.put(keyInto(hasher, key), key + 1, 1, key, 100, 0);
  }
  assert.equal(index.size, 20_000);
  // Cells that were just below their limit may grow by chance; memory must not follow the churn.
  assert(index.memoryBytes <= bytes * 1.5, `${bytes} became ${index.memoryBytes}`);
  let passed = 0;
  for (let key = 500_000; key < 600_000; key++) {
    if (index.mayHave(keyInto(hasher, key))) passed++;
  }
  assert(passed > 0 && passed < 15_000, `${passed} of 100 000 missing keys passed the filters`);
});

import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { Store } from "../mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { FILE_HEADER_BYTES, logName, RangeChecksums, recordSpace } from "../wal/mod.ts";
import {
  failsWith,
  noise,
  type Place,
  placeOn,
  randomOf,
  readFile,
  text,
  writeFile,
} from "./_support.ts";

const DIR = "/store";
const LOG = `${DIR}/${logName(1)}`;

/** The files of a store that took `writes` and then lost its process; nothing of it is missing. */
async function killedStore(writes: (store: Store) => Promise<unknown>): Promise<MemFs> {
  const place = placeOn(new MemFs(), DIR);
  const store = await place.open();
  await writes(store);
  const fs = (place.fs as MemFs).crashClone({ keep: "all" });
  await store.close();
  return fs;
}

/** The files of a store that took `writes` and was closed. */
async function closedStore(writes: (store: Store) => Promise<unknown>): Promise<MemFs> {
  const fs = new MemFs();
  await using store = await placeOn(fs, DIR).open();
  await writes(store);
  await store.close();
  return fs;
}

/** A place with the same files, but this content in the log. */
function withLog(fs: MemFs, content: Uint8Array): Place {
  const copy = fs.crashClone({ keep: "all" });
  writeFile(copy, LOG, content);
  return placeOn(copy, DIR);
}

for (
  const [what, content] of [
    ["empty", new Uint8Array()],
    ["shorter than its header", noise(FILE_HEADER_BYTES - 1, 1)],
    ["all zeros", new Uint8Array(64 * 1024)],
    ["a torn header and zeros", noise(40, 2)],
  ] as const
) {
  Deno.test(`open() takes a log that is ${what} for one never begun`, async () => {
    const fs = await closedStore((store) => store.put("a", "1"));
    const place = withLog(fs, content);
    {
      await using store = await place.open();
      assert.equal(store.stats().keys, 0);
      await store.put("b", "2");
    }
    await using store = await place.open();
    assert.equal(await store.getText("b"), "2");
  });
}

Deno.test("open() refuses a log whose header is damaged and whose records are there", async () => {
  const fs = await closedStore((store) => store.put("a", "1"));
  const content = readFile(fs, LOG);
  for (let i = 0; i < FILE_HEADER_BYTES; i++) {
    const damaged = content.slice();
    damaged[i]! ^= 0x10;
    const error = await failsWith("CORRUPT", withLog(fs, damaged).open());
    assert.equal(error.path, LOG);
    assert.equal(error.offset, 0);
  }
});

Deno.test("open() after a cut at every byte of the last 64 KiB keeps an exact prefix", async () => {
  const valueBytes = 2048 - 24 - 8;
  const count = 34;
  const key = (i: number) => `key ${1000 + i}`;
  const space = recordSpace(key(0).length, valueBytes);
  const value = (i: number) => noise(valueBytes, i).fill(1 + i, valueBytes - 8);
  const fs = await (async () => {
    const place = placeOn(new MemFs(), DIR);
    await using store = await place.open({ slabBytes: 128 * 1024 });
    for (let i = 0; i < count; i++) await store.put(key(i), value(i));
    return (place.fs as MemFs).crashClone({ keep: "all" });
  })();
  const content = readFile(fs, LOG);
  const end = FILE_HEADER_BYTES + count * space;
  assert(end > 64 * 1024);
  for (let cut = end - 64 * 1024; cut < end; cut++) {
    const place = withLog(fs, content.subarray(0, cut));
    const whole = Math.floor((cut - FILE_HEADER_BYTES) / space);
    await using store = await place.open();
    const { keys, recovery } = store.stats();
    assert.equal(keys, whole, `cut at ${cut}`);
    // Without a cut there was none to make: what is left of the record is zeros.
    const end = FILE_HEADER_BYTES + whole * space;
    if (recovery.cut === undefined) assert(content.subarray(end, cut).every((byte) => byte === 0));
    else assert.equal(recovery.cut.offset, end);
    if (whole > 0) assert.deepEqual(store.getSync(key(whole - 1)), value(whole - 1));
  }
});

Deno.test("open() cuts garbage behind the records, says so, and goes on", async () => {
  const fs = await killedStore(async (store) => {
    for (let i = 0; i < 5; i++) await store.put(`k${i}`, noise(100, i));
  });
  const content = readFile(fs, LOG);
  const end = FILE_HEADER_BYTES + 5 * recordSpace(2, 100);
  for (const [at, length] of [[end, 1], [end, 20_000], [end + 8, 300], [content.length, 5000]]) {
    const size = Math.max(content.length, at! + length!);
    const garbled = new Uint8Array(size);
    garbled.set(content);
    garbled.set(noise(length!, 7).fill(0xa5, 0, 1), at);
    const place = withLog(fs, garbled);
    {
      await using store = await place.open();
      const { recovery, keys } = store.stats();
      assert.equal(keys, 5);
      assert(recovery.tornBytes > 0);
      assert.deepEqual(recovery.cut, { path: LOG, offset: end });
      await store.put("after", "x");
    }
    await using store = await place.open();
    assert.equal(store.stats().recovery.tornBytes, 0);
    assert.equal(store.stats().keys, 6);
    assert.equal(await store.getText("after"), "x");
  }
});

Deno.test("open() after any flipped bit in synced data: an error with file and offset", async () => {
  const records = [["a", 0], ["bb", 1], ["ccc", 40], ["dddd", 100]] as const;
  const fs = await closedStore(async (store) => {
    for (const [key, size] of records) await store.put(key, noise(size, size));
  });
  const content = readFile(fs, LOG);
  let start = FILE_HEADER_BYTES;
  for (const [key, size] of records) {
    const length = 24 + key.length + size;
    for (let i = start; i < start + length; i++) {
      for (const bit of [1, 0x80]) {
        const damaged = content.slice();
        damaged[i]! ^= bit;
        const error = await failsWith("CORRUPT", withLog(fs, damaged).open());
        assert.equal(error.path, LOG);
        assert.equal(error.offset, start, `flipped at ${i}`);
        assert(error.message.includes(LOG) && error.message.includes(String(start)));
      }
    }
    start += recordSpace(key.length, size);
  }
});

Deno.test("open() after a flipped bit in what was never synced: a torn end, cut", async () => {
  const fs = await killedStore(async (store) => {
    await store.put("a", "1");
    await store.put("b", "2");
  });
  const content = readFile(fs, LOG);
  content[FILE_HEADER_BYTES + recordSpace(1, 1) + 24]! ^= 1;
  await using store = await withLog(fs, content).open();
  assert.equal(await store.getText("a"), "1");
  assert.equal(await store.get("b"), undefined);
  assert.equal(store.stats().recovery.cut!.offset, FILE_HEADER_BYTES + recordSpace(1, 1));
});

Deno.test("a record of another log, or of this one before a cut, is never taken for valid", async () => {
  const first = await killedStore((store) => store.put("a", noise(64, 1)));
  const other = await killedStore(async (store) => {
    await store.put("a", noise(64, 2));
    await store.put("z", noise(64, 3));
  });
  const space = recordSpace(1, 64);
  const content = readFile(first, LOG);
  const from = FILE_HEADER_BYTES + space;
  content.set(readFile(other, LOG).subarray(from, from + space), from);
  await using store = await withLog(first, content).open();
  assert.deepEqual(await store.get("a"), noise(64, 1));
  assert.equal(await store.get("z"), undefined);
});

Deno.test("a batch cut anywhere is gone as a whole, and what came before it is there", async () => {
  const fs = await killedStore(async (store) => {
    await store.put("before", "x");
    await store.batch(
      [1, 2, 3].map((i) => ({ type: "put" as const, key: `k${i}`, value: noise(30, i) })),
    );
  });
  const content = readFile(fs, LOG);
  const start = FILE_HEADER_BYTES + recordSpace(6, 1);
  const end = start + 3 * recordSpace(2, 30);
  for (let cut = start; cut < end; cut++) {
    const place = withLog(fs, content.subarray(0, cut));
    await using store = await place.open();
    assert.equal(await store.getText("before"), "x");
    assert.equal(store.stats().keys, 1, `cut at ${cut}`);
  }
});

Deno.test("a length of 0xFFFFFFFF allocates nothing and is a torn end", async () => {
  const fs = await killedStore((store) => store.put("a", "1"));
  const content = readFile(fs, LOG);
  content.fill(
    0xff,
    FILE_HEADER_BYTES + recordSpace(1, 1),
    FILE_HEADER_BYTES + recordSpace(1, 1) + 4,
  );
  await using store = await withLog(fs, content).open();
  assert.equal(await store.getText("a"), "1");
});

Deno.test("RangeChecksums gives what crc32() gives, of any range and seed", () => {
  const content = noise(20_000, 3);
  const random = randomOf(4);
  const checksums = new RangeChecksums(content, 100);
  for (let i = 0; i < 500; i++) {
    const [start, end] = [100 + random() * 19_900, 100 + random() * 19_900]
      .map(Math.floor).toSorted((a, b) => a - b) as [number, number];
    const seed = Math.floor(random() * 2 ** 32);
    const expected = crc32(content.subarray(start, end), seed) | 0;
    assert.equal(checksums.checksum(start, end, seed), expected);
  }
});

Deno.test("a torn value full of what looks like records is a torn end", async () => {
  const size = 2_000_000;
  const value = new Uint8Array(size);
  const words = new Int32Array(value.buffer, 0, size >> 2);
  // The record is at 64, the value at 64 + 24 + 8, so that every candidate lies on a record's place.
  for (let at = 0; at + 24 < size; at += 24) {
    words.set([size - at - 24, 0x1234567, 4096 + at, 0, 128, 1 | (1 << 16)], at >> 2);
  }
  // In a batch of two, as it would be in a file of its own else.
  const fs = await killedStore((store) =>
    store.batch([{ type: "put", key: "12345678", value }, { type: "delete", key: "x" }])
  );
  const content = readFile(fs, LOG);
  content[content.length - 8000]! ^= 1;
  await using store = await withLog(fs, content).open();
  assert.equal(store.stats().keys, 0);
  assert(store.stats().recovery.tornBytes > size / 2);
});

Deno.test("open() refuses a log of another store, and a renamed one", async () => {
  const fs = await closedStore((store) => store.put("a", "1"));
  const other = await closedStore((store) => store.put("a", "2"));
  await failsWith("CORRUPT", withLog(fs, readFile(other, LOG)).open());
  const renamed = fs.crashClone({ keep: "all" });
  renamed.rename(LOG, `${DIR}/${logName(9)}`);
  await failsWith("CORRUPT", placeOn(renamed, DIR).open());
});

Deno.test("a log of a newer format is refused as such, and left alone", async () => {
  const fs = await closedStore((store) => store.put("a", "1"));
  const content = readFile(fs, LOG);
  new DataView(content.buffer).setUint32(8, 2, true);
  new DataView(content.buffer).setUint32(60, crc32(content.subarray(0, 60)), true);
  const place = withLog(fs, content);
  await failsWith("NEWER_FORMAT", place.open());
  assert.deepEqual(readFile(place.fs, LOG), content);
});

Deno.test("open() after a torn end syncs the cut before new records can follow it", async () => {
  const fs = await killedStore(async (store) => {
    await store.put("a", "1");
    await store.put("b", "2");
  });
  const content = readFile(fs, LOG);
  content[FILE_HEADER_BYTES + recordSpace(1, 1) + 24]! ^= 1;
  const place = withLog(fs, content);
  await using store = await place.open();
  const lost = (place.fs as MemFs).crashClone({ keep: "synced" });
  const image = readFile(lost, LOG);
  const markEnd = FILE_HEADER_BYTES + recordSpace(1, 1) + recordSpace(0, 0);
  assert(image.subarray(markEnd).every((byte) => byte === 0));
  assert.equal(text(store.getSync("a")), "1");
});

/** What a salvage knows of damaged logs: where they ended, what was a batch, which numbers were given. */
import assert from "node:assert/strict";
import type { SalvagedFile } from "../mod.ts";
import { type Fs, MemFs, syncDirectory } from "../vfs/mod.ts";
import { check, fill, flip, SALVAGE } from "./_salvage.ts";
import { bytes, collect, filesOf, noise, placeOn, readFile, writeFile } from "./_support.ts";

Deno.test("several damaged logs, of which newer ones say that they had an end", async () => {
  const place = placeOn(new MemFs(), "/store");
  const content = await fill(place);
  // Logs again, as a crash between footers and names leaves them.
  const names = filesOf(place, ".seg").filter((name) => !name.includes("-"));
  assert(names.length > 1);
  for (const name of names) {
    place.fs.rename(`/store/${name}`, `/store/${name.replace(".seg", ".log")}`);
  }
  syncDirectory(place.fs, "/store");
  const logs = filesOf(place, ".log");
  for (const log of logs) {
    const fs = (place.fs as MemFs).crashClone({ keep: "all" });
    cutInHalf(fs, `/store/${log}`);
    await using store = await placeOn(fs, "/store").open(SALVAGE);
    const { recovery } = store.stats();
    const missing = await check(store, content, recovery);
    if (log !== logs.at(-1)) assert(recovery.salvaged[0]!.message.includes("end"), log);
    assert(missing.length < 30);
  }
});

/** The second half is gone, and with it the seal. */
function cutInHalf(fs: Fs, path: string): void {
  const { length } = readFile(fs, path);
  using file = fs.openReadWrite(path);
  file.truncate(length >> 1);
  file.truncate(length);
}

for (const newer of ["a segment", "a log without a header"]) {
  Deno.test(`a log without its end is damaged if what is newer is ${newer}`, async () => {
    const place = placeOn(new MemFs(), "/store");
    const content = await fill(place);
    const [first, ...others] = filesOf(place, ".seg").filter((name) => !name.includes("-"));
    assert(others.length > 1);
    const log = `/store/${first!.replace(".seg", ".log")}`;
    place.fs.rename(`/store/${first}`, log);
    cutInHalf(place.fs, log);
    // Nothing else speaks of what is older.
    for (const name of filesOf(place, ".log")) {
      if (`/store/${name}` !== log) place.fs.remove(`/store/${name}`);
    }
    if (newer !== "a segment") {
      for (const name of others) place.fs.remove(`/store/${name}`);
      writeFile(place.fs, log.replace(/\d+\.log/, "0000000999.log"), noise(65_536, 1));
    }
    {
      await using store = await place.open(SALVAGE);
      const { salvaged } = store.stats().recovery;
      assert(salvaged[0]!.path === log && salvaged[0]!.message.includes("end"));
      assert.equal(salvaged.length, newer === "a segment" ? 1 : 2);
      for (const { key } of await collect(store.list())) {
        assert.deepEqual(await store.get(key), content.get(key as string));
      }
    }
    await using store = await place.open();
    assert.deepEqual((await store.verify()).problems, []);
  });
}

Deno.test("numbers of versions in files of which nothing can be read are not given again", async () => {
  const place = placeOn(new MemFs(), "/store");
  const versions: number[] = [];
  // Each session ends with a segment, and the next one skips numbers.
  for (let session = 0; session < 4; session++) {
    await using store = await place.open({ compaction: "manual" });
    for (let i = 0; i < 10; i++) versions.push(await store.put(`${session} ${i}`, noise(3000, i)));
  }
  const segments = filesOf(place, ".seg");
  assert.equal(segments.length, 4);
  for (const name of segments.slice(1)) {
    using file = place.fs.openReadWrite(`/store/${name}`);
    // All records; header and footer are whole.
    file.writeAt(new Uint8Array(30_000).fill(0xee), 64);
  }
  await using store = await place.open(SALVAGE);
  assert.equal(store.stats().recovery.salvaged.length, 3);
  assert.equal(store.stats().keys, 10);
  assert(await store.put("new", "1") > Math.max(...versions));
});

Deno.test("a copy of a record that is the value of a damaged one is no record", async () => {
  const place = placeOn(new MemFs(), "/store");
  let length = 0;
  {
    await using store = await place.open({ compaction: "manual" });
    await store.put("original", "12345678");
    const path = `/store/${filesOf(place, ".log")[0]}`;
    const at = indexOf(readFile(place.fs, path), bytes("original")) - 24;
    const record = readFile(place.fs, path).subarray(at, at + 40);
    // At a place at which a record can begin, as the key has 8 bytes.
    await store.put("carrier!", record);
    length = 24 + 8 + record.length;
    await store.put("last", "1");
  }
  const path = `/store/${filesOf(place, ".log")[0]}`;
  flip(place.fs, path, indexOf(readFile(place.fs, path), bytes("carrier!")));
  await using store = await place.open(SALVAGE);
  const [{ lostBytes, keptRecords }] = store.stats().recovery.salvaged as [SalvagedFile];
  assert.deepEqual([lostBytes, keptRecords], [length, 2]);
});

Deno.test("a batch that a damaged log has not to its end is not kept", async () => {
  const place = placeOn(new MemFs(), "/store");
  {
    await using store = await place.open({ compaction: "manual" });
    for (const key of ["first", "damaged", "last"]) await store.put(key, noise(100, 1));
    await store.batch(
      ["a", "b", "c"].map((key) => ({ type: "put", key: `batch ${key}`, value: "1" })),
    );
  }
  const path = `/store/${filesOf(place, ".log")[0]}`;
  const content = readFile(place.fs, path);
  flip(place.fs, path, indexOf(content, bytes("damaged")) + 20);
  {
    using file = place.fs.openReadWrite(path);
    const from = indexOf(content, bytes("batch c")) - 24;
    file.writeAt(new Uint8Array(content.length - from), from);
  }
  await using store = await place.open(SALVAGE);
  assert.equal(store.stats().recovery.salvaged.length, 1);
  assert.deepEqual((await collect(store.list())).map(({ key }) => key), ["first", "last"]);
});

function indexOf(content: Uint8Array, part: Uint8Array): number {
  return content.findIndex((_, i) => part.every((byte, j) => content[i + j] === byte));
}

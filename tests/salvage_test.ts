/** `onCorruption: "salvage"`: what is damaged is set aside, what can be read is kept, what is lost is told. */
import assert from "node:assert/strict";
import type { RecoveryReport } from "../mod.ts";
import { MemFs } from "../vfs/mod.ts";
import {
  alignRecord,
  batchContinues,
  FILE_HEADER_BYTES,
  recordLength,
  recordSyncedMark,
  SegmentImage,
} from "../wal/mod.ts";
import { check, fill, flip, SALVAGE } from "./_salvage.ts";
import {
  bytes,
  collect,
  failsWith,
  filesOf,
  noise,
  placeOn,
  randomOf,
  readFile,
  testStore,
  writeFile,
} from "./_support.ts";

testStore("a sound store is salvaged without a change", async (place) => {
  const content = await fill(place);
  const before = place.fs.list(place.dir);
  await using store = await place.open(SALVAGE);
  const { recovery } = store.stats();
  assert.deepEqual(recovery.salvaged, []);
  assert.deepEqual(await check(store, content, recovery), []);
  assert.deepEqual(
    place.fs.list(place.dir).filter((name) => name !== "INDEX"),
    before.filter((name) => name !== "INDEX"),
  );
});

testStore("a damaged record in a segment: its key is told, all others are there", async (place) => {
  const content = await fill(place);
  const [name] = filesOf(place, ".seg").filter((name) => !name.includes("-"));
  const path = `${place.dir}/${name}`;
  const damaged = readFile(place.fs, path);
  flip(place.fs, path, 10_000);
  {
    await using store = await place.open(SALVAGE);
    const { recovery } = store.stats();
    const missing = await check(store, content, recovery);
    const [file, ...others] = recovery.salvaged;
    assert.deepEqual(others, []);
    assert.deepEqual(file!.lostKeys, missing);
    assert.equal(missing.length, 1);
    assert.equal(file!.path, path);
    assert(file!.message.includes("checksum") && file!.keptRecords > 10 && file!.lostBytes > 3000);
    damaged[10_000]! ^= 0xff;
    assert.deepEqual(readFile(place.fs, file!.movedTo!), damaged);
    assert(place.fs.list(place.dir).includes(file!.replacement!.slice(place.dir.length + 1)));
    await store.put("new", "1");
    const told = await new Promise<RecoveryReport>((resolve) =>
      store.addEventListener("recovery", ({ report }) => resolve(report))
    );
    assert.equal(told, store.stats().recovery);
  }
  // It is a sound store, and stays one.
  await using store = await place.open();
  assert.equal(store.stats().recovery.salvaged.length, 0);
  assert.equal(await store.getText("new"), "1");
  await store.compact();
  assert.equal((await collect(store.list())).length, content.size);
  assert.deepEqual((await store.verify()).problems, []);
});

testStore(
  "a damaged log that was durable: what is before and behind the damage is kept",
  async (place) => {
    const content = await fill(place);
    const [name] = filesOf(place, ".log");
    flip(place.fs, `${place.dir}/${name}`, 4000);
    await failsWith("CORRUPT", place.open());
    {
      await using store = await place.open(SALVAGE);
      const { recovery } = store.stats();
      const missing = await check(store, content, recovery);
      assert.equal(missing.length, 1);
      assert(missing[0]!.startsWith("more "));
      assert.equal(recovery.salvaged[0]!.lostKeys, undefined);
      assert(recovery.salvaged[0]!.keptRecords >= 3);
      const version = await store.put("new", "1");
      for (const { version: older } of await collect(store.list({ prefix: "more" }))) {
        assert(
          older < version,
        );
      }
    }
    await using store = await place.open();
    assert.equal(await store.getText("new"), "1");
  },
);

testStore("large values: a damaged file is set aside, its key is gone and told", async (place) => {
  const content = await fill(place);
  const [name] = filesOf(place, ".blob");
  flip(place.fs, `${place.dir}/${name}`, 100_000);
  {
    await using store = await place.open(SALVAGE);
    const { recovery } = store.stats();
    assert.deepEqual(await check(store, content, recovery), ["large"]);
    assert.deepEqual(recovery.salvaged.map(({ lostKeys }) => lostKeys), [["large"]]);
    const { movedTo } = recovery.salvaged[0]!;
    assert.equal(place.fs.stat(movedTo!).size > 200_000, true);
  }
  await using store = await place.open();
  assert.equal(await store.has("large"), false);
  assert.equal(filesOf(place, ".blob.aside").length, 1);
});

Deno.test("the file of a large value whose record is lost is set aside, not removed", async () => {
  const place = placeOn(new MemFs(), "/store");
  const content = await fill(place);
  // The record is in the log, or in the newest segment.
  for (const name of [...filesOf(place, ".log"), ...filesOf(place, ".seg")]) {
    const path = `/store/${name}`;
    const at = indexOf(readFile(place.fs, path), bytes("large"));
    if (at === -1) continue;
    flip(place.fs, path, at + 6);
    break;
  }
  await using store = await place.open(SALVAGE);
  const { recovery } = store.stats();
  assert.deepEqual(await check(store, content, recovery), ["large"]);
  assert.equal(filesOf(place, ".blob.aside").length, 1);
});

function indexOf(content: Uint8Array, part: Uint8Array): number {
  return content.findIndex((_, i) => part.every((byte, j) => content[i + j] === byte));
}

Deno.test("a damaged STORE file is made anew from the files: most of them say whose they are", async () => {
  const place = placeOn(new MemFs(), "/store");
  const content = await fill(place);
  flip(place.fs, "/store/STORE", 20);
  const other = placeOn(place.fs, "/other");
  await fill(other);
  for (const [i, name] of filesOf(other, ".seg").slice(0, 2).entries()) {
    writeFile(place.fs, `/store/000000000${i}.seg`, readFile(place.fs, `/other/${name}`));
  }
  await failsWith("CORRUPT", place.open());
  await using store = await place.open(SALVAGE);
  const { recovery } = store.stats();
  assert.deepEqual(await check(store, content, recovery), []);
  assert.equal(recovery.salvaged[0]!.movedTo, "/store/STORE.aside");
  assert.equal(recovery.salvaged.length, 3);
});

Deno.test("a STORE file that is empty, or does not begin as one, is made anew if other files are of a store", async () => {
  for (const damage of [new Uint8Array(0), bytes("FLAGSTOP"), new Uint8Array(64)]) {
    const place = placeOn(new MemFs(), "/store");
    const content = await fill(place);
    writeFile(place.fs, "/store/STORE", damage);
    await failsWith("NOT_A_STORE", place.open());
    await using store = await place.open(SALVAGE);
    const { recovery } = store.stats();
    assert.deepEqual(await check(store, content, recovery), []);
    assert.deepEqual(recovery.salvaged.map(({ movedTo }) => movedTo), ["/store/STORE.aside"]);
    assert.deepEqual(readFile(place.fs, "/store/STORE.aside"), damage);
  }
});

Deno.test("a directory of somebody else's that has a file STORE is refused by a salvage, too", async () => {
  const { fs, open } = placeOn(new MemFs(), "/shop");
  fs.mkdirAll("/shop");
  for (const name of ["STORE", "prices", "0000000001.log", "0000000001.seg"]) {
    writeFile(fs, `/shop/${name}`, bytes(`not a store, but ${name}`));
  }
  await failsWith("NOT_A_STORE", open(SALVAGE));
  assert.deepEqual(
    fs.list("/shop").filter((name) => name !== "LOCK"),
    ["0000000001.log", "0000000001.seg", "STORE", "prices"],
  );
});

Deno.test("a STORE file made anew takes the image of the index along, whose hashes are of the old secret", async () => {
  const place = placeOn(new MemFs(), "/store");
  const content = await fill(place);
  {
    await using store = await place.open({ indexImageKeys: 0 });
    for (let i = 0; i < 40; i++) await store.put("filler", noise(10_000, i));
    content.delete("filler");
    await store.delete("filler");
  }
  assert(place.fs.list("/store").includes("INDEX"));
  flip(place.fs, "/store/STORE", 20);
  await using store = await place.open(SALVAGE);
  const { recovery } = store.stats();
  assert.deepEqual(await check(store, content, recovery), []);
  assert.equal(recovery.indexImage, "absent");
  assert.deepEqual((await store.verify()).problems, []);
});

Deno.test("files of other stores, and renamed ones, are set aside", async () => {
  const place = placeOn(new MemFs(), "/store");
  const content = await fill(place);
  const other = placeOn(place.fs, "/other");
  await fill(other);
  const [log] = filesOf(other, ".log");
  const [segment] = filesOf(other, ".seg").filter((name) => !name.includes("-"));
  writeFile(place.fs, "/store/0000000777.log", readFile(place.fs, `/other/${log}`));
  writeFile(place.fs, "/store/0000000666.seg", readFile(place.fs, `/other/${segment}`));
  const [own] = filesOf(place, ".seg").filter((name) => !name.includes("-"));
  writeFile(place.fs, "/store/0000000555.seg", readFile(place.fs, `/store/${own}`));
  await failsWith("CORRUPT", place.open());
  await using store = await place.open(SALVAGE);
  const { recovery } = store.stats();
  assert.deepEqual(await check(store, content, recovery), []);
  assert.equal(recovery.salvaged.length, 3);
});

/** Every kind of damage to `content`: a name, and what is left. */
function damages(content: Uint8Array<ArrayBuffer>, seed: number): [string, Uint8Array][] {
  const random = randomOf(seed);
  const { length } = content;
  const changed = (what: (copy: Uint8Array) => void) => {
    const copy = content.slice();
    what(copy);
    return copy;
  };
  const at = Math.floor(random() * length);
  return [
    ...[0, 8, 20, 30, 44, 60, 62, 64, 66, 80, at, length - 90, length - 60, length - 20, length - 1]
      .map((
        place,
      ): [string, Uint8Array] => [
        `a flipped byte at ${place}`,
        changed((copy) => copy[place]! ^= 0x55),
      ]),
    ["the header zeroed", changed((copy) => copy.fill(0, 0, 64))],
    ["a sector of zeros", changed((copy) => copy.fill(0, at, at + 512))],
    ["a sector of noise", changed((copy) => copy.set(noise(Math.min(512, length - at), seed), at))],
    ["everything noise", noise(length, seed)],
    ["cut in the middle", content.slice(0, length >> 1)],
    ["cut in the header", content.slice(0, 40)],
    ["cut by a byte", content.slice(0, length - 1)],
    ["empty", new Uint8Array(0)],
    ["longer", new Uint8Array([...content, ...noise(1000, seed)])],
    ["lengths of all ones", changed((copy) => copy.fill(0xff, at, at + 8))],
  ];
}

Deno.test("hostile files: whatever becomes of one, all others are whole, and the store is sound", async () => {
  const place = placeOn(new MemFs(), "/store");
  const content = await fill(place);
  const names = [".seg", ".log", ".blob"].flatMap((suffix) => filesOf(place, suffix));
  assert(names.length >= 4);
  let kept = 0;
  for (const [i, name] of names.entries()) {
    const path = `/store/${name}`;
    const original = readFile(place.fs, path);
    for (const [what, damaged] of damages(original, i)) {
      const fs = (place.fs as MemFs).crashClone({ keep: "all" });
      fs.remove(path);
      writeFile(fs, path, damaged);
      const where = `${name}: ${what}`;
      try {
        await using store = await placeOn(fs, "/store").open(SALVAGE);
        const { recovery } = store.stats();
        // A log without a header is one that was never begun, as a crash leaves it.
        const isNone = name.endsWith(".log") && damaged.length < 64;
        const tornBytes = isNone ? 1 : recovery.tornBytes;
        const missing = await check(store, content, { ...recovery, tornBytes });
        for (const { keptRecords } of recovery.salvaged) kept += keptRecords;
        for (const { path: found } of recovery.salvaged) {
          // A large value goes with its record.
          if (!found.endsWith(".blob")) assert.equal(found, path);
        }
        assert(missing.length < 30, `${missing.length} keys are missing`);
      } catch (cause) {
        throw new Error(where, { cause });
      }
      await using store = await placeOn(fs, "/store").open();
      assert.deepEqual((await store.verify()).problems, [], where);
    }
  }
  assert(kept > 500, `${kept}`);
});

Deno.test("salvage refuses a newer format, and touches nothing", async () => {
  const place = placeOn(new MemFs(), "/store");
  await fill(place);
  const [name] = filesOf(place, ".seg");
  const content = readFile(place.fs, `/store/${name}`);
  const view = new DataView(content.buffer);
  view.setUint32(8, 99, true);
  const { crc32 } = await import("node:zlib");
  view.setUint32(60, crc32(content.subarray(0, 60)), true);
  place.fs.remove(`/store/${name}`);
  writeFile(place.fs, `/store/${name}`, content);
  const before = place.fs.list("/store");
  await failsWith("NEWER_FORMAT", place.open(SALVAGE));
  assert.deepEqual(place.fs.list("/store"), before);
});

Deno.test("what is kept says nothing of marks and batches of the file that it was in", async () => {
  const place = placeOn(new MemFs(), "/store");
  {
    await using store = await place.open({ compaction: "manual" });
    for (let i = 0; i < 5; i++) await store.put(`synced ${i}`, "1");
    const operations = ["a", "b", "c"].map((key) => ({ type: "put" as const, key, value: "1" }));
    await store.batch(operations);
    await store.put("damaged", noise(100, 1));
    await store.put("behind", "1");
  }
  const [log] = filesOf(place, ".log");
  const damagedAt = indexOf(readFile(place.fs, `/store/${log}`), bytes("damaged"));
  flip(place.fs, `/store/${log}`, damagedAt + 20);
  await using store = await place.open(SALVAGE);
  const { replacement, keptRecords } = store.stats().recovery.salvaged[0]!;
  assert.equal(keptRecords, 9);
  const content = readFile(place.fs, replacement!);
  const image = new SegmentImage(new ArrayBuffer(alignRecord(content.length)));
  image.bytes.set(content);
  let at = FILE_HEADER_BYTES;
  for (let i = 0; i < keptRecords; i++, at += alignRecord(recordLength(image, at))) {
    assert.equal(recordSyncedMark(image, at), 0, `record ${i}`);
    assert.equal(batchContinues(image, at), false, `record ${i}`);
  }
});

for (const suffix of [".seg", ".log"]) {
  Deno.test(`an image of the index that knows of a damaged ${suffix} is of no use any more`, async () => {
    const place = placeOn(new MemFs(), "/store");
    const content = await fill(place);
    // An image that knows of all files, the log among them.
    {
      await using store = await place.open({ compaction: "manual", indexImageKeys: 0 });
      await store.put("one more", content.get("key 1")!);
      content.set("one more", content.get("key 1")!);
    }
    assert(place.fs.list("/store").includes("INDEX"));
    const [name] = filesOf(place, suffix);
    flip(place.fs, `/store/${name}`, 4000);
    await using store = await place.open(SALVAGE);
    const { recovery } = store.stats();
    assert.notEqual(recovery.indexImage, "loaded");
    assert.equal(recovery.salvaged.length, 1);
    assert.equal((await check(store, content, recovery)).length, 1);
  });
}

Deno.test("a large value of several parts is read to its end", async () => {
  const place = placeOn(new MemFs(), "/store");
  const [sound, damaged] = [new Uint8Array(5e6).fill(7), new Uint8Array(6e6).fill(8)];
  {
    await using store = await place.open();
    await store.put("sound", sound);
    await store.put("damaged", damaged);
  }
  const name = filesOf(place, ".blob").find((name) => place.fs.stat(`/store/${name}`).size > 55e5);
  flip(place.fs, `/store/${name}`, 5_900_000);
  await using store = await place.open(SALVAGE);
  assert.deepEqual(store.stats().recovery.salvaged.map(({ lostKeys }) => lostKeys), [["damaged"]]);
  assert.deepEqual(await store.get("sound"), sound);
});

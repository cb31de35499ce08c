import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { buildFooter, SegmentReader } from "../segment/mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { logName, readFileHeader, scanLog, SegmentImage, segmentName } from "../wal/mod.ts";
import { collect, placeOn, readFile, text, writeFile } from "./_support.ts";

const DIR = "/store";
const RECORDS_END = 0xb8;

/** The bytes of docs/FORMAT.md's worked example. */
function example(): Uint8Array<ArrayBuffer> {
  const page = Deno.readTextFileSync(new URL("../docs/FORMAT.md", import.meta.url));
  const bytes: number[] = [];
  for (const [, offset, hex] of page.matchAll(/^([0-9a-f]{4}) {2}((?:[0-9a-f]{2} ?)+)/gm)) {
    assert.equal(parseInt(offset!, 16), bytes.length);
    bytes.push(...hex!.trim().split(" ").map((byte) => parseInt(byte, 16)));
  }
  assert.equal(bytes.length, 0x13d);
  return Uint8Array.from(bytes);
}

/** A store's directory with the example's id, made by hand from the page's table. */
function storeWith(name: string, content: Uint8Array): MemFs {
  const fs = new MemFs();
  fs.mkdirAll(DIR);
  const store = new Uint8Array(64);
  store.set(new TextEncoder().encode("FLAGSTOR"));
  store[8] = 1;
  store[12] = 64;
  for (let i = 0; i < 16; i++) store[16 + i] = 0x10 + i;
  new DataView(store.buffer).setUint32(60, crc32(store.subarray(0, 60)), true);
  writeFile(fs, `${DIR}/STORE`, store);
  writeFile(fs, `${DIR}/${name}`, content);
  return fs;
}

for (
  const [what, name, content] of [
    ["a segment", segmentName(1), example()],
    ["a sealed log", logName(1), example().slice(0, RECORDS_END)],
    ["a log whose footer was cut short", logName(1), example().slice(0, RECORDS_END + 50)],
  ] as const
) {
  Deno.test(`the worked example of docs/FORMAT.md opens as ${what}`, async () => {
    const fs = storeWith(name, content);
    await using store = await placeOn(fs, DIR).open();
    assert.equal(text(await store.get("dog")), "woof!");
    assert.equal(await store.get("cat"), undefined);
    assert.deepEqual(await collect(store.list()), [{
      key: "dog",
      version: 0x60,
      size: 5,
      storedSize: 5,
    }]);
    assert.deepEqual((await store.verify()).problems, []);
    assert.deepEqual(readFile(fs, `${DIR}/${segmentName(1)}`), example());
  });
}

Deno.test("the worked example is what the code writes for its records", () => {
  const content = example();
  const verdict = readFileHeader(content, content.length, "example");
  assert(verdict.ok);
  const { header } = verdict;
  assert.deepEqual([header.segment, header.capacityBytes, header.baseSequence], [1, 65_536, 0]);
  const image = new SegmentImage(new ArrayBuffer(header.capacityBytes));
  image.bytes.set(content.subarray(0, RECORDS_END));
  const offsets: number[] = [];
  const scan = scanLog(image, header, "example", (offset) => offsets.push(offset));
  assert.deepEqual(offsets, [0x40, 0x60, 0x80]);
  assert.deepEqual([scan.end, scan.sealed, scan.records], [RECORDS_END, true, 4]);
  assert.deepEqual(buildFooter(image, scan.end, header.salt), content.slice(RECORDS_END));
});

Deno.test("the trailer of the worked example says what the page says", () => {
  const fs = storeWith(segmentName(1), example());
  using reader = SegmentReader.open(fs, `${DIR}/${segmentName(1)}`);
  assert.deepEqual(reader.summary, {
    recordsEnd: RECORDS_END,
    puts: 1,
    deletes: 1,
    liveBytes: 32,
    lastSequence: 0xa0,
  });
});

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  buildFooter,
  compareBytes,
  keyedRecords,
  newestInKeyOrder,
  sealSegment,
  SegmentReader,
} from "../segment/mod.ts";
import { MemFs } from "../vfs/mod.ts";
import {
  alignRecord,
  FILE_HEADER_BYTES,
  fillRecord,
  kindAndFlags,
  logName,
  publishRecord,
  RECORD_HEADER_BYTES,
  recordKeyBytes,
  RecordKind,
  recordSequence,
  recordSpace,
  SegmentImage,
  segmentName,
  writeFileHeader,
} from "../wal/mod.ts";
import { bytes, failsWith, randomOf, readFile, writeFile } from "./_support.ts";

interface Write {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

interface Image {
  readonly image: SegmentImage;
  readonly end: number;
  readonly salt: number;
}

/** The image of a segment with these writes, in this order. */
function imageOf(writes: readonly Write[]): Image {
  let size = FILE_HEADER_BYTES;
  for (const { key, value } of writes) size += recordSpace(key.length, value?.length ?? 0);
  const image = new SegmentImage(new ArrayBuffer(alignRecord(size)));
  const salt = writeFileHeader(image, {
    segment: 1,
    capacityBytes: image.bytes.length,
    storeId: new Uint8Array(16),
    baseSequence: 2 ** 40,
  });
  let offset = FILE_HEADER_BYTES;
  for (const { key, value } of writes) {
    const words = new Int32Array(new ArrayBuffer((key.length + 3) & ~3));
    new Uint8Array(words.buffer).set(key);
    const kind = kindAndFlags(value === undefined ? RecordKind.delete : RecordKind.put, 0);
    const sequence = 2 ** 40 + offset;
    const length = fillRecord(image, offset, kind, sequence, 0, words, key.length, value, salt);
    publishRecord(image, offset, length);
    offset += alignRecord(length);
  }
  return { image, end: offset, salt };
}

function keyAt(image: SegmentImage, offset: number): Uint8Array {
  const start = offset + RECORD_HEADER_BYTES;
  return image.bytes.slice(start, start + recordKeyBytes(image, offset));
}

/** The model: the newest write of each key, in key order, found the slow way. */
function newest(writes: readonly Write[]): Write[] {
  const byKey = new Map(writes.map((write) => [write.key.toHex(), write]));
  return [...byKey.values()].sort((a, b) => compareBytes(a.key, b.key));
}

const anyKey = fc.uint8Array({ minLength: 1, maxLength: 12 });
const similarKey = fc.tuple(fc.constantFrom("k:", "k:0000", "k:00000000"), fc.nat(60)).map(
  ([prefix, n]) => bytes(`${prefix}${n}`),
);
const anyWrites = fc.array(
  fc.record({
    key: fc.oneof(anyKey, similarKey),
    value: fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined }),
  }),
  { maxLength: 400, size: "max" },
);

Deno.test("newestInKeyOrder() sorts like a plain sort and keeps the newest of each key", () => {
  fc.assert(fc.property(anyWrites, (writes) => {
    const { image, end } = imageOf(writes);
    const sorted = newestInKeyOrder(image, keyedRecords(image, end));
    const expected = newest(writes);
    assert.deepEqual([...sorted].map((offset) => keyAt(image, offset)), expected.map((w) => w.key));
    const all = keyedRecords(image, end);
    for (const offset of sorted) {
      const rivals = [...all].filter((o) =>
        compareBytes(keyAt(image, o), keyAt(image, offset)) === 0
      );
      assert.equal(offset, rivals.at(-1));
    }
  }));
});

Deno.test("newestInKeyOrder() sorts many keys with a long common prefix", () => {
  const random = randomOf(5);
  const writes = Array.from({ length: 20_000 }, () => ({
    key: bytes(`users/2026/11/20/${Math.floor(random() * 15_000).toString(36)}`),
    value: undefined,
  }));
  const { image, end } = imageOf(writes);
  const sorted = newestInKeyOrder(image, keyedRecords(image, end));
  const keys = [...sorted].map((offset) => keyAt(image, offset));
  assert.deepEqual(keys, newest(writes).map(({ key }) => key));
});

Deno.test("a sealed segment gives back every key's newest record, in order", () => {
  fc.assert(fc.property(anyWrites, (writes) => {
    const { image, end, salt } = imageOf(writes);
    const fs = new MemFs();
    writeFile(fs, `/${logName(1)}`, image.bytes);
    sealSegment(fs, "/", 1, image, end, salt);
    assert.deepEqual(fs.list("/"), [segmentName(1)]);
    using reader = SegmentReader.open(fs, `/${segmentName(1)}`);
    const entries = reader.blocks.flatMap((block) => reader.readBlock(block));
    const expected = newest(writes);
    assert.deepEqual(entries.map(({ key }) => key), expected.map(({ key }) => key));
    for (const [i, entry] of entries.entries()) {
      assert.equal(entry.kind === RecordKind.put, expected[i]!.value !== undefined);
      assert.equal(entry.sequence, recordSequence(image, entry.offset));
      assert.equal(
        entry.length,
        RECORD_HEADER_BYTES + entry.key.length + (expected[i]!.value?.length ?? 0),
      );
    }
    const puts = expected.filter(({ value }) => value !== undefined);
    assert.equal(reader.summary.puts, puts.length);
    assert.equal(reader.summary.deletes, expected.length - puts.length);
    assert.equal(reader.summary.recordsEnd, end);
  }));
});

Deno.test("blocksBetween() leaves out only blocks without keys in the range", () => {
  const writes = Array.from({ length: 5000 }, (_, i) => ({
    key: bytes(`key ${10_000 + i}`),
    value: undefined,
  }));
  const { image, end, salt } = imageOf(writes);
  const fs = new MemFs();
  writeFile(fs, `/${logName(1)}`, image.bytes);
  sealSegment(fs, "/", 1, image, end, salt);
  using reader = SegmentReader.open(fs, `/${segmentName(1)}`);
  assert(reader.blocks.length > 5);
  const random = randomOf(3);
  for (let i = 0; i < 300; i++) {
    const [from, to] = [9_900 + random() * 5200, 9_900 + random() * 5200].toSorted();
    const start = i % 7 === 0 ? undefined : bytes(`key ${Math.floor(from!)}`);
    const stop = i % 5 === 0 ? undefined : bytes(`key ${Math.floor(to!)}`);
    const inRange = (key: Uint8Array) =>
      (start === undefined || compareBytes(key, start) >= 0) &&
      (stop === undefined || compareBytes(key, stop) < 0);
    const found = reader.blocksBetween(start, stop)
      .flatMap((block) => reader.readBlock(block))
      .filter(({ key }) => inRange(key));
    assert.equal(found.length, writes.filter(({ key }) => inRange(key)).length);
  }
});

Deno.test("a flipped bit anywhere in a footer is told, with the file and an offset", async () => {
  const writes = Array.from(
    { length: 40 },
    (_, i) => ({ key: bytes(`key ${i}`), value: bytes("v") }),
  );
  const { image, end, salt } = imageOf(writes);
  const fs = new MemFs();
  const path = `/${segmentName(1)}`;
  writeFile(fs, `/${logName(1)}`, image.bytes);
  sealSegment(fs, "/", 1, image, end, salt);
  const content = readFile(fs, path);
  for (let i = end; i < content.length; i++) {
    const damaged = content.slice();
    damaged[i]! ^= 4;
    writeFile(fs, path, damaged);
    const error = await failsWith("CORRUPT", () => {
      using reader = SegmentReader.open(fs, path);
      for (const block of reader.blocks) reader.readBlock(block);
    });
    assert.equal(error.path, path);
    assert(error.offset !== undefined);
  }
  for (const length of [0, 10, 63, 64, 100, content.length - 1]) {
    writeFile(fs, path, content.subarray(0, length));
    await failsWith("CORRUPT", () => SegmentReader.open(fs, path));
  }
});

Deno.test("buildFooter() of a segment without keys is a footer", () => {
  const { image, end, salt } = imageOf([]);
  assert(buildFooter(image, end, salt).length > 0);
});

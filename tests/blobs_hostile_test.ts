/** Damaged blob files: an error that names file and offset, for their own key only; open and verify say so. */
import assert from "node:assert/strict";
import { FlagstoneError, open, type Store } from "../mod.ts";
import { type Fs, MemFs } from "../vfs/mod.ts";
import { assertBytes } from "./_killed.ts";
import { failsWith, noise, placeOn, readFile, SMALL, testStore, writeFile } from "./_support.ts";

const DIR = "/store";
const PIECE = 256 * 1024;
/** Two pieces and a part of one. */
const LENGTH = 2 * PIECE + 777;
const HEADER = 64;
const TABLE = HEADER + LENGTH;
const TRAILER = TABLE + 3 * 4;
const FILE = TRAILER + 32;

/** A closed store with a large value under "k", and another one under "other". */
async function prepared(): Promise<{ fs: MemFs; path: string; content: Uint8Array<ArrayBuffer> }> {
  const fs = new MemFs();
  await using store = await placeOn(fs, DIR).open();
  await store.put("k", noise(LENGTH, 1));
  const [name] = fs.list(DIR).filter((name) => name.endsWith(".blob"));
  await store.put("other", noise(LENGTH, 2));
  await store.put("small", "1");
  const path = `${DIR}/${name}`;
  const content = readFile(fs, path);
  assert.equal(content.length, FILE);
  return { fs, path, content };
}

/** Asserts that "k", and nothing else, cannot be read, at `offset` of its file. */
async function assertDamaged(store: Store, path: string, offset: number): Promise<void> {
  const stream = () => new Response(store.stream("k") as ReadableStream<Uint8Array<ArrayBuffer>>);
  const reads = [() => store.get("k"), () => store.getSync("k"), () => stream().bytes()];
  for (const read of reads) {
    const error = await failsWith("CORRUPT", read);
    assert.equal(error.path, path);
    assert.equal(error.offset, offset, error.message);
  }
  assertBytes(await store.get("other"), noise(LENGTH, 2), "other");
  assert.equal(await store.getText("small"), "1");
  const { problems } = await store.verify();
  assert.deepEqual(problems.map((problem) => [problem.path, problem.offset]), [[path, offset]]);
}

async function openOn(fs: Fs): Promise<Store> {
  return await open(DIR, { ...SMALL, fs });
}

/** Where a turned bit at `at` is told to be: at the beginning of what its checksum covers. */
function toldAt(at: number): number {
  if (at < HEADER) return 0;
  if (at < TABLE) return HEADER + Math.floor((at - HEADER) / PIECE) * PIECE;
  return at < TRAILER ? TABLE : TRAILER;
}

Deno.test("a bit that is turned anywhere in a blob file is found, and told where", async () => {
  const { fs, path, content } = await prepared();
  await using store = await openOn(fs);
  const everywhere = [
    ...Array.from({ length: HEADER }, (_, at) => at),
    ...[0, 1, 100, PIECE - 1, PIECE, 2 * PIECE - 1, 2 * PIECE, LENGTH - 1].map((at) => HEADER + at),
    ...Array.from({ length: FILE - TABLE }, (_, i) => TABLE + i),
  ];
  for (const at of everywhere) {
    const damaged = content.slice();
    damaged[at]! ^= 1 << (at % 8);
    writeFile(fs, path, damaged);
    // Another handle reads the new file: this store has not read the old one yet.
    const error = await failsWith(
      "CORRUPT",
      new Response(
        store.stream("k") as ReadableStream<Uint8Array<ArrayBuffer>>,
      ).bytes(),
    );
    assert.deepEqual([error.path, error.offset], [path, toldAt(at)], `a bit at ${at}`);
  }
});

for (const at of [5, HEADER + PIECE + 9, TABLE + 5, TRAILER + 9]) {
  Deno.test(`a bit turned at ${at} of a blob file: only its key cannot be read`, async () => {
    const { fs, path, content } = await prepared();
    content[at]! ^= 4;
    writeFile(fs, path, content);
    await using store = await openOn(fs);
    await assertDamaged(store, path, toldAt(at));
    // The rest of the value can be had.
    if (at < HEADER || at >= TABLE) return;
    const part = store.stream("k", { offset: 2 * PIECE }) as ReadableStream<
      Uint8Array<ArrayBuffer>
    >;
    assertBytes(
      await new Response(part).bytes(),
      noise(LENGTH, 1).subarray(2 * PIECE),
      "what is behind the damage",
    );
    // The key can be written, and the damaged file goes.
    await store.put("k", "new");
    await store.flush();
    assert.equal(store.stats().blobFiles, 1);
  });
}

for (const length of [0, 1, HEADER - 1, HEADER, HEADER + PIECE, TABLE, TRAILER, FILE - 1]) {
  Deno.test(`a blob file cut to ${length} bytes is told by open and verify`, async () => {
    const { fs, path, content } = await prepared();
    writeFile(fs, path, content.subarray(0, length));
    await using store = await openOn(fs);
    const { files, problems, swept } = store.stats().recovery.blobs;
    assert.deepEqual({ files, swept }, { files: 2, swept: 0 });
    assert.deepEqual(problems.map((one) => [one.path, one.offset]), [[path, length]]);
    await assertDamaged(store, path, length < HEADER ? 0 : length);
  });
}

Deno.test("a blob file that has grown is told by open and verify", async () => {
  const { fs, path, content } = await prepared();
  writeFile(fs, path, new Uint8Array([...content, 0]));
  await using store = await openOn(fs);
  assert.equal(store.stats().recovery.blobs.problems.length, 1);
  await assertDamaged(store, path, FILE);
});

Deno.test("a blob file that is missing is told by open and verify", async () => {
  const { fs, path } = await prepared();
  fs.remove(path);
  await using store = await openOn(fs);
  const { problems } = store.stats().recovery.blobs;
  assert.deepEqual(problems.map((problem) => [problem.path, problem.offset]), [[path, 0]]);
  assert.match(problems[0]!.message, /missing/);
  await assertDamaged(store, path, 0);
  assert.equal(await store.delete("k"), true);
});

Deno.test("all blob files missing: every key says so, none is swept away", async () => {
  const { fs } = await prepared();
  for (const name of fs.list(DIR)) if (name.endsWith(".blob")) fs.remove(`${DIR}/${name}`);
  await using store = await openOn(fs);
  assert.equal(store.stats().recovery.blobs.problems.length, 2);
  for (const key of ["k", "other"]) await failsWith("CORRUPT", store.get(key));
  assert.equal((await store.verify()).problems.length, 2);
});

Deno.test("a blob file of another store, or of another value of this one, is not taken for the right one", async () => {
  const other = await prepared();
  const { fs, path } = await prepared();
  writeFile(fs, path, other.content);
  {
    await using store = await openOn(fs);
    await assertDamaged(store, path, 16);
  }
  const [, second] = fs.list(DIR).filter((name) => name.endsWith(".blob"));
  writeFile(fs, path, readFile(fs, `${DIR}/${second}`));
  await using store = await openOn(fs);
  await assertDamaged(store, path, 0);
});

Deno.test("a blob file of a newer format is told as such", async () => {
  const { fs, path, content } = await prepared();
  const { crc32 } = await import("node:zlib");
  const view = new DataView(content.buffer);
  view.setUint32(8, 2, true);
  view.setUint32(60, crc32(content.subarray(0, 60)), true);
  writeFile(fs, path, content);
  await using store = await openOn(fs);
  await failsWith("NEWER_FORMAT", store.get("k"));
});

Deno.test("where a record of a large value is damaged, no blob file is swept", async () => {
  const fs = new MemFs();
  {
    await using store = await placeOn(fs, DIR).open();
    await store.put("k", noise(LENGTH, 1));
    for (let i = 0; i < 4; i++) await store.put("filler", noise(30_000, i));
  }
  const [segment] = fs.list(DIR).filter((name) => name.endsWith(".seg"));
  const content = readFile(fs, `${DIR}/${segment}`);
  // The first record: header of the file, header of the record, key, number of the blob file.
  content[64 + 24 + 1]! ^= 1;
  writeFile(fs, `${DIR}/${segment}`, content);
  await using store = await openOn(fs);
  const { problems, swept } = store.stats().recovery.blobs;
  assert.equal(swept, 0);
  assert.deepEqual(problems.map(({ path, offset }) => [path, offset]), [[`${DIR}/${segment}`, 64]]);
  assert.equal(fs.list(DIR).filter((name) => name.endsWith(".blob")).length, 1);
  await failsWith("CORRUPT", store.get("k"));
});

testStore(
  "a blob file that is damaged while the store is open: reads fail, writes go on",
  async (place) => {
    await using store = await place.open();
    await store.put("k", noise(LENGTH, 1));
    const [name] = place.fs.list(place.dir).filter((name) => name.endsWith(".blob"));
    const path = `${place.dir}/${name}`;
    {
      using file = place.fs.openReadWrite(path);
      file.writeAt(new Uint8Array([1, 2, 3]), HEADER + PIECE + 50);
    }
    await assert.rejects(
      store.get("k"),
      (error) => error instanceof FlagstoneError && error.offset === HEADER + PIECE,
    );
    await store.put("k", noise(LENGTH, 3));
    assertBytes(await store.get("k"), noise(LENGTH, 3), "k");
  },
);

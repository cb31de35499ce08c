import assert from "node:assert/strict";
import { open, type OpenOptions, type Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { CrashFs, type Fs, MemFs } from "../vfs/mod.ts";
import { checkHistory, type HistoryEvent, runWorkload } from "./_history.ts";
import {
  collect,
  filesOf,
  inTempDir,
  noise,
  type Place,
  placeOn,
  randomOf,
  readFile,
  SMALL,
  testStore,
  text,
  writeFile,
} from "./_support.ts";

const DIR = "/parent/store";
/** An image at every close that has anything new to say. */
const ALWAYS: OpenOptions = { ...SMALL, indexImageKeys: 0 };

/** Some 400 KiB, so six segments; returns what is to be found. */
async function fill(store: Store, round: number): Promise<Map<string, Uint8Array>> {
  const expected = new Map<string, Uint8Array>();
  for (let i = 0; i < 200; i++) {
    const value = noise(2000 + i, round * 1000 + i);
    expected.set(`key:${i}`, value);
    await store.put(`key:${i}`, value, { durability: "written" });
  }
  return expected;
}

async function assertHolds(store: Store, expected: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const listed = await collect(store.list());
  assert.deepEqual(listed.map(({ key }) => key), [...expected.keys()].sort());
  assert.equal(store.stats().keys, expected.size);
  for (const [key, value] of expected) assert.deepEqual(await store.get(key), value, key);
  assert.equal(await store.get("key:missing"), undefined);
}

/** A copy of the store's directory, as an unclean end would leave it if everything written were kept. */
function copyOf(place: Place): Place {
  const fs = new MemFs();
  fs.mkdirAll(place.dir);
  for (const name of place.fs.list(place.dir)) {
    writeFile(fs, `${place.dir}/${name}`, readFile(place.fs, `${place.dir}/${name}`));
  }
  return placeOn(fs, place.dir);
}

testStore("open() after a clean close reads no footer, and finds everything", async (place) => {
  let expected: Map<string, Uint8Array>;
  {
    await using store = await place.open(ALWAYS);
    expected = await fill(store, 1);
    await store.delete("key:7");
    expected.delete("key:7");
  }
  for (let round = 0; round < 2; round++) {
    await using store = await place.open(ALWAYS);
    const { indexImage, segments } = store.stats().recovery;
    assert.deepEqual([indexImage, segments], ["loaded", 0]);
    await assertHolds(store, expected);
    assert.deepEqual((await store.verify()).problems, []);
  }
});

testStore("open() puts what came after the image on top of it", async (place) => {
  {
    await using store = await place.open(ALWAYS);
    await fill(store, 1);
  }
  const never = {
    ...SMALL,
    compaction: "manual" as const,
    indexImageKeys: Number.MAX_SAFE_INTEGER,
  };
  const store = await place.open(never);
  const expected = await fill(store, 2);
  await store.put("key:new", "new");
  expected.set("key:new", new TextEncoder().encode("new"));
  for (const key of ["key:0", "key:100", "key:199"]) {
    await store.delete(key);
    expected.delete(key);
  }
  await store.flush();
  const killed = copyOf(place);
  await store.close();
  for (const left of [place, killed]) {
    await using reopened = await left.open(never);
    const { indexImage, segments } = reopened.stats().recovery;
    assert.equal(indexImage, "loaded");
    assert(segments + reopened.stats().recovery.logs > 0);
    await assertHolds(reopened, expected);
  }
});

testStore("versions go on growing where the index came from its image", async (place) => {
  let last = 0;
  for (let round = 0; round < 4; round++) {
    await using store = await place.open(ALWAYS);
    await fill(store, round);
    const first = await store.put("key:version", "x");
    assert(first > last, `${first} after ${last}`);
    last = await store.put("key:version", "y");
  }
});

Deno.test("close() leaves no image where it would spare the next open little", async () => {
  const place = placeOn(new MemFs(), DIR);
  {
    await using store = await place.open(); // the default: 20,000 keys
    await fill(store, 1);
  }
  assert.deepEqual(filesOf(place, "INDEX"), []);
  {
    await using store = await place.open(ALWAYS);
    assert.equal(store.stats().recovery.indexImage, "absent");
  }
  const image = readFile(place.fs, `${DIR}/INDEX`);
  {
    await using store = await place.open(ALWAYS);
    await store.put("one", "more");
  }
  assert.deepEqual(
    readFile(place.fs, `${DIR}/INDEX`),
    image,
    "one record in the log is not worth it",
  );
});

Deno.test("an image that is damaged anywhere, or cut, is not used", async () => {
  const place = placeOn(new MemFs(), DIR);
  let expected: Map<string, Uint8Array>;
  {
    await using store = await place.open(ALWAYS);
    expected = await fill(store, 1);
  }
  const image = readFile(place.fs, `${DIR}/INDEX`);
  const random = randomOf(5);
  const places = [0, 8, 12, 16, 32, 40, 48, 56, 60, 64, image.length - 1];
  for (let i = 0; i < 20; i++) places.push(Math.floor(random() * image.length));
  for (const at of places) {
    const damaged = image.slice();
    damaged[at]! ^= 1 << (at % 8);
    writeFile(place.fs, `${DIR}/INDEX`, damaged);
    await using store = await copyOf(place).open(SMALL);
    assert.equal(store.stats().recovery.indexImage, "unusable", `byte ${at}`);
    await assertHolds(store, expected);
  }
  for (const length of [0, 10, 64, 100, image.length - 1, image.length + 1]) {
    const cut = new Uint8Array(length);
    cut.set(image.subarray(0, length));
    writeFile(place.fs, `${DIR}/INDEX`, cut);
    await using store = await copyOf(place).open(SMALL);
    assert.equal(store.stats().recovery.indexImage, "unusable", `${length} bytes`);
    await assertHolds(store, expected);
  }
});

Deno.test("an image of another state of the directory is not used", async () => {
  const place = placeOn(new MemFs(), DIR);
  {
    await using store = await place.open(ALWAYS);
    await fill(store, 1);
  }
  const opened = async (changed: Place) => {
    await using store = await changed.open(SMALL);
    return store.stats().recovery.indexImage;
  };
  assert.equal(await opened(copyOf(place)), "loaded");

  const missing = copyOf(place);
  missing.fs.remove(`${DIR}/${filesOf(place, ".seg")[1]}`);
  assert.equal(await opened(missing), "unusable", "a segment is gone");

  // The same history, but another store: same numbers, same lengths.
  const other = placeOn(new MemFs(), DIR);
  {
    await using store = await other.open(ALWAYS);
    await fill(store, 1);
  }
  writeFile(other.fs, `${DIR}/INDEX`, readFile(place.fs, `${DIR}/INDEX`));
  assert.equal(await opened(other), "unusable", "of another store");
});

Deno.test("an image of a copy that went its own way is not used", async () => {
  const [a, b] = [placeOn(new MemFs(), DIR), placeOn(new MemFs(), DIR)];
  {
    await using store = await a.open(SMALL);
    await store.put("first", "x");
  }
  b.fs.mkdirAll(DIR);
  for (const name of a.fs.list(DIR)) {
    writeFile(b.fs, `${DIR}/${name}`, readFile(a.fs, `${DIR}/${name}`));
  }
  for (const [place, round] of [[a, 1], [b, 2]] as const) {
    await using store = await place.open(ALWAYS);
    await fill(store, round);
  }
  assert.deepEqual(filesOf(a, ".seg"), filesOf(b, ".seg"), "the same numbers");
  writeFile(b.fs, `${DIR}/INDEX`, readFile(a.fs, `${DIR}/INDEX`));
  await using store = await b.open(SMALL);
  assert.equal(store.stats().recovery.indexImage, "unusable");
  assert.deepEqual(await store.get("key:0"), noise(2000, 2000));
});

Deno.test("an image that knows more of the log than is left of it is not used", async () => {
  const place = placeOn(new MemFs(), DIR);
  {
    await using store = await place.open(ALWAYS);
    await fill(store, 1);
    // The beginning of a log is not sealed by a close.
    const { rotations } = store.stats();
    while (store.stats().rotations === rotations) await store.put("filler", noise(2000, 1));
    await store.put("tail:1", "kept");
    await store.put("tail:2", "damaged");
  }
  const known = readFile(place.fs, `${DIR}/INDEX`);
  const [log] = filesOf(place, ".log");
  const content = readFile(place.fs, `${DIR}/${log}`);
  // The records behind the damage go too, or the log would be known to be corrupt.
  const at = content.findLastIndex((_, i) => text(content.subarray(i, i + 6)) === "tail:2");
  content.fill(0, at);
  writeFile(place.fs, `${DIR}/${log}`, content);
  for (let round = 0; round < 2; round++) {
    await using store = await place.open({ ...SMALL, indexImageKeys: 1_000_000 });
    const { indexImage } = store.stats().recovery;
    assert.equal(indexImage, round === 0 ? "unusable" : "absent");
    assert.equal(await store.has("tail:2"), false);
    assert.equal(await store.getText("tail:1"), "kept");
    assert.equal(store.stats().keys, 202);
  }
  // Nor when the log has grown again beyond what the image knows, nor when that is sealed.
  for (const sealed of [false, true]) {
    if (sealed) {
      await using store = await place.open(SMALL);
      await fill(store, 2);
    }
    const image = copyOf(place);
    writeFile(image.fs, `${DIR}/INDEX`, known);
    await using store = await image.open({ ...SMALL, indexImageKeys: 1_000_000 });
    assert.equal(store.stats().recovery.indexImage, "unusable");
    assert.equal(await store.has("tail:2"), false);
    assert.equal(store.stats().keys, 202);
  }
});

Deno.test("close() succeeds where the image cannot be written, and leaves nothing of it", async () => {
  const fs = new CrashFs();
  const place = placeOn(fs, DIR);
  const store = await place.open(ALWAYS);
  const expected = await fill(store, 1);
  fs.mkdirAll(`${DIR}/INDEX`); // a directory in its way: the rename fails
  await store.close();
  assert.deepEqual(filesOf(place, ".atomic-tmp"), []);
  await using reopened = await place.open(SMALL);
  assert.equal(reopened.stats().recovery.indexImage, "unusable");
  await assertHolds(reopened, expected);
});

/** A history of closes, each of which leaves an image, and of ends without a close. */
async function openAndClose(
  fs: Fs,
  seed: number,
  record: (event: HistoryEvent) => void,
): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await using store = await open(DIR, { ...ALWAYS, fs });
    await runWorkload(store, seed + round, 16, record, round * 100 + 1);
  }
}

const withImage = { loaded: 0, unusable: 0, absent: 0 };

/** Opens what is left, with its image and without: both must say the same, and what was promised. */
async function checkBothWays(fs: Fs, events: readonly HistoryEvent[]): Promise<void> {
  const without = (fs as CrashFs).crashClone({ seed: 1, keepData: 1, keepNames: 1 });
  without.removeAll(`${DIR}/INDEX`);
  const told: unknown[] = [];
  for (const one of [fs, without]) {
    for (let round = 0; round < 2; round++) {
      await using store = await open(DIR, { ...ALWAYS, fs: one });
      if (one === fs) withImage[store.stats().recovery.indexImage]++;
      await checkHistory(store, events);
      if (round === 0) told.push(await collect(store.list()), store.stats().keys);
      await store.put("after", noise(20_000, 1));
    }
  }
  assert.deepEqual(told.slice(0, 2), told.slice(2), "with and without the image");
}

for (const seed of [11, 12]) {
  Deno.test(`a crash at any moment leaves an image that is right or not used, seed ${seed}`, async () => {
    const report = await testCrashes<HistoryEvent>({
      run: (fs, promise) => openAndClose(fs, seed, promise),
      check: checkBothWays,
    }, { statesPerMoment: 5, seed: seed * 1000 });
    assert(report.moments > 60, `${report.moments} moments`);
    assert(withImage.loaded > 100, JSON.stringify(withImage));
  });
}

Deno.test("a store of 30,000 keys leaves an image by itself", async () => {
  await inTempDir(async (root) => {
    const dir = `${root}/store`;
    {
      await using store = await open(dir, { slabBytes: 1024 * 1024, durability: "memory" });
      for (let i = 0; i < 30_000; i++) void store.put(`key:${i}`, "x");
    }
    await using store = await open(dir);
    assert.equal(store.stats().recovery.indexImage, "loaded");
    assert.equal(store.stats().keys, 30_000);
    assert.equal(await store.getText("key:29999"), "x");
  });
});

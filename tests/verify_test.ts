import assert from "node:assert/strict";
import { HashIndex } from "../index/mod.ts";
import { FlagstoneError, type VerifyProgress } from "../mod.ts";
import { ArgumentError } from "../errors/mod.ts";
import { type Fs, MemFs } from "../vfs/mod.ts";
import { failsWith, filesOf, noise, type Place, placeOn, readFile, testStore } from "./_support.ts";

/** A store with segments, compacted ones, a log, large values, deletes and values that expire. */
async function fill(place: Place): Promise<void> {
  await using store = await place.open({ compression: "zstd", compaction: "manual" });
  for (let i = 0; i < 150; i++) {
    await store.put(`key ${i}`, noise(3000, i), { durability: "written" });
  }
  for (let i = 0; i < 150; i += 2) await store.delete(`key ${i}`, { durability: "written" });
  await store.compact();
  await store.put("large", noise(300_000, 1));
  await store.put("text", "x".repeat(5000));
  await store.put("for a day", "1", { expireIn: 86_400_000 });
  for (let i = 0; i < 40; i++) {
    await store.put(`more ${i}`, noise(3000, i), { durability: "written" });
  }
  await store.put("key 1", "newer");
}

/** The content of every file of the directory. */
function contents(fs: Fs, dir: string): Map<string, Uint8Array> {
  return new Map(fs.list(dir).map((name) => [name, readFile(fs, `${dir}/${name}`)]));
}

/** Changes one byte of a file. */
function flip(fs: Fs, path: string, offset: number): void {
  const content = readFile(fs, path);
  const at = offset < 0 ? content.length + offset : offset;
  using file = fs.openReadWrite(path);
  file.writeAt(Uint8Array.of(content[at]! ^ 0xff), at);
}

testStore(
  "verify() of a sound store finds nothing, tells how far it is, changes nothing",
  async (place) => {
    await fill(place);
    await using store = await place.open({ compaction: "manual" });
    await store.flush();
    const before = contents(place.fs, place.dir);
    assert([...before.keys()].some((name) => name.includes("-")), "no compacted segment");
    const told: VerifyProgress[] = [];
    const report = await store.verify({ onProgress: (progress) => told.push(progress) });
    assert.deepEqual(report.problems, []);
    assert.deepEqual(contents(place.fs, place.dir), before);
    const names = [...before.keys()].filter((name) => /\.(seg|log|blob)$/.test(name));
    assert(report.files >= names.length - 1 && report.files <= names.length, `${report.files}`);
    assert.equal(report.indexEntries, store.stats().keys);
    assert(report.records > 150);
    const last = told.at(-1)!;
    assert.equal(last.files, report.files);
    assert.equal(last.problems, 0);
    assert(told.length >= report.files);
    assert.deepEqual(
      told.map(({ bytes }) => bytes),
      told.map(({ bytes }) => bytes).sort((a, b) => a - b),
    );
    for (const { bytes, totalBytes } of told) assert(bytes <= totalBytes);
    assert(last.bytes > 0.9 * last.totalBytes, `${last.bytes} of ${last.totalBytes}`);
  },
);

testStore("verify() ends with its signal, and with what onProgress throws", async (place) => {
  await fill(place);
  const store = await place.open();
  const control = new AbortController();
  let steps = 0;
  const aborted = store.verify(
    {
      signal: control.signal,
      onProgress: () => ++steps === 3 && control.abort(),
    } as Parameters<typeof store.verify>[0],
  );
  await failsWith("ABORTED", aborted);
  assert.equal(steps, 3);
  await failsWith("ABORTED", store.verify({ signal: AbortSignal.abort() }));
  const thrown = new FlagstoneError("IO", "of the user's");
  const ended = store.verify({
    onProgress: () => {
      throw thrown;
    },
  });
  await assert.rejects(ended, (error) => error === thrown);
  assert.deepEqual((await store.verify()).problems, []);
  for (const wrong of [{ signal: 1 }, { onProgress: 1 }, { other: 1 }, 7]) {
    await assert.rejects(store.verify(wrong as never), ArgumentError);
  }
  const late = store.verify().catch((error) => assert.equal(error.code, "CLOSED"));
  await store.close();
  await late;
  await failsWith("CLOSED", store.verify());
});

testStore("verify() beside writes, deletes and compactions finds nothing", async (place) => {
  await fill(place);
  await using store = await place.open();
  let verified = false;
  const writing = (async () => {
    for (let i = 0; !verified || i < 100; i++) {
      await store.put(`key ${i % 150}`, noise(2000, i), { durability: "written" });
      if (i % 3 === 0) await store.delete(`more ${i % 40}`, { durability: "written" });
      if (i % 50 === 49) await store.compact();
    }
  })();
  for (let i = 0; i < 5; i++) assert.deepEqual((await store.verify()).problems, []);
  verified = true;
  await writing;
});

Deno.test("verify() tells of a flipped byte in every file, with its place", async () => {
  const place = placeOn(new MemFs(), "/store");
  await fill(place);
  const fs = place.fs as MemFs;
  for (const suffix of [".seg", ".log", ".blob"]) {
    for (const name of filesOf(place, suffix)) {
      const { length } = readFile(fs, `/store/${name}`);
      for (const at of suffix === ".log" ? [90] : [90, Math.floor(length / 3), length - 20]) {
        const copy = fs.crashClone({ keep: "all" });
        const where = `${name} at ${at}`;
        const store = await placeOn(copy, "/store").open({ compaction: "manual" });
        try {
          flip(copy, `/store/${name}`, at);
          const { problems } = await store.verify();
          assert(problems.length > 0, where);
          for (const { path } of problems) assert.equal(path, `/store/${name}`, where);
          assert(problems.every(({ offset }) => offset <= length), where);
        } finally {
          await store.close();
        }
      }
    }
  }
});

Deno.test("verify() tells of a missing file of a large value", async () => {
  const place = placeOn(new MemFs(), "/store");
  await fill(place);
  await using store = await place.open();
  const [name] = filesOf(place, ".blob");
  place.fs.remove(`/store/${name}`);
  const { problems } = await store.verify();
  assert.deepEqual(problems.map(({ path }) => path), [`/store/${name}`]);
});

Deno.test("verify() tells of entries of the index that are not those of records", async () => {
  type Put = Parameters<HashIndex["put"]>;
  const puts: { index: HashIndex; args: Put }[] = [];
  const { put } = HashIndex.prototype;
  HashIndex.prototype.put = function (hash, ...rest) {
    const { h1, h2, h3 } = hash;
    puts.push({ index: this, args: [{ ...hash, h1, h2, h3 }, ...rest] });
    return put.call(this, hash, ...rest);
  };
  try {
    const damages: [string, (args: Put) => Put][] = [
      [
        "another offset",
        (
          [hash, sequence, segment, offset, ...rest],
        ) => [hash, sequence, segment, offset + 8, ...rest],
      ],
      [
        "another segment",
        ([hash, sequence, segment, ...rest]) => [hash, sequence, segment + 1, ...rest],
      ],
      [
        "a segment that is not there",
        ([hash, sequence, _, ...rest]) => [hash, sequence, 999, ...rest],
      ],
      ["a version that never was", ([hash, sequence, ...rest]) => [hash, sequence + 8, ...rest]],
      ["another key", ([hash, ...rest]) => [{ ...hash, h1: hash.h1 ^ 1 }, ...rest]],
    ];
    for (const [what, damage] of damages) {
      for (const which of ["sealed", "active"]) {
        puts.length = 0;
        const store = await placeOn(new MemFs(), "/store").open();
        for (let i = 0; i < 60; i++) await store.put(`key ${i}`, noise(3000, i));
        assert.deepEqual((await store.verify()).problems, []);
        const { index, args } = puts[which === "sealed" ? 5 : 59]!;
        put.apply(index, damage(args));
        const { problems } = await store.verify();
        assert(problems.length > 0, `${what} of a ${which} segment`);
        await store.close();
      }
    }
  } finally {
    HashIndex.prototype.put = put;
  }
});

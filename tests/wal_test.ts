import assert from "node:assert/strict";
import { ArgumentError, type Codec, Wal } from "../log/wal_mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { logName } from "../wal/mod.ts";
import { failsWith, noise, settled } from "./_support.ts";
import { contentOf, openOn, openWal, testWal } from "./_wal_support.ts";

testWal(
  "append() gives ascending LSNs; iteration and a reopened log have the records",
  async (place) => {
    const expected: [number, Uint8Array][] = [];
    {
      await using wal = await openWal(place);
      assert(wal.isEmpty);
      assert.equal(wal.head, wal.end);
      for (let i = 0; i < 120; i++) {
        const bytes = noise((i * 131) % 3000, i);
        expected.push([
          await wal.append(bytes, { durability: i % 3 ? "memory" : "written" }),
          bytes,
        ]);
      }
      assert(expected.every(([lsn], i) => i === 0 || lsn > expected[i - 1]![0]));
      assert.deepEqual(contentOf(wal.iterate()), expected);
      assert(!wal.isEmpty);
      assert(wal.stats().segments > 2);
    }
    await using wal = await openWal(place);
    assert.deepEqual(contentOf(wal.iterate()), expected);
    const lsn = await wal.appendAndSync(noise(10, 1));
    assert(lsn > expected.at(-1)![0]);
    assert(wal.durable > lsn);
    assert.deepEqual(contentOf(wal.iterateFrom(lsn)), [[lsn, noise(10, 1)]]);
  },
);

testWal("iterateFrom() begins at any record, and refuses what is none", async (place) => {
  await using wal = await openWal(place);
  const lsns: number[] = [];
  for (let i = 0; i < 90; i++) lsns.push(await wal.append(noise(2000, i)));
  await wal.sync();
  for (const i of [0, 1, 31, 32, 60, 89]) {
    assert.deepEqual([...wal.iterateFrom(lsns[i]!)].map(({ lsn }) => lsn), lsns.slice(i));
  }
  assert.deepEqual([...wal.iterateFrom(wal.end)], []);
  for (const wrong of [lsns[4]! + 8, 0, wal.end + 8]) {
    assert.throws(() => wal.iterateFrom(wrong).next(), ArgumentError);
  }
});

testWal(
  "an iteration has what was there when it began; truncateBefore() leaves that alone",
  async (place) => {
    await using wal = await openWal(place);
    const lsns: number[] = [];
    for (let i = 0; i < 90; i++) lsns.push(await wal.append(noise(2000, i)));
    await wal.sync();
    const records = wal.iterate();
    assert.equal(records.next().value!.lsn, lsns[0]);
    await wal.append(noise(1, 1));
    assert.equal(await wal.truncateBefore(lsns[80]!), lsns[0], "its segments are being read");
    assert.deepEqual([...records].map(({ lsn }) => lsn), lsns.slice(1));
    const head = await wal.truncateBefore(lsns[80]!);
    assert(head > lsns[0]! && head <= lsns[80]!);
    for (const { lsn } of wal.iterate()) {
      assert(lsn >= head);
      break;
    }
  },
);

testWal(
  "truncateBefore() drops whole segments and never a record above, also when reopened",
  async (place) => {
    const lsns: number[] = [];
    let head = 0;
    {
      await using wal = await openWal(place);
      for (let i = 0; i < 120; i++) lsns.push(await wal.append(noise(2000, i)));
      await wal.sync();
      while (wal.head === lsns[0]) head = await wal.truncateBefore(lsns[70]!);
      assert.equal(wal.head, head);
      const left = [...wal.iterate()].map(({ lsn }) => lsn);
      assert.deepEqual(left, lsns.slice(-left.length));
      assert(left[0]! <= lsns[70]! && left[0]! > lsns[0]!);
      assert.equal(await wal.truncateBefore(0), head, "the head only moves up");
    }
    await using wal = await openWal(place);
    assert.equal(wal.head, head);
    assert.equal([...wal.iterate()][0]!.lsn >= head, true);
  },
);

testWal(
  "truncateAfter() keeps the record and nothing after it; no LSN is given twice",
  async (place) => {
    const lsns: number[] = [];
    let next = 0;
    {
      await using wal = await openWal(place);
      for (let i = 0; i < 120; i++) lsns.push(await wal.append(noise(2000, i)));
      await assert.rejects(wal.truncateAfter(lsns[3]! + 8), ArgumentError);
      await wal.truncateAfter(lsns[50]!);
      assert.deepEqual([...wal.iterate()].map(({ lsn }) => lsn), lsns.slice(0, 51));
      next = await wal.append(noise(3, 3));
      assert(next > lsns.at(-1)!);
    }
    await using wal = await openWal(place);
    assert.deepEqual([...wal.iterate()].map(({ lsn }) => lsn), [...lsns.slice(0, 51), next]);
  },
);

testWal("typed records go through the codec", async (place) => {
  const codec: Codec<{ id: number }> = {
    encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
  };
  await using wal = await openWal(place, { codec });
  await wal.append({ id: 1 });
  await wal.appendBatch([{ id: 2 }, { id: 3 }]);
  assert.deepEqual([...wal.iterate()].map(({ value }) => value), [{ id: 1 }, { id: 2 }, { id: 3 }]);
});

testWal("a record far larger than a segment is appended, read, reopened", async (place) => {
  const sizes = [10, 200_000, 0, 70_000, 65_000, 5];
  {
    await using wal = await openWal(place);
    for (const [i, size] of sizes.entries()) await wal.append(noise(size, i));
    assert.deepEqual([...wal.iterate()].map(({ bytes }) => bytes.length), sizes);
  }
  await using wal = await openWal(place);
  assert.deepEqual(contentOf(wal.iterate()).map(([, bytes]) => bytes), sizes.map(noise));
});

testWal("wrong arguments are refused before anything changes", async (place) => {
  await using wal = await openWal(place, { maxRecordBytes: 100 });
  const { end } = wal;
  const no = (work: Promise<unknown>) => assert.rejects(work, ArgumentError);
  await no(wal.append("text" as never));
  await no(wal.append(new Uint8Array(1), { durability: "no" as never }));
  await no(wal.append(new Uint8Array(1), { typo: 1 } as never));
  await no(wal.appendBatch("no" as never));
  await no(wal.truncateBefore(-1));
  await no(wal.truncateAfter(1.5));
  await no(wal.sync(-1));
  await no(wal.sync(wal.end));
  assert.throws(() => wal.iterate({ onCorruption: "hide" as never }), ArgumentError);
  assert.throws(() => wal.iterate({ from: NaN }), ArgumentError);
  await failsWith("TOO_LARGE", wal.append(new Uint8Array(101)));
  await failsWith("TOO_LARGE", wal.appendBatch([new Uint8Array(90), new Uint8Array(90)]));
  assert.equal(wal.end, end);
  await no(Wal.open("", {}));
  for (
    const options of [
      { segmentBytes: 0 },
      { slabs: 1 },
      { maxRecordBytes: 0 },
      { codec: {} },
      {
        syncIntervalMs: -1,
      },
      { fs: 1 },
      { create: "yes" },
      { typo: 1 },
    ]
  ) await no(Wal.open(place.dir, options as never));
});

testWal("close() twice, and calls after it", async (place) => {
  const wal = await openWal(place);
  const pending = wal.append(noise(10, 1), { durability: "synced" });
  await Promise.all([wal.close(), wal.close(), pending]);
  await failsWith("CLOSED", wal.append(noise(1, 1)));
  await failsWith("CLOSED", wal.sync());
  await failsWith("CLOSED", () => wal.iterate());
  await using again = await openWal(place);
  assert.equal([...again.iterate()].length, 1);
});

testWal("many writers at once share syncs, and each has its own LSN", async (place) => {
  await using wal = await openWal(place);
  const lsns = await Promise.all(Array.from({ length: 256 }, async (_, i) => {
    const own: number[] = [];
    for (let k = 0; k < 4; k++) own.push(await wal.appendAndSync(noise(200, i * 4 + k)));
    return own;
  }));
  const all = lsns.flat();
  assert.equal(new Set(all).size, 1024);
  assert.deepEqual([...wal.iterate()].map(({ lsn }) => lsn), all.toSorted((a, b) => a - b));
  assert(wal.stats().logSyncs < 200, `${wal.stats().logSyncs} syncs`);
});

Deno.test("W16: appends of one turn go out in few writes, into a file of full length", async () => {
  const fs = new MemFs();
  await using wal = await openOn(fs);
  const appends = Array.from({ length: 100 }, (_, i) => wal.append(noise(100, i)));
  await wal.sync();
  await Promise.all(appends);
  assert(wal.stats().logWrites <= 2, `${wal.stats().logWrites} writes`);
  assert.equal(fs.stat(`/wal/${logName(1)}`).size, 64 * 1024);
});

Deno.test("syncIntervalMs makes durable what nobody waits for", async () => {
  const fs = new MemFs();
  await using wal = await openOn(fs, { syncIntervalMs: 1 });
  const synced = new Promise<void>((resolve) => {
    fs.onSync = (_path, kind, when) => {
      if (when === "after" && kind === "syncData") resolve();
    };
  });
  const lsn = await wal.append(noise(100, 1));
  await settled(synced);
  const lost = fs.crashClone({ keep: "synced" });
  fs.onSync = undefined;
  await using after = await openOn(lost);
  assert.deepEqual([...after.iterate()].map((record) => record.lsn), [lsn]);
});

/** The bugs of the log that this one takes after, by their numbers: none of them may exist here. */
import assert from "node:assert/strict";
import { ArgumentError, Wal } from "../log/wal_mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { FaultFs, type Fs, MemFs } from "../vfs/mod.ts";
import {
  Control,
  FILE_HEADER_BYTES,
  logName,
  recordSpace,
  SegmentImage,
  SharedWriter,
  Word,
} from "../wal/mod.ts";
import { failsWith, inTempDir, noise, readFile, writeFile } from "./_support.ts";
import { contentOf, openOn } from "./_wal_support.ts";

const log = (segment: number) => `/wal/${logName(segment)}`;

/** A closed log with `count` records of `bytes`. */
async function closedLog(count: number, bytes: number): Promise<{ fs: MemFs; lsns: number[] }> {
  const fs = new MemFs();
  const wal = await openOn(fs);
  const lsns: number[] = [];
  for (let i = 0; i < count; i++) lsns.push(await wal.appendAndSync(noise(bytes, i)));
  await wal.close();
  return { fs, lsns };
}

/** All that a log in `fs` has. */
async function reopened(fs: Fs): Promise<[number, Uint8Array][]> {
  await using wal = await openOn(fs);
  return contentOf(wal.iterate());
}

Deno.test("W1: a crash at any moment of truncateBefore() loses no record that it keeps", async () => {
  interface Event {
    readonly kept: readonly number[];
  }
  await testCrashes<Event>({
    async run(fs, promise) {
      await using wal = await openOn(fs);
      const lsns: number[] = [];
      for (let i = 0; i < 100; i++) lsns.push(await wal.append(noise(2500, i)));
      await wal.sync();
      for (const i of [40, 80]) {
        promise({ kept: lsns.slice(i) });
        await wal.truncateBefore(lsns[i]!);
      }
    },
    async check(fs, events) {
      const found = new Set((await reopened(fs)).map(([lsn]) => lsn));
      const kept = events.at(-1)?.kept ?? [];
      assert(kept.every((lsn) => found.has(lsn)), `${found.size} records for ${kept.length}`);
    },
  }, { statesPerMoment: 6 });
});

Deno.test("W2: damage to a durable record is an error with its place, at open and in iteration; nothing is cut", async () => {
  const { fs, lsns } = await closedLog(60, 2000);
  // In the newest log, which open reads, and in an older one, which it does not.
  for (const segment of [1, 2]) {
    const damaged = fs.crashClone({ keep: "all" });
    const content = readFile(damaged, log(segment));
    const offset = FILE_HEADER_BYTES + recordSpace(0, 2000);
    content[offset + 500]! ^= 4;
    writeFile(damaged, log(segment), content);
    const error = await failsWith("CORRUPT", reopened(damaged));
    assert.equal(error.path, log(segment));
    assert.equal(error.offset, offset);
    assert.deepEqual(readFile(damaged, log(segment)), content);
  }
  assert.equal((await reopened(fs)).length, lsns.length);
});

Deno.test("W3: records longer than today's maxRecordBytes stay", async () => {
  const { fs, lsns } = await closedLog(5, 3000);
  await using wal = await openOn(fs, { maxRecordBytes: 10 });
  assert.deepEqual([...wal.iterate()].map(({ lsn }) => lsn), lsns);
  await failsWith("TOO_LARGE", wal.append(noise(11, 1)));
});

Deno.test("W4, W7, W8: power loss at any moment keeps what sync() covered, from many writers across segments", async () => {
  await testCrashes<[number, number]>({
    async run(fs, promise) {
      await using wal = await openOn(fs);
      await Promise.all([0, 1, 2, 3].map(async (writer) => {
        for (let i = 0; i < 12; i++) {
          const seed = writer * 100 + i;
          const lsn = await wal.append(noise(4000, seed), {
            durability: i % 4 === 3 ? "synced" : "memory",
          });
          if (i % 4 === 1) await wal.sync(lsn);
          if (i % 4 === 1 || i % 4 === 3) promise([lsn, seed]);
        }
      }));
    },
    async check(fs, promised) {
      const found = new Map(await reopened(fs));
      for (const [lsn, seed] of promised) assert.deepEqual(found.get(lsn), noise(4000, seed));
    },
  }, { statesPerMoment: 5 });
});

Deno.test("W5: bytes beyond a cut never come back, however the log grows over them", async () => {
  const torn = await unmarked(20, 100);
  const space = recordSpace(0, 100);
  // The eleventh record is torn; nine whole, valid ones lie beyond it. No mark reaches them.
  const content = readFile(torn, log(1));
  content[FILE_HEADER_BYTES + 10 * space + 30]! ^= 1;
  writeFile(torn, log(1), content);
  {
    await using wal = await openOn(torn);
    assert.equal([...wal.iterate()].length, 10);
    assert.equal(wal.stats().recovery.cut?.path, log(1));
    await wal.appendAndSync(noise(100, 77));
  }
  const lost = torn.crashClone({ keep: "synced" });
  const all = await reopened(lost);
  const expected = [...Array(10).keys(), 77].map((i) => noise(100, i));
  assert.deepEqual(all.map(([, bytes]) => bytes), expected);
});

/** A log whose records were written and never synced, as a killed process leaves it. */
async function unmarked(count: number, bytes: number): Promise<MemFs> {
  const fs = new MemFs();
  const wal = await openOn(fs);
  for (let i = 0; i < count; i++) await wal.append(noise(bytes, i), { durability: "written" });
  const killed = fs.crashClone({ keep: "all" });
  await wal.close();
  return killed;
}

Deno.test("W6: what a killed process had only written is durable once the log is open", async () => {
  const killed = await unmarked(20, 2000);
  const bare = new MemFs();
  bare.mkdirAll("/wal");
  for (const name of killed.list("/wal")) {
    using file = bare.create(`/wal/${name}`);
    file.writeAt(readFile(killed, `/wal/${name}`), 0);
    if (!name.endsWith(".log")) file.sync();
  }
  bare.openDir("/").sync();
  bare.openDir("/wal").sync();
  await using wal = await openOn(bare);
  await wal.sync();
  const lost = bare.crashClone({ keep: "synced" });
  assert.equal((await reopened(lost)).length, 20);
});

for (const operation of ["syncData", "writeAt"] as const) {
  Deno.test(`W9, W10: after a failed ${operation} nothing is accepted any more, and nothing retried`, async () => {
    const fs = new FaultFs(new MemFs());
    const wal = await openOn(fs);
    await wal.appendAndSync(noise(10, 1));
    fs.arm({ on: operation, path: /\.log$/, fault: { kind: "error", code: "IO" }, times: 1 });
    await failsWith("WRITE_FAILED", wal.appendAndSync(noise(10, 2)));
    await failsWith("WRITE_FAILED", wal.sync());
    await failsWith("WRITE_FAILED", wal.append(noise(10, 3)));
    await failsWith("WRITE_FAILED", wal.appendAndSync(noise(10, 4)));
    assert.equal([...wal.iterate()][0]!.bytes.length, 10);
    await failsWith("WRITE_FAILED", wal.close());
    await using again = await openOn(fs);
    assert.deepEqual([...again.iterate()][0]!.bytes, noise(10, 1));
  });
}

Deno.test("W12: sync(lsn) does not wait for what came later", async () => {
  await inTempDir(async (dir) => {
    await using wal = await Wal.open(`${dir}/wal`);
    const lsn = await wal.append(noise(10, 1));
    const handle = await wal.share();
    // A later record of another thread stays unfinished until after the sync.
    const control = new Control(handle.control);
    const other = SharedWriter.register(control)!;
    const slot = Atomics.load(control.words, Word.activeSlot);
    const image = new SegmentImage(handle.slabs[slot]!);
    assert(other.aim(slot, image, 48));
    other.take();
    await wal.sync(lsn);
    assert(wal.durable > lsn);
  });
});

Deno.test("W13: an iteration that skips damage does not trust a damaged length", async () => {
  const { fs, lsns } = await closedLog(60, 2000);
  for (const bad of [0xff, 0x10, 0]) {
    const damaged = fs.crashClone({ keep: "all" });
    const content = readFile(damaged, log(1));
    const offset = FILE_HEADER_BYTES + 3 * recordSpace(0, 2000);
    content.fill(bad, offset, offset + 3);
    writeFile(damaged, log(1), content);
    await using wal = await openOn(damaged);
    assert.throws(() => [...wal.iterate()], { code: "CORRUPT", offset });
    const skipped = [...wal.iterate({ onCorruption: "skip" })].map(({ lsn }) => lsn);
    assert.deepEqual(skipped, lsns.toSpliced(3, 1));
    const stopped = [...wal.iterate({ onCorruption: "stop" })].map(({ lsn }) => lsn);
    assert.deepEqual(stopped, lsns.slice(0, 3));
  }
});

Deno.test("W14: a segment size of 0 is refused; another one than the log was made with is fine", async () => {
  await assert.rejects(Wal.open("/wal", { fs: new MemFs(), segmentBytes: 0 }), ArgumentError);
  const { fs, lsns } = await closedLog(60, 2000);
  for (const segmentBytes of [128 * 1024, 68 * 1024, 1024 * 1024]) {
    await using wal = await openOn(fs, { segmentBytes });
    assert.deepEqual([...wal.iterate()].map(({ lsn }) => lsn), lsns);
    for (let i = 0; i < 40; i++) lsns.push(await wal.append(noise(2000, i)));
  }
  assert.deepEqual((await reopened(fs)).map(([lsn]) => lsn), lsns);
});

Deno.test("W15: a second owner gets LOCKED", async () => {
  const fs = new MemFs();
  await using _wal = await openOn(fs);
  await failsWith("LOCKED", openOn(fs));
});

Deno.test("W17: a missing or short segment in the middle is an error that names it", async () => {
  const { fs, lsns } = await closedLog(120, 2000);
  assert(fs.list("/wal").includes(logName(4)), `${lsns.length} records in several segments`);
  const missing = fs.crashClone({ keep: "all" });
  missing.remove(log(2));
  assert.equal((await failsWith("CORRUPT", reopened(missing))).path, log(2));
  const content = readFile(fs, log(2));
  for (const bytes of [0, 40, 5000, content.length - 24]) {
    const short = fs.crashClone({ keep: "all" });
    writeFile(short, log(2), content.subarray(0, bytes));
    assert.equal((await failsWith("CORRUPT", reopened(short))).path, log(2), `${bytes} bytes`);
  }
});

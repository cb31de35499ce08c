import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { open } from "../mod.ts";
import { FaultFs, MemFs } from "../vfs/mod.ts";
import { beginLog, finishLog, loadLog } from "../wal/load_log.ts";
import {
  finishScan,
  logName,
  type LogReading,
  readFileHeader,
  scanInSteps,
  scanLog,
  SegmentImage,
} from "../wal/mod.ts";
import { noise, randomOf, readFile, SMALL } from "./_support.ts";
import { contentOf, openOn } from "./_wal_support.ts";

const MIB = 1024 * 1024;

Deno.test("a log is loaded byte for byte, wherever its zeros are, and where they begin is known", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed);
    const content = new Uint8Array(8 * Math.floor(random() * 5 * MIB / 8) + (seed % 3));
    for (let i = 0; i < 3; i++) {
      const at = Math.floor(random() * random() * content.length);
      const bytes = noise(Math.floor(random() * 5000), seed).map((byte) => byte | 1);
      content.set(bytes.subarray(0, content.length - at), at);
    }
    const fs = new MemFs();
    using file = fs.create("/wal");
    file.writeAt(content, 0);
    // Shorter, of the right length, and longer than the log should be.
    const capacity = Math.max(8, 8 * Math.round(content.length / 8) + [-8, 0, MIB][seed % 3]!);
    const { image, dataEnd } = loadLog(file, content.length, capacity);
    const expected = new Uint8Array(capacity);
    expected.set(content.subarray(0, capacity));
    assert.equal(image.bytes.length, capacity);
    assert(Buffer.from(image.bytes).equals(expected), `seed ${seed}`);
    const end = expected.findLastIndex((byte) => byte !== 0) + 1;
    assert(dataEnd >= end && dataEnd < end + 4, `seed ${seed}: ${dataEnd}, not ${end}`);
  }
});

Deno.test("records of nothing but zeros, and what follows them, are replayed", async () => {
  const fs = new MemFs();
  const records = [new Uint8Array(2.5 * MIB), noise(100, 1), new Uint8Array(3 * MIB), noise(9, 2)];
  const options = { segmentBytes: 8 * MIB };
  const killed = await openOn(fs, options);
  for (const record of records) await killed.appendAndSync(record);
  const left = fs.crashClone({ keep: "all" });
  await killed.close();
  await using wal = await openOn(left, options);
  assert.equal(wal.stats().recovery.replayedSegments, 1);
  assert.deepEqual(contentOf(wal.iterate()).map(([, bytes]) => bytes), records);
});

Deno.test("a log that was begun to be read is the same as one read in one go", async () => {
  const sizes = [[], [100], [MIB - 200, 100], [2 * MIB], [100, 3 * MIB, 100], [5.5 * MIB]];
  for (const [seed, lengths] of sizes.entries()) {
    const fs = new MemFs();
    const killed = await openOn(fs, { segmentBytes: 8 * MIB });
    // Blank pieces among the others, too.
    for (const [i, length] of lengths.entries()) {
      await killed.appendAndSync(length > 2 * MIB ? new Uint8Array(length) : noise(length, i));
    }
    const left = fs.crashClone({ keep: "all" });
    await killed.close();
    const [name] = left.list("/wal").filter((name) => name.endsWith(".log")).sort();
    if (name === undefined) continue;
    const segment = Number(name.slice(0, -4));
    using file = left.open(`/wal/${name}`);
    const { size } = file.stat();
    const early: number[] = [];
    const visitor = {
      record: (_image: SegmentImage, _segment: number, offset: number) => void early.push(offset),
      goesOn: () => true,
    };
    const begun = await beginLog(left, "/wal", segment, visitor);
    assert(begun !== undefined && begun.reading.loaded > 0 && begun.reading.loaded <= size, name);
    const whole = loadLog(file, size, begun.image.bytes.length);
    const continued = loadLog(file, size, begun.image.bytes.length, begun);
    assert.equal(continued.image, begun.image);
    assert(Buffer.from(continued.image.bytes).equals(whole.image.bytes), `case ${seed}`);
    assert.equal(continued.dataEnd, whole.dataEnd, `case ${seed}`);
    const offsets: number[] = [];
    const visit = (offset: number) => void offsets.push(offset);
    const scan = scanLog(whole.image, begun.header, name, visit, whole.dataEnd);
    assert.deepEqual(finishLog(begun, continued.dataEnd), scan);
    assert.deepEqual(early, offsets, `case ${seed}`);
  }
});

Deno.test("a scan of a log in steps, wherever they end, tells the same as in one", async () => {
  const fs = new MemFs();
  const store = await open("/store", { ...SMALL, fs });
  for (let i = 0; i < 20; i++) await store.put(`key:${i}`, noise(i * 40, i));
  await store.batch([{ type: "put", key: "a", value: "x" }, { type: "delete", key: "key:1" }]);
  const left = fs.crashClone({ keep: "all" });
  await store.close();
  const bytes = readFile(left, `/store/${logName(1)}`);
  const image = new SegmentImage(bytes.buffer);
  const verdict = readFileHeader(bytes, bytes.length, "log");
  assert(verdict.ok);
  const told = (cut: number | undefined) => {
    const offsets: number[] = [];
    const visit = (offset: number) => {
      assert(cut === undefined || reading.dataEnd !== undefined || offset < cut);
      offsets.push(offset);
    };
    const reading: LogReading = { loaded: cut ?? 0, dataEnd: undefined };
    const steps = scanInSteps(image, verdict.header, "log", visit, reading);
    assert.equal(steps.next().done, false);
    const early = offsets.length;
    reading.dataEnd = bytes.length;
    return { offsets, early, scan: finishScan(steps) };
  };
  const whole = told(undefined);
  assert.equal(whole.offsets.length, 22);
  let before = 0;
  for (let cut = 0; cut < whole.scan.end + 100; cut += 1 + (cut % 7)) {
    const { offsets, early, scan } = told(cut);
    assert.deepEqual({ offsets, scan }, { offsets: whole.offsets, scan: whole.scan }, `cut ${cut}`);
    assert(early >= before, `cut ${cut}`);
    before = early;
  }
  assert.equal(before, 22);
});

Deno.test("a log of more records than are kept on their way to the index is replayed", async () => {
  const fs = new MemFs();
  const options = { fs, slabBytes: 64 * MIB };
  const store = await open("/store", options);
  const keys = 300_000;
  for (let i = 0; i < 1_100_000; i++) {
    const put = store.put(`${i % keys}`, "", { durability: "memory" });
    if (i % 4096 === 0) await put;
  }
  for (let i = 0; i < 100; i++) await store.delete(`${i}`, { durability: "memory" });
  await store.put("last", "value");
  const left = fs.crashClone({ keep: "all" });
  await store.close();
  await using again = await open("/store", { ...options, fs: left });
  const { keys: found, recovery } = again.stats();
  assert.deepEqual([found, recovery.logs, recovery.records > 1_100_000], [keys - 99, 1, true]);
  assert.equal(await again.getText("last"), "value");
  assert.equal(await again.has("99"), false);
  assert.equal(await again.has("100"), true);
});

Deno.test("a log whose reading fails half way is read from there on, and each record counts once", async () => {
  const memory = new MemFs();
  const options = { slabBytes: 8 * MIB };
  const store = await open("/store", { ...options, fs: memory });
  for (let i = 0; i < 3000; i++) {
    await store.put(`key:${i % 1000}`, noise(1000, i), { durability: "memory" });
  }
  // What is put and then deleted counts as dead once, however often it is looked at.
  await store.put("gone", noise(1000, 1), { durability: "memory" });
  await store.delete("gone", { durability: "memory" });
  await store.flush();
  const { liveBytes: expected } = store.stats();
  const left = memory.crashClone({ keep: "all" });
  await store.close();
  for (
    const [on, skip] of [["readAtAsync", 0], ["readAtAsync", 1], ["readAtAsync", 2], [
      "close",
      0,
    ]] as const
  ) {
    const fs = new FaultFs(left.crashClone({ keep: "all" }));
    const fault = { kind: "error", code: "IO" } as const;
    const armed = fs.arm({ on, path: ".log", skip, times: 1, fault });
    await using again = await open("/store", { ...options, fs });
    assert.equal(armed.strikes, 1, `skip ${skip}`);
    const { keys, liveBytes, recovery } = again.stats();
    assert.deepEqual([keys, liveBytes, recovery.records], [1000, expected, 3002], `skip ${skip}`);
    for (let i = 0; i < 1000; i += 37) {
      assert.deepEqual(await again.get(`key:${i}`), noise(1000, 2000 + i));
    }
    while (again.stats().rotations === 0) await again.put("more", noise(9000, 1));
    await again.flush();
    await again.close();
    await using sealed = await open("/store", { ...options, fs });
    assert.deepEqual((await sealed.verify()).problems, [], on);
  }
});

Deno.test("a log and an image that cannot be read aside are read again, or made anew", async () => {
  const memory = new MemFs();
  const store = await open("/store", { ...SMALL, fs: memory, indexImageKeys: 0 });
  for (let i = 0; i < 66; i++) await store.put(`key:${i}`, noise(1000, i));
  await store.close();
  for (const [path, indexImage] of [[".log", "loaded"], ["INDEX", "unusable"]] as const) {
    const fs = new FaultFs(memory.crashClone({ keep: "all" }));
    const armed = fs.arm({
      on: "readAtAsync",
      path,
      times: 1,
      fault: { kind: "error", code: "IO" },
    });
    await using again = await open("/store", { fs });
    assert.equal(again.stats().recovery.indexImage, indexImage);
    for (let i = 0; i < 66; i++) assert.deepEqual(await again.get(`key:${i}`), noise(1000, i));
    assert.equal(armed.strikes, 1, path);
  }
});

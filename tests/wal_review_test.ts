/** What reviews of the log found: each of these once went wrong. */
import assert from "node:assert/strict";
import { ArgumentError, attachWal, type Codec, Wal } from "../log/wal_mod.ts";
import { open } from "../mod.ts";
import { CrashFs, FaultFs, MemFs } from "../vfs/mod.ts";
import { Control, logName, SegmentImage, SharedWriter, Word } from "../wal/mod.ts";
import { Engine, ENGINE_DIR, exhaust, recover } from "./_engine.ts";
import { failsWith, inTempDir } from "./_support.ts";
import { openOn } from "./_wal_support.ts";

const zeros = (bytes: number) => new Uint8Array(bytes);

/** All that was written, as a killed process leaves it. */
function killed(fs: CrashFs): CrashFs {
  return fs.crashClone({ seed: 1, keepData: 1, keepNames: 1 });
}

async function manyRecords(wal: Wal, count: number): Promise<number[]> {
  const lsns: number[] = [];
  for (let i = 0; i < count; i++) lsns.push(await wal.appendAndSync(zeros(9000)));
  return lsns;
}

Deno.test("an iteration left in the middle, or isEmpty, leaves no hole behind truncateBefore()", async () => {
  const fs = new MemFs();
  const wal = await openOn(fs);
  await manyRecords(wal, 10);
  assert(!wal.isEmpty);
  wal.iterate().next();
  const lsns = await manyRecords(wal, 40);
  await wal.truncateBefore(lsns.at(-1)!);
  await wal.close();
  await using again = await openOn(fs);
  assert.equal([...again.iterate()].at(-1)!.lsn, lsns.at(-1));
});

Deno.test("truncateBefore() after one that failed leaves no hole", async () => {
  const memory = new MemFs();
  const fs = new FaultFs(memory);
  const wal = await openOn(fs);
  const last = (await manyRecords(wal, 50)).at(-1)!;
  fs.arm({ on: "remove", times: 1, fault: { kind: "error", code: "IO" } });
  await failsWith("IO", wal.truncateBefore(last));
  await wal.truncateBefore(last);
  await wal.close();
  await using again = await openOn(memory);
  assert.equal([...again.iterate()].at(-1)!.lsn, last);
});

Deno.test("no log is created before the one before it", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.append(100, true);
  exhaust(engine.log);
  // Two rotations that nothing was prepared for, while the log worker does nothing.
  engine.append(40_000, true);
  engine.append(40_000, true);
  engine.append(8000, true);
  exhaust(engine.flush);
  assert(!fs.list(ENGINE_DIR).includes(logName(3)));
  for (let i = 0; i < 3; i++) [engine.log, engine.flush].forEach(exhaust);
  const names = fs.crashClone({ keep: "synced" }).list(ENGINE_DIR);
  assert.deepEqual(
    names.map((name) => name.slice(0, 10)),
    [1, 2, 3].map((n) => logName(n).slice(0, 10)),
  );
});

Deno.test("a segment that is filled to its last byte is scanned like any other", () => {
  const fs = new CrashFs();
  const engine = new Engine(fs);
  // 65,536 - 64 - 24 bytes of records, to the byte, and one more record in the next segment.
  for (const space of [32_000, 33_448]) engine.append(space - 24, false);
  engine.append(100, false);
  exhaust(engine.log);
  for (let seed = 0; seed < 20; seed++) {
    const state = fs.crashClone({ seed, keepData: 0.6, keepNames: 1, unitBytes: 4096 });
    const { sequences } = recover(state);
    assert(sequences.length <= 3);
  }
  assert.equal(recover(killed(fs)).sequences.length, 3);
});

Deno.test("a full log on its own is not taken for durable either", async () => {
  const fs = new CrashFs();
  const wal = await openOn(fs);
  for (const space of [32_000, 33_448, 124]) {
    await wal.append(zeros(space - 24), { durability: "written" });
  }
  const state = killed(fs);
  await wal.close();
  await using again = await openOn(state);
  assert.equal(again.stats().recovery.segments, 0, "none was known without reading it");
  assert.equal([...again.iterate()].length, 3);
});

Deno.test("an LSN that was cut away is not given again, whatever happened before", async () => {
  const fs = new CrashFs();
  const wal = await openOn(fs);
  const first = await wal.appendAndSync(zeros(10));
  await wal.appendAndSync(zeros(10));
  const crashed = killed(fs);
  await wal.close();
  await using again = await openOn(crashed);
  const cut = await again.appendAndSync(zeros(10));
  await again.truncateAfter(first);
  assert(await again.appendAndSync(zeros(10)) > cut);
});

Deno.test("truncateBefore() keeps the last segment that has a file", async () => {
  const crash = new CrashFs();
  const fs = new FaultFs(crash);
  const wal = await openOn(fs);
  await manyRecords(wal, 1);
  fs.arm({
    on: ["create", "writeAt", "truncate"],
    path: /000[2-9]\.log/,
    fault: { kind: "error", code: "NO_SPACE" },
  });
  await wal.append(zeros(60_000)).catch(() => {});
  await wal.truncateBefore(wal.end);
  assert(fs.list("/wal").some((name) => name.endsWith(".log")));
  fs.clear();
  await wal.close();
});

Deno.test("versions of a store whose log has no room for a mark are not given twice", async () => {
  const fs = new CrashFs();
  const options = { slabBytes: 65_536, fs };
  const store = await open("/s", options);
  await store.put("a", zeros(32_000 - 25));
  await store.put("b", zeros(33_448 - 25));
  const first = killed(fs);
  await store.close();
  const given = new Set<number>();
  let state = first;
  for (let round = 0; round < 3; round++) {
    const again = await open("/s", { ...options, fs: state });
    const versions = await Promise.all(
      ["x", "y", "z"].map((key) => again.put(key, zeros(23), { durability: "memory" })),
    );
    for (const version of versions) {
      assert(!given.has(version), `version ${version} twice`);
      given.add(version);
    }
    state = killed(state);
    await again.close();
  }
});

Deno.test("after close() no other thread gets a place in the log", () =>
  inTempDir(async (dir) => {
    const wal = await Wal.open(`${dir}/wal`);
    await wal.appendAndSync(zeros(10));
    const handle = await wal.share();
    const control = new Control(handle.control);
    const other = SharedWriter.register(control)!;
    const slot = Atomics.load(control.words, Word.activeSlot);
    await wal.close();
    assert(!other.aim(slot, new SegmentImage(handle.slabs[slot]!), 40));
  }));

Deno.test("truncateAfter() refuses to cut a batch in two", async () => {
  await using wal = await openOn(new MemFs());
  const first = await wal.appendAndSync(zeros(10));
  const batch = await wal.appendBatch([zeros(10), zeros(10), zeros(10)], { durability: "synced" });
  await assert.rejects(wal.truncateAfter(batch[1]!), ArgumentError);
  await wal.truncateAfter(batch[2]!);
  assert.deepEqual([...wal.iterate()].map(({ lsn }) => lsn), [first, ...batch]);
});

Deno.test("a codec may use one buffer for all values, and has to give bytes", async () => {
  const scratch = new Uint8Array(4);
  const codec: Codec<number> = { encode: (value) => scratch.fill(value), decode: ([n]) => n! };
  await using wal = await Wal.open("/wal", { fs: new MemFs(), codec });
  await wal.appendBatch([1, 2, 3]);
  assert.deepEqual([...wal.iterate()].map(({ value }) => value), [1, 2, 3]);
  const text = { encode: (value: number) => String(value), decode: () => 0 };
  await using other = await Wal.open<number>("/w2", { fs: new MemFs(), codec: text as never });
  await assert.rejects(other.append(1), ArgumentError);
  assert(other.isEmpty);
});

Deno.test("sync() with an LSN inside a record neither hangs nor ends the log", async () => {
  await using wal = await openOn(new MemFs());
  const lsn = await wal.append(zeros(100).fill(65));
  await wal.sync(lsn + 24);
  await assert.rejects(wal.sync(lsn + 25), ArgumentError);
  await wal.appendAndSync(zeros(1));
});

Deno.test("only a log whose file system other threads can reach is shared", async () => {
  await using wal = await openOn(new MemFs());
  await failsWith("UNSUPPORTED", wal.share());
  await wal.append(zeros(1));
  await wal.truncateAfter(wal.head);
});

Deno.test("while others are attached, the owner's records have to fit a segment, too", () =>
  inTempDir(async (dir) => {
    await using wal = await Wal.open(`${dir}/wal`, { segmentBytes: 65_536 });
    using other = attachWal(await wal.share());
    await failsWith("TOO_LARGE", wal.append(zeros(70_000)));
    await other.appendAndSync(zeros(10));
  }));

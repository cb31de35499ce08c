/** What a second review of the log found: each of these once went wrong. */
import assert from "node:assert/strict";
import { SpaceQueue } from "../log/mod.ts";
import { attachWal, Wal } from "../log/wal_mod.ts";
import { open } from "../mod.ts";
import { SlabPool } from "../memtable/mod.ts";
import { FaultFs, type Fs, MemFs } from "../vfs/mod.ts";
import {
  Control,
  LogFileState,
  SegmentImage,
  SharedWriter,
  SlotWord,
  Word,
  WriterWord,
} from "../wal/mod.ts";
import { SlabTable, StepResult } from "../workers/mod.ts";
import { Engine, ENGINE_DIR, exhaust } from "./_engine.ts";
import { failsWith, inTempDir, SMALL, turn } from "./_support.ts";
import { openOn } from "./_wal_support.ts";

const zeros = (bytes: number) => new Uint8Array(bytes);

/** Damages a file in place: `bytes` zeros at `offset`. */
function wipe(fs: Fs, path: string, offset: number, bytes: number): void {
  using file = fs.openReadWrite(path);
  file.writeAt(zeros(bytes), offset);
}

/** Resolves to what `promise` came to, or to "pending" if that is not known after all that can be done now. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
  return await Promise.race([
    promise.then(() => "kept", (error) => error),
    Promise.resolve("pending"),
  ]);
}

Deno.test("an iteration that is open while the log is cut ends at the cut", async () => {
  await using wal = await openOn(new MemFs());
  const lsns: number[] = [];
  for (let i = 0; i < 30; i++) lsns.push(await wal.appendAndSync(zeros(9000)));
  for (const [read, cut] of [[1, 20], [1, 2], [10, 5], [3, 29]] as const) {
    const records = wal.iterate();
    const before = [...lsns];
    const found = Array.from({ length: read }, () => records.next().value!.lsn);
    await wal.truncateAfter(lsns[cut]!);
    lsns.length = cut + 1;
    lsns.push(await wal.appendAndSync(zeros(9000)));
    found.push(...Array.from(records, ({ lsn }) => lsn));
    assert.deepEqual(found, before.slice(0, Math.max(read, cut + 1)));
    while (lsns.length < 30) lsns.push(await wal.appendAndSync(zeros(9000)));
  }
});

Deno.test("segments that an iteration from before a cut still reads are not dropped", async () => {
  await using wal = await openOn(new MemFs());
  const lsns: number[] = [];
  for (let i = 0; i < 30; i++) lsns.push(await wal.appendAndSync(zeros(9000)));
  const records = wal.iterate();
  records.next();
  await wal.truncateAfter(lsns[20]!);
  await wal.truncateBefore(lsns[20]!);
  assert.equal([...records].length, 20);
  await wal.truncateBefore(lsns[20]!);
  assert(wal.head > lsns[0]!);
});

Deno.test("who was let in just before all others are turned away keeps its turn, and passes it on", async () => {
  const queue = new SpaceQueue();
  const first = queue.wait();
  const second = queue.wait();
  queue.offer(() => true);
  queue.fail(new Error("turned away"));
  await first;
  await assert.rejects(second, /turned away/);
  const third = queue.wait();
  // The first one tries in vain, and then gets what it needed.
  const again = queue.again();
  queue.offer(() => true);
  await again;
  assert.equal(await outcome(third), "pending");
  queue.done();
  await third;
  queue.done();
  assert.equal(queue.length, 0);
});

Deno.test("a log that has failed takes no more, not even from who was let in before", async () => {
  const memory = new MemFs();
  const fs = new FaultFs(memory);
  const wal = await openOn(fs, { slabs: 2 });
  await wal.appendAndSync(zeros(10));
  fs.arm({ on: "writeAt", skip: 3, fault: { kind: "error", code: "IO" } });
  const appends = Array.from({ length: 40 }, () => wal.append(zeros(30_000)));
  appends.push(...Array.from({ length: 5 }, () => wal.append(zeros(10), { durability: "synced" })));
  const settled = await Promise.allSettled(appends);
  assert(settled.some(({ status }) => status === "rejected"));
  await failsWith("WRITE_FAILED", wal.append(zeros(1)));
  await wal.close().catch(() => {});
});

/** Does `work` while nobody gets shared memory of more than 100 KB. */
async function withLittleMemory(work: () => Promise<void>): Promise<void> {
  const { SharedArrayBuffer: real } = globalThis;
  try {
    globalThis.SharedArrayBuffer = class extends real {
      constructor(bytes: number) {
        if (bytes > 100_000) throw new RangeError("Array buffer allocation failed");
        super(bytes);
      }
    } as SharedArrayBufferConstructor;
    await work();
  } finally {
    globalThis.SharedArrayBuffer = real;
  }
}

Deno.test("when there is no memory for a large record, nothing is lost, and writing goes on", async () => {
  const fs = new MemFs();
  const wal = await openOn(fs);
  await wal.append(zeros(10_000));
  // By now the next slab is ready.
  await wal.append(zeros(1000));
  await withLittleMemory(async () => {
    await failsWith("TOO_LARGE", wal.append(zeros(200_000)));
    await failsWith("TOO_LARGE", wal.append(zeros(200_000)));
    await wal.append(zeros(10_001));
  });
  await wal.append(zeros(200_000));
  for (let i = 0; i < 30; i++) await wal.appendAndSync(zeros(10_002));
  await wal.close();
  await using again = await openOn(fs);
  const lengths = Array.from(again.iterate(), ({ bytes }) => bytes.length);
  assert.deepEqual(lengths, [10_000, 1000, 10_001, 200_000, ...Array(30).fill(10_002)]);
});

Deno.test("without memory for a large record, a log closes at once", async () => {
  const wal = await openOn(new MemFs());
  await wal.append(zeros(5000));
  await wal.append(zeros(10));
  await withLittleMemory(async () => {
    await failsWith("TOO_LARGE", wal.append(zeros(200_000)));
  });
  await wal.close();
});

Deno.test("share() and truncateAfter() called in one turn: the handle is of the log that goes on", () =>
  inTempDir(async (dir) => {
    await using wal = await Wal.open(`${dir}/wal`);
    const first = await wal.appendAndSync(zeros(10));
    await wal.appendAndSync(zeros(10));
    const cut = wal.truncateAfter(first);
    const shared = wal.share();
    await cut;
    using other = attachWal(await shared);
    const lsn = await other.appendAndSync(zeros(20));
    assert.deepEqual([...wal.iterate()].map((record) => record.lsn), [first, lsn]);
  }));

Deno.test("truncateAfter() is BUSY while threads are attached, and works once they are closed", () =>
  inTempDir(async (dir) => {
    await using wal = await Wal.open(`${dir}/wal`);
    const first = await wal.appendAndSync(zeros(10));
    const handle = await wal.share();
    const other = attachWal(handle);
    const given = await other.appendAndSync(zeros(10));
    await failsWith("BUSY", wal.truncateAfter(first));
    await other.appendAndSync(zeros(10));
    other.close();
    await wal.truncateAfter(first);
    assert.throws(() => attachWal(handle), { code: "CLOSED" });
    using next = attachWal(await wal.share());
    assert(await next.appendAndSync(zeros(10)) > given);
    assert.equal([...wal.iterate()].length, 2);
    // Not shared any more: a record may be larger than a segment again once the log was cut.
  }));

Deno.test("a thread that died while it appended is no stall, however short the timeout", () =>
  inTempDir(async (dir) => {
    await using wal = await Wal.open(`${dir}/wal`, { idleWorkerMs: 2000, stallTimeoutMs: 1000 });
    await wal.append(zeros(10));
    const handle = await wal.share();
    const control = new Control(handle.control);
    const dying = SharedWriter.register(control)!;
    const slot = Atomics.load(control.words, Word.activeSlot);
    assert(dying.aim(slot, new SegmentImage(handle.slabs[slot]!), 48));
    dying.take();
    await wal.appendAndSync(zeros(10));
  }));

Deno.test("a segment that was completed after an iteration began is checked like any other", async () => {
  const fs = new MemFs();
  await using wal = await openOn(fs);
  for (let i = 0; i < 10; i++) await wal.appendAndSync(zeros(9000));
  const records = wal.iterate();
  records.next();
  // The newest segment of then is full now, and no longer in memory.
  for (let i = 0; i < 40; i++) await wal.appendAndSync(zeros(9000));
  wipe(fs, "/wal/0000000002.log", 64, 8);
  assert.throws(() => [...records], { code: "CORRUPT" });
});

Deno.test("registrations of threads that ended without closing are used again", () => {
  const control = new Control(2);
  let now = 1000;
  const register = () => SharedWriter.register(control, () => now);
  const all = Array.from({ length: 15 }, () => register()!);
  assert.equal(register(), undefined);
  all[3]!.answer();
  now += 9000;
  assert.equal(register(), undefined, "they may yet answer");
  now += 2000;
  const numbers = Array.from({ length: 14 }, () => register()!.writer);
  assert.equal(numbers.length, 14);
  assert(!numbers.includes(all[3]!.writer), "it has answered");
  // Who comes back finds its place taken, and changes nothing.
  const image = new SegmentImage(new SharedArrayBuffer(65_536));
  control.set(0, SlotWord.reserved, 64 << 1);
  assert.throws(() => all[0]!.aim(0, image, 48), { code: "CLOSED" });
  all[0]!.release();
  assert.equal(register(), undefined);
  assert(all[3]!.aim(0, image, 48));
});

Deno.test("attached threads that live answer, and keep their registrations", () =>
  inTempDir(async (dir) => {
    await using wal = await Wal.open(`${dir}/wal`);
    const handle = await wal.share();
    const control = new Control(handle.control);
    using other = attachWal(handle);
    const rest = Array.from({ length: 14 }, () => SharedWriter.register(control, () => 1000)!);
    assert.equal(SharedWriter.register(control, () => 1000), undefined);
    // Woken by Atomics.waitAsync, which takes some turns of the event loop.
    const hasAnswered = (writer: number) => {
      const base = control.writer(writer);
      return Atomics.load(control.words, base + WriterWord.answered) > 0;
    };
    while (!Array.from({ length: 15 }, (_, i) => i + 1).some(hasAnswered)) await turn();
    await other.append(zeros(1));
    const later = () => SharedWriter.register(control, () => 20_000);
    assert.equal(Array.from({ length: 15 }, later).filter((one) => one !== undefined).length, 14);
    await other.appendAndSync(zeros(1));
    rest.length = 0;
  }));

Deno.test("on one thread, what a full disk kept back is written once there is space, without another call", async () => {
  const fs = new FaultFs(new MemFs());
  await using store = await open("/store", { ...SMALL, fs });
  fs.arm({ on: "rename", path: /\.seg$/, fault: { kind: "error", code: "NO_SPACE" } });
  // One slab is full: its segment cannot be finished.
  for (let i = 0; i < 8; i++) await store.put(`k${i}`, zeros(9000));
  await turn();
  const told = Promise.withResolvers<void>();
  store.addEventListener("flush", () => told.resolve());
  fs.clear();
  // The store's own timers keep no program alive.
  const alive = setInterval(() => {}, 60_000);
  await told.promise;
  clearInterval(alive);
});

Deno.test("what is not written yet never spans more sequence numbers than a crash skips", () => {
  const fs = new MemFs();
  fs.mkdirAll(ENGINE_DIR);
  const control = new Control(4);
  const table = new SlabTable(control);
  const pool = new SlabPool(control, {
    slabBytes: 65_536,
    storeId: zeros(16),
    onBuffer: (slot, generation, buffer) => table.set(slot, generation, buffer),
    windowBytes: 300_000,
  });
  assert(pool.activate(1, 0, 200_000) !== undefined);
  assert.equal(pool.activate(2, 400_000, 100_000), undefined, "first the one before has to go");
  assert(pool.activate(2, 400_000, 20_000) !== undefined);
});

Deno.test("slabs in all are limited by how many sequence numbers a crash skips", async () => {
  const fs = new MemFs();
  const tooMuch = { fs, slabBytes: 1024 ** 3, slabs: 9 };
  await assert.rejects(open("/s", tooMuch), { name: "ArgumentError" });
  await assert.rejects(Wal.open("/w", { fs, segmentBytes: 1024 ** 3, slabs: 9 }), {
    name: "ArgumentError",
  });
  assert.deepEqual(fs.list("/"), []);
});

Deno.test("the log worker stays while the flush worker creates its log, however long that takes", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.append(8000, true);
  const { slot } = engine.memtable.active!;
  engine.control.set(slot, SlotWord.file, LogFileState.creating);
  assert.equal(engine.log.step(false), StepResult.idle);
  assert(engine.log.rest(false), "nobody else would call it when the file is there");
  engine.control.set(slot, SlotWord.file, LogFileState.none);
  exhaust(engine.log);
  assert(engine.control.get(slot, SlotWord.synced) > 8000);
});

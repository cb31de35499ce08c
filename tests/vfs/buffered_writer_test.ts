import assert from "node:assert/strict";
import { testCrashes } from "../../testing/mod.ts";
import {
  BufferedWriter,
  CrashFs,
  FaultFs,
  FlagstoneError,
  InterceptFs,
  MemFs,
  readBlocks,
  readText,
  syncDirectory,
} from "../../vfs/mod.ts";
import { bytes, readAll, text, throwsCode, writeSynced } from "./_support.ts";
import { turn } from "../_support.ts";

Deno.test("BufferedWriter.sync() and syncData() make durable all that was taken", async () => {
  await testCrashes<string>({
    prepare: (fs) => writeSynced(fs, "/log", ""),
    run(fs, promise) {
      using file = fs.openReadWrite("/log");
      using writer = new BufferedWriter(file, { bufferBytes: 1000 });
      for (let i = 0; i < 12; i++) {
        const record = `${i % 10}`.repeat(i % 5 === 4 ? 2500 : 300);
        writer.write(bytes(record));
        if (i % 3 === 2) {
          if (i % 2 === 0) writer.sync();
          else writer.syncData();
          promise(String(writer.position));
        }
      }
      syncDirectory(fs, "/");
    },
    check(fs, promised) {
      const found = readText(fs, "/log");
      const length = Number(promised.at(-1) ?? 0);
      assert.ok(found.length >= length);
      const expected = Array.from({ length: 12 }, (_, i) => {
        return `${i % 10}`.repeat(i % 5 === 4 ? 2500 : 300);
      });
      assert.equal(found.slice(0, length), expected.join("").slice(0, length));
    },
  });
});

Deno.test("BufferedWriter writes in pieces of its buffer, and long ones at once", () => {
  const lengths: number[] = [];
  const memory = new MemFs();
  const fs = new InterceptFs("watched", memory, {
    call(operation, run) {
      if (operation.kind === "writeVectorAt") lengths.push(operation.length ?? 0);
      return run();
    },
    callAsync: (_operation, run) => run(),
  });
  using file = fs.create("/a");
  using writer = new BufferedWriter(file, { bufferBytes: 100 });
  for (let i = 0; i < 50; i++) writer.write(new Uint8Array(7).fill(i));
  assert.deepEqual(lengths, [100, 100, 100]);
  writer.write(new Uint8Array(5000));
  assert.deepEqual(lengths, [100, 100, 100, 5050]);
  writer.flush();
  writer.flush();
  assert.equal(lengths.length, 4, "nothing is written where nothing was taken");
});

Deno.test("N8: BufferedWriter throws the first error again and again, and tries nothing once more", () => {
  for (const on of ["writeVectorAt", "sync", "syncData"] as const) {
    const memory = new MemFs();
    const faults = new FaultFs(memory);
    using file = faults.create("/a");
    const writer = new BufferedWriter(file, { bufferBytes: 10 });
    writer.write(bytes("12345"));
    faults.arm({ on, times: 1, fault: { kind: "shortWrite", bytes: 2, code: "NO_SPACE" } });
    throwsCode("NO_SPACE", () => on === "syncData" ? writer.syncData() : writer.sync());
    const calls: (() => unknown)[] = [
      () => writer.write(bytes("x")),
      () => writer.flush(),
      () => writer.sync(),
      () => writer.syncData(),
      () => writer.readAt(new Uint8Array(1), 0),
    ];
    for (const call of calls) throwsCode("NO_SPACE", call);
    const before = text(readAll(memory, "/a"));
    assert.equal(before, on === "writeVectorAt" ? "12" : "12345");
    writer.close();
    assert.equal(text(readAll(memory, "/a")), before, "the end is silent, and writes nothing");
  }
});

Deno.test("BufferedWriter.close() tells that its last write failed", () => {
  const faults = new FaultFs(new MemFs());
  using file = faults.create("/a");
  const writer = new BufferedWriter(file);
  writer.write(bytes("lost"));
  faults.arm({ on: "writeVectorAt", fault: { kind: "error", code: "IO" } });
  throwsCode("IO", () => writer.close());
  writer.close();
  throwsCode("CLOSED", () => writer.write(bytes("x")));
});

Deno.test("C3: BufferedWriter does not let a sync that failed be tried again", () => {
  const crash = new CrashFs();
  const faults = new FaultFs(crash);
  using file = faults.create("/a");
  syncDirectory(crash, "/");
  using writer = new BufferedWriter(file);
  writer.write(bytes("acknowledged?"));
  faults.arm({ on: "sync", times: 1, fault: { kind: "failedSync" } });
  let acknowledged = false;
  for (let attempt = 0; attempt < 3 && !acknowledged; attempt++) {
    try {
      writer.sync();
      acknowledged = true;
    } catch (error) {
      assert.ok(error instanceof FlagstoneError);
    }
  }
  assert.equal(acknowledged, false, "the bytes are lost: no sync may say otherwise");
});

Deno.test("readBlocks() keeps to its number of reads, begins none after a failure, and waits for all", async () => {
  const memory = new MemFs();
  writeSynced(memory, "/a", "0123456789");
  const begun: { offset: number; settle: (error?: Error) => void }[] = [];
  const fs = new InterceptFs("held", memory, {
    call: (_operation, run) => run(),
    async callAsync(operation, run) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const settle = (error?: Error) => error === undefined ? resolve() : reject(error);
      begun.push({ offset: operation.offset ?? 0, settle });
      await promise;
      return await run();
    },
  });
  using file = fs.open("/a");
  const blocks = Array.from({ length: 10 }, (_, offset) => ({ offset, into: new Uint8Array(1) }));
  let settled = false;
  const failure = new Error("mine");
  const reading = assert.rejects(readBlocks(file, blocks, { parallel: 3 }), failure)
    .finally(() => settled = true);
  await turn();
  assert.deepEqual(begun.map(({ offset }) => offset), [0, 1, 2]);
  begun[1]?.settle();
  await turn();
  assert.deepEqual(begun.map(({ offset }) => offset), [0, 1, 2, 3]);
  begun[0]?.settle(failure);
  await turn();
  begun[2]?.settle(new Error("later"));
  await turn();
  assert.equal(begun.length, 4, "nothing more is begun");
  assert.equal(settled, false, "one is under way, and owns its buffer");
  begun[3]?.settle();
  await reading;
  assert.equal(text(blocks[3]?.into ?? bytes("")), "3");
});

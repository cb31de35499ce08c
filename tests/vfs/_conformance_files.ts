import assert from "node:assert/strict";
import type { ConformanceCase } from "./_conformance_case.ts";
import { bytes, readAll, rejectsCode, text, throwsCode, writeAll } from "./_support.ts";

/** What must hold for open files: reading, writing, cutting, syncing, closing. */
export const fileCases: readonly ConformanceCase[] = [
  {
    name: "read() and write() share a cursor that positional calls leave alone",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.write(bytes("abc"));
      file.writeAt(bytes("X"), 10);
      file.write(bytes("def"));
      const into = new Uint8Array(4);
      assert.equal(file.readAt(into, 0), 4);
      assert.equal(text(into), "abcd");
      assert.equal(file.read(into), 4);
      assert.deepEqual([...into], [0, 0, 0, 0]);
      assert.equal(file.read(into), 1);
      assert.equal(into[0], "X".charCodeAt(0));
      assert.equal(file.read(into), 0);
      using again = fs.open(`${root}/a`);
      assert.equal(again.read(into), 4);
      assert.equal(text(into), "abcd");
    },
  },
  {
    name: "readAt() is short only at the end of the file",
    async run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.writeAt(new Uint8Array(10_000).fill(7), 0);
      const into = new Uint8Array(6000);
      assert.equal(file.readAt(into, 0), 6000);
      assert.equal(file.readAt(into, 4001), 5999);
      assert.equal(file.readAt(into, 10_000), 0);
      assert.equal(file.readAt(into, 1 << 30), 0);
      assert.equal(file.readAt(new Uint8Array(0), 5), 0);
      assert.equal(await file.readAtAsync(into, 4001), 5999);
      assert.equal(await file.readAtAsync(into, 10_000), 0);
      into.fill(0);
      assert.equal(file.readAt(into, 9_999), 1);
      assert.deepEqual([...into.subarray(0, 2)], [7, 0], "nothing beyond the count is touched");
    },
  },
  {
    name: "readAtAsync() runs many at once, beside synchronous calls",
    async run(fs, root) {
      using file = fs.create(`${root}/a`);
      const content = new Uint8Array(100_000);
      for (let i = 0; i < content.length; i++) content[i] = (i * 31) & 255;
      file.write(content);
      const reads: Promise<void>[] = [];
      for (let i = 0; i < 50; i++) {
        const into = new Uint8Array(1000 + i);
        const offset = i * 1900;
        reads.push(
          file.readAtAsync(into, offset).then((count) => {
            assert.equal(count, into.length);
            assert.deepEqual(into, content.subarray(offset, offset + count));
          }),
        );
        const beside = new Uint8Array(100);
        assert.equal(file.readAt(beside, offset + 5), 100);
        assert.deepEqual(beside, content.subarray(offset + 5, offset + 105));
      }
      await Promise.all(reads);
      // The cursor is where write() left it.
      file.write(bytes("!"));
      assert.equal(file.stat().size, 100_001);
    },
  },
  {
    name: "readAtAsync() reads the open file, whatever its name leads to by now",
    needsOpenRemoved: true,
    async run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.write(bytes("mine"));
      fs.rename(`${root}/a`, `${root}/b`);
      writeAll(fs, `${root}/a`, "other");
      const into = new Uint8Array(4);
      assert.equal(await file.readAtAsync(into, 0), 4);
      assert.equal(text(into), "mine");
      fs.remove(`${root}/b`);
      fs.remove(`${root}/a`);
      into.fill(0);
      assert.equal(await file.readAtAsync(into, 0), 4);
      assert.equal(text(into), "mine");
    },
  },
  {
    name: "close() lets a read under way settle, and is idempotent",
    async run(fs, root) {
      const file = fs.create(`${root}/a`);
      file.write(new Uint8Array(5000).fill(9));
      const into = new Uint8Array(5000);
      const read = file.readAtAsync(into, 0);
      file.close();
      file.close();
      const outcome = await read.then((count) => count, (error) => error.code);
      assert.ok(outcome === 5000 || outcome === "CLOSED", String(outcome));
      throwsCode("CLOSED", () => file.readAt(into, 0));
      throwsCode("CLOSED", () => file.readAt(new Uint8Array(0), 0));
      throwsCode("CLOSED", () => file.writeAt(new Uint8Array(0), 0));
      throwsCode("CLOSED", () => file.read(into));
      await rejectsCode("CLOSED", file.readAtAsync(into, 0));
      throwsCode("CLOSED", () => file.writeAt(into, 0));
      throwsCode("CLOSED", () => file.write(into));
      throwsCode("CLOSED", () => file.writeVectorAt([into], 0));
      throwsCode("CLOSED", () => file.sync());
      throwsCode("CLOSED", () => file.syncData());
      throwsCode("CLOSED", () => file.syncTo(0));
      throwsCode("CLOSED", () => file.preallocate(0, 1));
      throwsCode("CLOSED", () => file.prefetch(0, 1));
      throwsCode("CLOSED", () => file.punchHole(0, 1));
      throwsCode("CLOSED", () => file.truncate(0));
      throwsCode("CLOSED", () => file.stat());
      const dir = fs.openDir(root);
      dir[Symbol.dispose]();
      dir.close();
      throwsCode("CLOSED", () => dir.sync());
      throwsCode("CLOSED", () => dir.stat());
    },
  },
  {
    name: "writeAt() past the end leaves zeros between",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.writeAt(bytes("end"), 9000);
      assert.equal(file.stat().size, 9003);
      const into = new Uint8Array(9003).fill(1);
      assert.equal(file.readAt(into, 0), 9003);
      assert.ok(into.subarray(0, 9000).every((byte) => byte === 0));
      assert.equal(text(into.subarray(9000)), "end");
    },
  },
  {
    name: "writeAt() of nothing changes nothing, wherever",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.writeAt(new Uint8Array(0), 100);
      file.writeVectorAt([], 100);
      assert.equal(file.stat().size, 0);
    },
  },
  {
    name: "writes neither keep the caller's buffer nor change it",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      const buffer = new Uint8Array(8192).fill(1);
      file.write(buffer);
      file.writeVectorAt([buffer, buffer], 0);
      file.writeAt(buffer, 0);
      assert.ok(buffer.every((byte) => byte === 1));
      buffer.fill(2);
      file.readAt(buffer, 0);
      assert.ok(buffer.every((byte) => byte === 1));
    },
  },
  {
    name: "writeVectorAt() writes its parts one after another",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      const big = new Uint8Array(100_000).fill(65);
      file.writeVectorAt([bytes("ab"), new Uint8Array(0), bytes("cde")], 1);
      file.writeVectorAt([bytes("<"), big, bytes(">")], 6);
      const content = readAll(fs, `${root}/a`);
      assert.equal(content.length, 6 + 100_002);
      assert.equal(text(content.subarray(1, 7)), "abcde<");
      assert.ok(content.subarray(7, 100_007).every((byte) => byte === 65));
      assert.equal(content[100_007], ">".charCodeAt(0));
      file.write(bytes("z"));
      assert.equal(text(readAll(fs, `${root}/a`).subarray(0, 3)), "zab");
    },
  },
  {
    name: "reads and writes take views on shared memory",
    async run(fs, root) {
      const shared = new Uint8Array(new SharedArrayBuffer(3000));
      for (let i = 0; i < shared.length; i++) shared[i] = i & 127;
      using file = fs.create(`${root}/a`);
      file.writeAt(shared.subarray(1000, 2000), 0);
      file.writeVectorAt([shared.subarray(0, 10), shared.subarray(10, 20)], 1000);
      const into = new Uint8Array(new SharedArrayBuffer(2000)).subarray(500);
      assert.equal(file.readAt(into, 0), 1020);
      assert.equal(into[0], 1000 & 127);
      assert.equal(into[1019], 19);
      into.fill(0);
      assert.equal(await file.readAtAsync(into, 0), 1020);
      assert.equal(into[999], 1999 & 127);
    },
  },
  {
    name: "truncate() cuts, and what comes back by extending is zeros",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.write(new Uint8Array(10_000).fill(5));
      file.truncate(4500);
      assert.equal(file.stat().size, 4500);
      file.truncate(9000);
      const into = new Uint8Array(10_000);
      assert.equal(file.readAt(into, 0), 9000);
      assert.ok(into.subarray(0, 4500).every((byte) => byte === 5));
      assert.ok(into.subarray(4500).every((byte) => byte === 0));
      file.write(bytes("x"));
      assert.equal(file.stat().size, 10_001, "the cursor stays");
      file.truncate(0);
      assert.equal(file.readAt(into, 0), 0);
    },
  },
  {
    name: "truncate() makes a long sparse file at no cost",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.truncate(64 * 1024 * 1024);
      file.writeAt(bytes("end"), 64 * 1024 * 1024 - 3);
      const into = new Uint8Array(6);
      assert.equal(file.readAt(into, 64 * 1024 * 1024 - 6), 6);
      assert.equal(text(into.subarray(3)), "end");
      file.sync();
    },
  },
  {
    name: "punchHole() makes zeros of a range and of nothing else, or is UNSUPPORTED",
    run(fs, root) {
      const old = new Uint8Array(20_000).fill(5);
      writeAll(fs, `${root}/a`, old);
      using file = fs.openReadWrite(`${root}/a`);
      const expected = old.slice();
      // Whole pages, parts of two, the last page, across the end, beyond it, nothing.
      const holes = [[4096, 8192], [100, 8000], [16_384, 3616], [19_999, 5000], [30_000, 9], [
        5,
        0,
      ]];
      for (const [offset = 0, length = 0] of holes) {
        try {
          file.punchHole(offset, length);
        } catch {
          throwsCode("UNSUPPORTED", () => file.punchHole(offset, length));
          assert.deepEqual(readAll(fs, `${root}/a`), old, "nothing has changed");
          continue;
        }
        expected.fill(0, offset, offset + length);
        assert.deepEqual(readAll(fs, `${root}/a`), expected, `${offset}, ${length}`);
      }
      // What is written into a hole is there, also where the page before it was written last.
      file.writeAt(bytes("abc"), 4096);
      try {
        file.punchHole(4096, 4096);
      } catch {
        file.writeAt(new Uint8Array(3), 4096);
      }
      file.writeAt(bytes("d"), 4097);
      assert.equal(text(readAll(fs, `${root}/a`).subarray(4096, 4099)), "\0d\0");
      file.write(bytes("x"));
      assert.equal(text(readAll(fs, `${root}/a`).subarray(0, 1)), "x", "the cursor stays");
      using reader = fs.open(`${root}/a`);
      throwsCode("READ_ONLY", () => reader.punchHole(0, 1));
    },
  },
  {
    name: "sync(), syncData(), syncTo(), preallocate() and prefetch() leave content and length",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.preallocate(0, 1 << 20);
      assert.equal(file.stat().size, 0);
      file.write(bytes("content"));
      file.syncData();
      assert.equal(typeof file.syncTo(3), "boolean");
      file.prefetch(0, 100);
      file.sync();
      assert.equal(text(readAll(fs, `${root}/a`)), "content");
      using reader = fs.open(`${root}/a`);
      reader.sync();
    },
  },
  {
    name: "offsets and lengths that are none are refused",
    async run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.write(bytes("content"));
      const one = new Uint8Array(1);
      for (const bad of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
        throwsCode("INVALID", () => file.readAt(one, bad));
        await rejectsCode("INVALID", file.readAtAsync(one, bad));
        throwsCode("INVALID", () => file.writeAt(one, bad));
        throwsCode("INVALID", () => file.writeVectorAt([one], bad));
        throwsCode("INVALID", () => file.truncate(bad));
        throwsCode("INVALID", () => file.punchHole(bad, 1));
        throwsCode("INVALID", () => file.punchHole(0, bad));
        throwsCode("INVALID", () => file.syncTo(bad));
        throwsCode("INVALID", () => file.preallocate(bad, 1));
        throwsCode("INVALID", () => file.preallocate(0, bad));
        throwsCode("INVALID", () => file.prefetch(0, bad));
      }
      assert.equal(text(readAll(fs, `${root}/a`)), "content");
    },
  },
  {
    name: "two handles of one file see each other's writes, each with a cursor of its own",
    run(fs, root) {
      using a = fs.create(`${root}/a`);
      using b = fs.openReadWrite(`${root}/a`);
      a.write(bytes("aaaa"));
      b.write(bytes("bb"));
      a.write(bytes("AA"));
      assert.equal(text(readAll(fs, `${root}/a`)), "bbaaAA");
      b.truncate(1);
      assert.equal(a.stat().size, 1);
    },
  },
];

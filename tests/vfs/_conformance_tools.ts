import assert from "node:assert/strict";
import {
  atomicWrite,
  BufferedWriter,
  durableMkdirAll,
  durableRemove,
  durableRename,
  exists,
  Marker,
  readBlocks,
  readFile,
  readText,
  removeTemporaries,
  syncPath,
  TemporaryFile,
  temporarySuffix,
} from "../../vfs/mod.ts";
import type { ConformanceCase } from "./_conformance_case.ts";
import { bytes, readAll, readTree, rejectsCode, text, throwsCode, writeAll } from "./_support.ts";

/** What must hold for the tools that work over any file system. */
export const toolCases: readonly ConformanceCase[] = [
  {
    name: "exists() tells what has a name from what has none",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "");
      assert.deepEqual([exists(fs, root), exists(fs, `${root}/a`)], [true, true]);
      assert.deepEqual([exists(fs, `${root}/b`), exists(fs, `${root}/b/c`)], [false, false]);
      assert.equal(exists(fs, `${root}/a/below`), false);
      throwsCode("INVALID", () => exists(fs, ""));
    },
  },
  {
    name: "readText() gives all of a file, and refuses what is no text",
    run(fs, root) {
      const long = `\uFEFFé${"text ".repeat(30_000)}€`;
      writeAll(fs, `${root}/a`, long);
      assert.equal(readText(fs, `${root}/a`), long);
      assert.deepEqual(readFile(fs, `${root}/a`), bytes(long));
      writeAll(fs, `${root}/empty`, "");
      assert.equal(readText(fs, `${root}/empty`), "");
      writeAll(fs, `${root}/torn`, bytes("€").subarray(0, 2));
      throwsCode("INVALID", () => readText(fs, `${root}/torn`));
      assert.equal(readFile(fs, `${root}/torn`).length, 2);
      throwsCode("NOT_FOUND", () => readText(fs, `${root}/missing`));
      throwsCode("IS_A_DIRECTORY", () => readText(fs, root));
    },
  },
  {
    name: "readBlocks() fills many blocks, a few at once, short only at the end",
    async run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.write(Uint8Array.from({ length: 50_000 }, (_, i) => (i * 7) & 255));
      const blocks = Array.from({ length: 60 }, (_, i) => {
        return { offset: i * 997, into: new Uint8Array(500 + i) };
      });
      for (const parallel of [1, 3, 100]) {
        for (const { into } of blocks) into.fill(255);
        const counts = await readBlocks(file, blocks, { parallel });
        for (const [at, { offset, into }] of blocks.entries()) {
          assert.equal(counts[at], Math.max(0, Math.min(into.length, 50_000 - offset)));
          assert.ok(into.subarray(0, counts[at]).every((b, i) => b === (((offset + i) * 7) & 255)));
        }
      }
      assert.deepEqual(await readBlocks(file, []), []);
      await rejectsCode("INVALID", readBlocks(file, blocks, { parallel: 0 }));
      const bad = [...blocks.slice(0, 5), { offset: -1, into: new Uint8Array(1) }, ...blocks];
      await rejectsCode("INVALID", readBlocks(file, bad));
      file.close();
      await rejectsCode("CLOSED", readBlocks(file, blocks));
    },
  },
  {
    name: "syncPath() syncs files and directories with their names, and creates nothing",
    run(fs, root) {
      fs.mkdirAll(`${root}/dir`);
      writeAll(fs, `${root}/dir/a`, "a");
      syncPath(fs, `${root}/dir/a`);
      syncPath(fs, `${root}/dir`);
      throwsCode("NOT_FOUND", () => syncPath(fs, `${root}/b`));
      assert.deepEqual(readTree(fs, root), { dir: { a: "a" } });
    },
  },
  {
    name: "atomicWrite() replaces a content, and leaves only that",
    needsOpenRemoved: true,
    run(fs, root) {
      atomicWrite(fs, `${root}/a`, bytes("old"), { verify: true });
      using old = fs.open(`${root}/a`);
      atomicWrite(fs, `${root}/a`, [bytes("ne"), bytes("w")]);
      assert.equal(old.stat().size, 3);
      assert.deepEqual(readTree(fs, root), { a: "new" });
      throwsCode("NOT_FOUND", () => atomicWrite(fs, `${root}/missing/a`, bytes("")));
      fs.mkdirAll(`${root}/dir`);
      throwsCode("IS_A_DIRECTORY", () => atomicWrite(fs, `${root}/dir`, bytes("")));
      assert.deepEqual(readTree(fs, root), { a: "new", dir: {} });
      writeAll(fs, `${root}/b${temporarySuffix}`, "left by a crash");
      assert.deepEqual(removeTemporaries(fs, root), [`b${temporarySuffix}`]);
    },
  },
  {
    name: "durableMkdirAll(), durableRename() and durableRemove() do what they say",
    run(fs, root) {
      durableMkdirAll(fs, `${root}/a/b`);
      writeAll(fs, `${root}/a/b/file`, "f");
      durableRename(fs, `${root}/a/b/file`, `${root}/file`);
      durableRename(fs, `${root}/a/b`, `${root}/c`);
      assert.deepEqual(readTree(fs, root), { a: {}, c: {}, file: "f" });
      throwsCode("NOT_FOUND", () => durableRename(fs, `${root}/missing`, `${root}/x`));
      throwsCode("NOT_A_DIRECTORY", () => durableMkdirAll(fs, `${root}/file/below`));
      durableRemove(fs, `${root}/file`);
      durableRemove(fs, `${root}/a`);
      durableRemove(fs, `${root}/missing`);
      assert.deepEqual(readTree(fs, root), { c: {} });
    },
  },
  {
    name: "TemporaryFile is gone when it is closed, unless it was kept",
    run(fs, root) {
      {
        using a = TemporaryFile.create(fs, root);
        using b = TemporaryFile.create(fs, root);
        assert.notEqual(a.path, b.path, "two have two names");
        a.file.write(bytes("a"));
        assert.equal(fs.list(root).length, 2);
        assert.ok(fs.list(root).every((name) => name.endsWith(temporarySuffix)));
      }
      assert.deepEqual(fs.list(root), []);
      const kept = TemporaryFile.create(fs, root, { name: "kept" });
      kept.file.write(bytes("k"));
      assert.equal(kept.keep(), `${root}/kept${temporarySuffix}`.replace("//", "/"));
      throwsCode("INVALID", () => kept.persist(`${root}/a`));
      kept.close();
      kept.close();
      assert.deepEqual(readTree(fs, root), { [`kept${temporarySuffix}`]: "k" });
      throwsCode("CLOSED", () => kept.file.sync());
      throwsCode("CLOSED", () => kept.keep());
      throwsCode("CLOSED", () => kept.persist(`${root}/a`));
      throwsCode("NOT_FOUND", () => TemporaryFile.create(fs, `${root}/missing`));
    },
  },
  {
    name: "TemporaryFile.persist() gives it a name to stay, replaces a file, or refuses to",
    run(fs, root) {
      for (const content of ["one", "two"]) {
        using temporary = TemporaryFile.create(fs, root);
        temporary.file.write(bytes(content));
        temporary.persist(`${root}/a`);
        assert.deepEqual(readTree(fs, root), { a: content });
        temporary.file.write(bytes("+"));
        throwsCode("INVALID", () => temporary.persist(`${root}/b`));
      }
      fs.mkdirAll(`${root}/dir`);
      {
        using temporary = TemporaryFile.create(fs, root);
        throwsCode("EXISTS", () => temporary.persist(`${root}/a`, { replace: false }));
        throwsCode("IS_A_DIRECTORY", () => temporary.persist(`${root}/dir`));
        throwsCode("NOT_FOUND", () => temporary.persist(`${root}/missing/a`));
        temporary.persist(`${root}/dir/b`, { replace: false });
      }
      assert.deepEqual(readTree(fs, root), { a: "two+", dir: { b: "" } });
      {
        using temporary = TemporaryFile.create(fs, root);
        throwsCode("EXISTS", () => temporary.persist(`${root}/a`, { replace: false }));
      }
      assert.deepEqual(fs.list(root), ["a", "dir"], "one that could not stay goes");
    },
  },
  {
    name: "BufferedWriter writes what it took, in order, with bounded memory",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.write(bytes("head:"));
      const expected = ["head:"];
      using writer = new BufferedWriter(file, { bufferBytes: 100 });
      assert.equal(writer.position, 5);
      for (const [at, length] of [1, 99, 1, 0, 60, 60, 100, 101, 1000, 7, 99].entries()) {
        const piece = String.fromCharCode(97 + at).repeat(length);
        const buffer = bytes(piece);
        writer.write(buffer);
        buffer.fill(0);
        expected.push(piece);
        assert.ok(writer.bufferedBytes <= 100);
        assert.equal(writer.position - writer.bufferedBytes, file.stat().size);
      }
      assert.equal(writer.bufferedBytes > 0, true);
      writer.flush();
      assert.equal(text(readAll(fs, `${root}/a`)), expected.join(""));
      writer.write(bytes("!"));
      writer.sync();
      writer.write(bytes("?"));
      writer.syncData();
      writer.write(bytes("."));
      writer.close();
      writer.close();
      assert.equal(text(readAll(fs, `${root}/a`)), expected.join("") + "!?.");
      throwsCode("CLOSED", () => writer.write(bytes("x")));
      throwsCode("CLOSED", () => writer.flush());
      throwsCode("CLOSED", () => writer.sync());
      throwsCode("CLOSED", () => writer.readAt(new Uint8Array(1), 0));
    },
  },
  {
    name: "BufferedWriter.readAt() sees what was taken, written or not; it can begin anywhere",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "0123456789");
      using file = fs.openReadWrite(`${root}/a`);
      using writer = new BufferedWriter(file, { position: 4, bufferBytes: 16 });
      const read = (offset: number, length: number) => {
        const into = new Uint8Array(length);
        return text(into.subarray(0, writer.readAt(into, offset)));
      };
      writer.write(bytes("abcdefgh"));
      assert.deepEqual([read(0, 6), read(6, 3), read(10, 9), read(12, 1)], [
        "0123ab",
        "cde",
        "gh",
        "",
      ]);
      assert.equal(text(readAll(fs, `${root}/a`)), "0123456789");
      writer.flush();
      assert.equal(read(0, 99), "0123abcdefgh");
      using behind = new BufferedWriter(file, { position: 15 });
      behind.write(bytes("end"));
      const into = new Uint8Array(20).fill(1);
      assert.equal(behind.readAt(into, 10), 8);
      assert.equal(text(into.subarray(0, 8)), "gh\0\0\0end");
      throwsCode("INVALID", () => writer.readAt(into, -1));
      throwsCode("INVALID", () => new BufferedWriter(file, { position: -1 }));
      throwsCode("INVALID", () => new BufferedWriter(file, { bufferBytes: 0 }));
      using reader = fs.open(`${root}/a`);
      const refused = new BufferedWriter(reader);
      refused.write(bytes("x"));
      throwsCode("READ_ONLY", () => refused.flush());
      throwsCode("READ_ONLY", () => refused.write(bytes("y")));
      refused.close();
    },
  },
  {
    name: "Marker keeps one value under a name, through any number of owners",
    run(fs, root) {
      assert.equal(Marker.read(fs, root, "current"), undefined);
      assert.equal(Marker.open(fs, root, "current").value, undefined);
      assert.deepEqual(fs.list(root), []);
      const other = Marker.open(fs, root, "other");
      other.move("untouched");
      for (const value of ["a", "b.c", "b.c", "with space", "é"]) {
        const marker = Marker.open(fs, root, "current");
        marker.move("meanwhile");
        marker.move(value);
        assert.equal(marker.value, value);
        assert.equal(Marker.read(fs, root, "current"), value);
        assert.equal(Marker.open(fs, root, "current").value, value);
      }
      assert.equal(Marker.open(fs, root, "other").value, "untouched");
      const names = fs.list(root).filter((name) => name.startsWith("marker.current."));
      assert.equal(names.length, 1, "old ones are gone");
      throwsCode("NOT_FOUND", () => Marker.open(fs, `${root}/missing`, "current"));
    },
  },
  {
    name: "Marker refuses what cannot be a name or a value, and goes on",
    run(fs, root) {
      const marker = Marker.open(fs, root, "m");
      marker.move("good");
      for (const bad of ["", "a/b", "a\0b", "x".repeat(250), "é".repeat(122)]) {
        throwsCode("INVALID", () => marker.move(bad));
      }
      for (const bad of ["", "a.b", "a/b", "a\0b"]) {
        throwsCode("INVALID", () => Marker.open(fs, root, bad));
        throwsCode("INVALID", () => Marker.read(fs, root, bad));
      }
      marker.move("x".repeat(200));
      assert.equal(Marker.read(fs, root, "m"), "x".repeat(200));
    },
  },
  {
    name: "Marker counts iterations as numbers, removes old ones, and tells names that are wrong",
    run(fs, root) {
      for (const name of ["999999.old", "1000000.new", "000007.older"]) {
        writeAll(fs, `${root}/marker.m.${name}`, "");
      }
      writeAll(fs, `${root}/marker.n.what`, "");
      writeAll(fs, `${root}/marker.mm.000001.other`, "");
      assert.equal(Marker.read(fs, root, "m"), "new");
      assert.equal(Marker.open(fs, root, "m").value, "new");
      assert.deepEqual(fs.list(root), [
        "marker.m.1000001.new",
        "marker.mm.000001.other",
        "marker.n.what",
      ]);
      throwsCode("CORRUPT", () => Marker.open(fs, root, "n"));
      throwsCode("CORRUPT", () => Marker.read(fs, root, "n"));
      writeAll(fs, `${root}/marker.m.1000001.else`, "");
      throwsCode("CORRUPT", () => Marker.open(fs, root, "m"));
    },
  },
];

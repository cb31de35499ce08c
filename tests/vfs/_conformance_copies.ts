import assert from "node:assert/strict";
import { copyAcross, copyFile, linkOrCopy, MemFs } from "../../vfs/mod.ts";
import type { ConformanceCase } from "./_conformance_case.ts";
import { bytes, exists, readAll, readTree, text, throwsCode, writeAll } from "./_support.ts";

/** What must hold for copies of files and trees, made over any file system. */
export const copyCases: readonly ConformanceCase[] = [
  {
    name: "copyFile() copies bytes, holes and length, and the copy is a file of its own",
    run(fs, root) {
      {
        using file = fs.create(`${root}/a`);
        file.writeAt(bytes("begin"), 0);
        file.writeAt(bytes("middle"), 700_000);
        file.truncate(1_000_000);
      }
      assert.equal(copyFile(fs, `${root}/a`, `${root}/b`), 1_000_000);
      assert.deepEqual(readAll(fs, `${root}/b`), readAll(fs, `${root}/a`));
      assert.notEqual(fs.stat(`${root}/b`).inode, fs.stat(`${root}/a`).inode);
      using copy = fs.openReadWrite(`${root}/b`);
      copy.write(bytes("BEGIN"));
      assert.equal(text(readAll(fs, `${root}/a`).subarray(0, 5)), "begin");
      writeAll(fs, `${root}/empty`, "");
      assert.equal(copyFile(fs, `${root}/empty`, `${root}/c`), 0);
      assert.equal(fs.stat(`${root}/c`).size, 0);
      assert.deepEqual(fs.list(root), ["a", "b", "c", "empty"]);
    },
  },
  {
    name: "copyFile({ limitBytes }) copies a first part",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "0123456789");
      assert.equal(copyFile(fs, `${root}/a`, `${root}/b`, { limitBytes: 4 }), 4);
      assert.equal(text(readAll(fs, `${root}/b`)), "0123");
      assert.equal(copyFile(fs, `${root}/a`, `${root}/c`, { limitBytes: 100 }), 10);
      assert.equal(copyFile(fs, `${root}/a`, `${root}/d`, { limitBytes: 0 }), 0);
      assert.equal(fs.stat(`${root}/d`).size, 0);
      throwsCode("INVALID", () => copyFile(fs, `${root}/a`, `${root}/e`, { limitBytes: -1 }));
    },
  },
  {
    name: "copyFile() replaces a file in one step: its links and handles keep the old content",
    needsOpenRemoved: true,
    run(fs, root) {
      writeAll(fs, `${root}/a`, "new");
      writeAll(fs, `${root}/b`, "old");
      fs.link(`${root}/b`, `${root}/link`);
      using old = fs.open(`${root}/b`);
      copyFile(fs, `${root}/a`, `${root}/b`);
      assert.deepEqual(readTree(fs, root), { a: "new", b: "new", link: "old" });
      const into = new Uint8Array(3);
      old.readAt(into, 0);
      assert.equal(text(into), "old");
      copyFile(fs, `${root}/a`, `${root}/a`);
      assert.equal(text(readAll(fs, `${root}/a`)), "new", "a copy onto itself loses nothing");
    },
  },
  {
    name: "copyFile() changes nothing and leaves nothing where it throws",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "a");
      writeAll(fs, `${root}/b`, "b");
      fs.mkdirAll(`${root}/dir`);
      throwsCode("NOT_FOUND", () => copyFile(fs, `${root}/missing`, `${root}/b`));
      throwsCode("NOT_FOUND", () => copyFile(fs, `${root}/a`, `${root}/missing/b`));
      throwsCode("IS_A_DIRECTORY", () => copyFile(fs, `${root}/dir`, `${root}/b`));
      throwsCode("IS_A_DIRECTORY", () => copyFile(fs, `${root}/a`, `${root}/dir`));
      throwsCode("EXISTS", () => copyFile(fs, `${root}/a`, `${root}/b`, { replace: false }));
      assert.deepEqual(readTree(fs, root), { a: "a", b: "b", dir: {} });
      copyFile(fs, `${root}/a`, `${root}/c`, { replace: false });
      assert.deepEqual(readTree(fs, root), { a: "a", b: "b", c: "a", dir: {} });
      assert.equal(fs.stat(`${root}/c`).links, 1, "the temporary name is gone");
    },
  },
  {
    name: "linkOrCopy() links where it can, and tells a taken name and a missing source",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "a");
      assert.equal(linkOrCopy(fs, `${root}/a`, `${root}/b`), "linked");
      assert.equal(fs.stat(`${root}/a`).links, 2);
      assert.equal(fs.stat(`${root}/b`).inode, fs.stat(`${root}/a`).inode);
      throwsCode("EXISTS", () => linkOrCopy(fs, `${root}/a`, `${root}/b`));
      throwsCode("NOT_FOUND", () => linkOrCopy(fs, `${root}/missing`, `${root}/c`));
      throwsCode("NOT_FOUND", () => linkOrCopy(fs, `${root}/a`, `${root}/missing/c`));
      fs.mkdirAll(`${root}/dir`);
      throwsCode("IS_A_DIRECTORY", () => linkOrCopy(fs, `${root}/dir`, `${root}/c`));
      assert.deepEqual(fs.list(root), ["a", "b", "dir"]);
    },
  },
  {
    name: "copyAcross() copies a tree within one file system, hard links as one file",
    run(fs, root) {
      fs.mkdirAll(`${root}/from/sub/empty`);
      writeAll(fs, `${root}/from/a`, "a");
      writeAll(fs, `${root}/from/sub/b`, "b");
      fs.link(`${root}/from/a`, `${root}/from/sub/same`);
      assert.equal(copyAcross(fs, `${root}/from`, fs, `${root}/deep/to`), true);
      const tree = { a: "a", sub: { b: "b", empty: {}, same: "a" } };
      assert.deepEqual(readTree(fs, `${root}/deep/to`), tree);
      assert.deepEqual(readTree(fs, `${root}/from`), tree);
      const copy = fs.stat(`${root}/deep/to/a`);
      assert.equal(copy.inode, fs.stat(`${root}/deep/to/sub/same`).inode);
      assert.deepEqual([copy.links, fs.stat(`${root}/from/a`).links], [2, 2]);
    },
  },
  {
    name: "copyAcross() copies trees and files to another file system, and back",
    run(fs, root) {
      fs.mkdirAll(`${root}/from/sub`);
      writeAll(fs, `${root}/from/a`, "a".repeat(10_000));
      writeAll(fs, `${root}/from/sub/b`, "b");
      fs.link(`${root}/from/a`, `${root}/from/sub/same`);
      const memory = new MemFs();
      assert.equal(copyAcross(fs, `${root}/from`, memory, "/there"), true);
      assert.deepEqual(readTree(memory, "/there"), readTree(fs, `${root}/from`));
      assert.equal(memory.stat("/there/a").links, 2);
      assert.equal(copyAcross(memory, "/there", fs, `${root}/back`), true);
      assert.deepEqual(readTree(fs, `${root}/back`), readTree(fs, `${root}/from`));
      assert.equal(fs.stat(`${root}/back/a`).links, 2);
      assert.equal(copyAcross(memory, "/there/sub/b", fs, `${root}/b`), true);
      assert.equal(text(readAll(fs, `${root}/b`)), "b");
      assert.equal(memory.openHandles, 0);
    },
  },
  {
    name: "copyAcross() adds and replaces, removes nothing, and says where nothing is",
    run(fs, root) {
      fs.mkdirAll(`${root}/from`);
      writeAll(fs, `${root}/from/a`, "new");
      fs.link(`${root}/from/a`, `${root}/from/b`);
      fs.mkdirAll(`${root}/to`);
      writeAll(fs, `${root}/to/a`, "old");
      writeAll(fs, `${root}/to/b`, "old");
      writeAll(fs, `${root}/to/other`, "other");
      fs.link(`${root}/to/a`, `${root}/link`);
      copyAcross(fs, `${root}/from`, fs, `${root}/to`);
      assert.deepEqual(readTree(fs, `${root}/to`), { a: "new", b: "new", other: "other" });
      assert.equal(text(readAll(fs, `${root}/link`)), "old", "a fresh file, not the old one");
      assert.equal(copyAcross(fs, `${root}/missing`, fs, `${root}/nowhere`), false);
      assert.equal(copyAcross(fs, `${root}/to/a/below`, fs, `${root}/nowhere`), false);
      assert.ok(!exists(fs, `${root}/nowhere`));
    },
  },
  {
    name: "copyAcross() refuses a copy into itself, and a file and a directory of one name",
    run(fs, root) {
      fs.mkdirAll(`${root}/from/name`);
      writeAll(fs, `${root}/from/name/a`, "a");
      throwsCode("INVALID", () => copyAcross(fs, `${root}/from`, fs, `${root}/from`));
      throwsCode("INVALID", () => copyAcross(fs, `${root}/from`, fs, `${root}/from//name/copy`));
      throwsCode("INVALID", () => copyAcross(fs, `${root}/from/name/a`, fs, `${root}/from/name/a`));
      assert.deepEqual(readTree(fs, root), { from: { name: { a: "a" } } });
      copyAcross(fs, `${root}/from`, fs, `${root}/from-beside`);
      fs.mkdirAll(`${root}/to`);
      writeAll(fs, `${root}/to/name`, "file");
      throwsCode("NOT_A_DIRECTORY", () => copyAcross(fs, `${root}/from`, fs, `${root}/to`));
      throwsCode("IS_A_DIRECTORY", () => copyAcross(fs, `${root}/to`, fs, `${root}/from`));
      fs.mkdirAll(`${root}/links`);
      writeAll(fs, `${root}/links/a`, "a");
      fs.link(`${root}/links/a`, `${root}/links/b`);
      fs.mkdirAll(`${root}/there/b`);
      throwsCode("IS_A_DIRECTORY", () => copyAcross(fs, `${root}/links`, fs, `${root}/there`));
      assert.ok(fs.stat(`${root}/there/b`).isDirectory, "an empty directory is not lost");
      assert.equal(text(readAll(fs, `${root}/to/name`)), "file");
    },
  },
  {
    name: "copyAcross({ skip, link }) leaves out what it is told, and links the rest",
    run(fs, root) {
      fs.mkdirAll(`${root}/from/logs`);
      writeAll(fs, `${root}/from/a`, "a");
      writeAll(fs, `${root}/from/b.tmp`, "b");
      writeAll(fs, `${root}/from/logs/c`, "c");
      const asked: string[] = [];
      copyAcross(fs, `${root}/from`, fs, `${root}/to`, {
        link: true,
        skip(path, info) {
          asked.push(path.slice(path.lastIndexOf("/") + 1));
          return info.isDirectory || path.endsWith(".tmp");
        },
      });
      assert.deepEqual(
        asked,
        ["a", "b.tmp", "logs"],
        "in order, and nothing below what is left out",
      );
      assert.deepEqual(readTree(fs, `${root}/to`), { a: "a" });
      assert.equal(fs.stat(`${root}/to/a`).inode, fs.stat(`${root}/from/a`).inode);
      copyAcross(fs, `${root}/from`, fs, `${root}/to`, { link: true });
      assert.deepEqual(readTree(fs, `${root}/to`), readTree(fs, `${root}/from`));
      const memory = new MemFs();
      copyAcross(fs, `${root}/from/a`, memory, "/a", { link: true });
      assert.equal(text(readAll(memory, "/a")), "a", "elsewhere, it copies");
    },
  },
];

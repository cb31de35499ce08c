import assert from "node:assert/strict";
import { fsFromSpec } from "../../vfs/mod.ts";
import type { ConformanceCase } from "./_conformance_case.ts";
import { bytes, exists, readAll, rejectsCode, text, throwsCode, writeAll } from "./_support.ts";

/** What must hold for names: creating, opening, linking, moving, removing, locking, listing. */
export const nameCases: readonly ConformanceCase[] = [
  {
    name: "name says what it is; a spec, where there is one, makes the same file system again",
    run(fs, root) {
      assert.match(fs.name, /^[a-zA-Z(), ]+$/);
      if (fs.spec === undefined) return;
      writeAll(fs, `${root}/a`, "content");
      const again = fsFromSpec(structuredClone(fs.spec));
      assert.equal(text(readAll(again, `${root}/a`)), "content");
    },
  },
  {
    name: "create() makes an empty file that can be read and written",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      assert.equal(file.path, `${root}/a`);
      assert.equal(file.stat().size, 0);
      file.writeAt(bytes("hello"), 0);
      const into = new Uint8Array(5);
      assert.equal(file.readAt(into, 0), 5);
      assert.equal(text(into), "hello");
    },
  },
  {
    name: "create() over a file makes a fresh inode: links and handles keep the old content",
    needsOpenRemoved: true,
    run(fs, root) {
      writeAll(fs, `${root}/a`, "old");
      fs.link(`${root}/a`, `${root}/b`);
      using old = fs.open(`${root}/a`);
      using fresh = fs.create(`${root}/a`);
      assert.notEqual(fresh.stat().inode, old.stat().inode);
      fresh.writeAt(bytes("new"), 0);
      const into = new Uint8Array(3);
      old.readAt(into, 0);
      assert.equal(text(into), "old");
      assert.equal(text(readAll(fs, `${root}/b`)), "old");
      assert.equal(text(readAll(fs, `${root}/a`)), "new");
      assert.equal(old.stat().links, 1);
    },
  },
  {
    name: "create() tells a missing parent, a file as parent, and a directory of the name",
    run(fs, root) {
      throwsCode("NOT_FOUND", () => fs.create(`${root}/missing/a`));
      writeAll(fs, `${root}/file`, "");
      throwsCode("NOT_A_DIRECTORY", () => fs.create(`${root}/file/a`));
      fs.mkdirAll(`${root}/dir`);
      throwsCode("IS_A_DIRECTORY", () => fs.create(`${root}/dir`));
      assert.ok(fs.stat(`${root}/dir`).isDirectory);
    },
  },
  {
    name: "open() is for reading only",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "content");
      using file = fs.open(`${root}/a`);
      throwsCode("READ_ONLY", () => file.writeAt(bytes("x"), 0));
      throwsCode("READ_ONLY", () => file.write(bytes("x")));
      throwsCode("READ_ONLY", () => file.writeVectorAt([bytes("x")], 0));
      throwsCode("READ_ONLY", () => file.truncate(1));
      assert.equal(text(readAll(fs, `${root}/a`)), "content");
    },
  },
  {
    name: "open() tells what is missing and what is a directory",
    run(fs, root) {
      throwsCode("NOT_FOUND", () => fs.open(`${root}/a`));
      throwsCode("NOT_FOUND", () => fs.open(`${root}/a/b`));
      throwsCode("IS_A_DIRECTORY", () => fs.open(root));
      writeAll(fs, `${root}/file`, "");
      throwsCode("NOT_A_DIRECTORY", () => fs.open(`${root}/file/a`));
    },
  },
  {
    name: "openReadWrite() keeps the content, and creates what is missing",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "content");
      using file = fs.openReadWrite(`${root}/a`);
      file.writeAt(bytes("C"), 0);
      assert.equal(text(readAll(fs, `${root}/a`)), "Content");
      fs.openReadWrite(`${root}/b`).close();
      assert.equal(fs.stat(`${root}/b`).size, 0);
      throwsCode("IS_A_DIRECTORY", () => fs.openReadWrite(root));
      throwsCode("NOT_FOUND", () => fs.openReadWrite(`${root}/missing/a`));
    },
  },
  {
    name: "openDir() gives a handle to sync and to stat, and nothing else",
    async run(fs, root) {
      using dir = fs.openDir(root);
      dir.sync();
      dir.syncData();
      assert.ok(dir.stat().isDirectory);
      assert.ok(!dir.stat().isFile);
      const into = new Uint8Array(1);
      throwsCode("IS_A_DIRECTORY", () => dir.read(into));
      throwsCode("IS_A_DIRECTORY", () => dir.readAt(into, 0));
      await rejectsCode("IS_A_DIRECTORY", dir.readAtAsync(into, 0));
      throwsCode("IS_A_DIRECTORY", () => dir.write(into));
      throwsCode("IS_A_DIRECTORY", () => dir.writeAt(into, 0));
      throwsCode("IS_A_DIRECTORY", () => dir.writeVectorAt([into], 0));
      throwsCode("IS_A_DIRECTORY", () => dir.truncate(0));
      throwsCode("IS_A_DIRECTORY", () => dir.punchHole(0, 1));
      writeAll(fs, `${root}/file`, "");
      throwsCode("NOT_A_DIRECTORY", () => fs.openDir(`${root}/file`));
      throwsCode("NOT_FOUND", () => fs.openDir(`${root}/missing`));
    },
  },
  {
    name: "link() gives one file two names",
    needsOpenRemoved: true,
    run(fs, root) {
      writeAll(fs, `${root}/a`, "one");
      fs.link(`${root}/a`, `${root}/b`);
      const a = fs.stat(`${root}/a`);
      const b = fs.stat(`${root}/b`);
      assert.equal(a.inode, b.inode);
      assert.equal(a.device, b.device);
      assert.equal(a.links, 2);
      using file = fs.openReadWrite(`${root}/b`);
      file.writeAt(bytes("two"), 0);
      assert.equal(text(readAll(fs, `${root}/a`)), "two");
      fs.remove(`${root}/a`);
      assert.equal(fs.stat(`${root}/b`).links, 1);
      assert.equal(text(readAll(fs, `${root}/b`)), "two");
    },
  },
  {
    name: "link() tells a missing source, a taken name and a directory",
    run(fs, root) {
      throwsCode("NOT_FOUND", () => fs.link(`${root}/a`, `${root}/b`));
      writeAll(fs, `${root}/a`, "a");
      writeAll(fs, `${root}/b`, "b");
      throwsCode("EXISTS", () => fs.link(`${root}/a`, `${root}/b`));
      assert.equal(text(readAll(fs, `${root}/b`)), "b");
      throwsCode("NOT_FOUND", () => fs.link(`${root}/a`, `${root}/missing/b`));
      fs.mkdirAll(`${root}/dir`);
      throwsCode("IS_A_DIRECTORY", () => fs.link(`${root}/dir`, `${root}/dir2`));
    },
  },
  {
    name: "remove() takes a name; the open file lives on",
    needsOpenRemoved: true,
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      file.writeAt(bytes("still here"), 0);
      fs.remove(`${root}/a`);
      assert.ok(!exists(fs, `${root}/a`));
      assert.equal(file.stat().links, 0);
      file.writeAt(bytes("S"), 0);
      const into = new Uint8Array(10);
      assert.equal(file.readAt(into, 0), 10);
      assert.equal(text(into), "Still here");
      file.sync();
    },
  },
  {
    name: "remove() takes an empty directory and refuses one that is not",
    run(fs, root) {
      fs.mkdirAll(`${root}/dir/sub`);
      throwsCode("NOT_EMPTY", () => fs.remove(`${root}/dir`));
      fs.remove(`${root}/dir/sub`);
      fs.remove(`${root}/dir`);
      assert.deepEqual(fs.list(root), []);
      throwsCode("NOT_FOUND", () => fs.remove(`${root}/dir`));
    },
  },
  {
    name: "removeAll() takes a tree, and minds nothing that is missing",
    run(fs, root) {
      fs.mkdirAll(`${root}/dir/sub/deep`);
      writeAll(fs, `${root}/dir/a`, "a");
      writeAll(fs, `${root}/dir/sub/b`, "b");
      fs.removeAll(`${root}/dir`);
      fs.removeAll(`${root}/dir`);
      fs.removeAll(`${root}/missing/below`);
      writeAll(fs, `${root}/file`, "");
      fs.removeAll(`${root}/file/below`);
      assert.deepEqual(fs.list(root), ["file"]);
      fs.removeAll(`${root}/file`);
      assert.deepEqual(fs.list(root), []);
      throwsCode("INVALID", () => fs.removeAll("/"));
      throwsCode("INVALID", () => fs.removeAll(""));
    },
  },
  {
    name: "rename() replaces a file in one step, handles stay with their files",
    needsOpenRemoved: true,
    run(fs, root) {
      writeAll(fs, `${root}/a`, "a");
      writeAll(fs, `${root}/b`, "b");
      using a = fs.open(`${root}/a`);
      using b = fs.open(`${root}/b`);
      fs.rename(`${root}/a`, `${root}/b`);
      assert.deepEqual(fs.list(root), ["b"]);
      assert.equal(text(readAll(fs, `${root}/b`)), "a");
      const into = new Uint8Array(1);
      a.readAt(into, 0);
      assert.equal(text(into), "a");
      b.readAt(into, 0);
      assert.equal(text(into), "b");
    },
  },
  {
    name: "rename() changes nothing where it throws",
    run(fs, root) {
      writeAll(fs, `${root}/file`, "kept");
      fs.mkdirAll(`${root}/dir`);
      fs.mkdirAll(`${root}/full`);
      writeAll(fs, `${root}/full/a`, "");
      throwsCode("NOT_FOUND", () => fs.rename(`${root}/file`, `${root}/missing/file`));
      throwsCode("NOT_FOUND", () => fs.rename(`${root}/missing`, `${root}/file`));
      throwsCode("NOT_A_DIRECTORY", () => fs.rename(`${root}/full`, `${root}/file/x`));
      throwsCode("IS_A_DIRECTORY", () => fs.rename(`${root}/file`, `${root}/dir`));
      throwsCode("NOT_A_DIRECTORY", () => fs.rename(`${root}/dir`, `${root}/file`));
      throwsCode("NOT_EMPTY", () => fs.rename(`${root}/dir`, `${root}/full`));
      throwsCode("INVALID", () => fs.rename(`${root}/full`, `${root}/full/below`));
      assert.deepEqual(fs.list(root), ["dir", "file", "full"]);
      assert.equal(text(readAll(fs, `${root}/file`)), "kept");
      assert.deepEqual(fs.list(`${root}/full`), ["a"]);
    },
  },
  {
    name: "rename() moves directories, also over an empty one, and to where they are",
    run(fs, root) {
      fs.mkdirAll(`${root}/a/sub`);
      writeAll(fs, `${root}/a/sub/f`, "f");
      fs.mkdirAll(`${root}/b`);
      fs.rename(`${root}/a`, `${root}/b`);
      assert.deepEqual(fs.list(root), ["b"]);
      fs.rename(`${root}/b/sub/f`, `${root}/b/g`);
      fs.rename(`${root}/b/g`, `${root}/b/g`);
      fs.rename(`${root}/b`, `${root}/b`);
      assert.deepEqual(fs.list(`${root}/b`), ["g", "sub"]);
      assert.deepEqual(fs.list(`${root}/b/sub`), []);
    },
  },
  {
    name: "rename() of one hard link to the other does nothing",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "a");
      fs.link(`${root}/a`, `${root}/b`);
      fs.rename(`${root}/a`, `${root}/b`);
      assert.deepEqual(fs.list(root), ["a", "b"]);
    },
  },
  {
    name: "reuseForWrite() renames and keeps the old bytes under the new ones",
    run(fs, root) {
      writeAll(fs, `${root}/old`, "0123456789");
      using file = fs.reuseForWrite(`${root}/old`, `${root}/new`);
      assert.equal(file.path, `${root}/new`);
      file.write(bytes("abc"));
      assert.deepEqual(fs.list(root), ["new"]);
      assert.equal(text(readAll(fs, `${root}/new`)), "abc3456789");
      throwsCode("NOT_FOUND", () => fs.reuseForWrite(`${root}/old`, `${root}/new`));
      fs.mkdirAll(`${root}/dir`);
      throwsCode("IS_A_DIRECTORY", () => fs.reuseForWrite(`${root}/dir`, `${root}/x`));
    },
  },
  {
    name: "mkdirAll() makes all that is missing, and refuses a file in the way",
    run(fs, root) {
      fs.mkdirAll(`${root}/a/b/c`);
      fs.mkdirAll(`${root}/a/b/c`);
      assert.ok(fs.stat(`${root}/a/b/c`).isDirectory);
      writeAll(fs, `${root}/file`, "");
      throwsCode("NOT_A_DIRECTORY", () => fs.mkdirAll(`${root}/file`));
      throwsCode("NOT_A_DIRECTORY", () => fs.mkdirAll(`${root}/file/below`));
    },
  },
  {
    name: "lock() creates the file, lets one owner in, and can be closed again and again",
    run(fs, root) {
      const first = fs.lock(`${root}/LOCK`);
      assert.deepEqual(fs.list(root), ["LOCK"]);
      throwsCode("LOCKED", () => fs.lock(`${root}/LOCK`));
      first.close();
      first.close();
      const second = fs.lock(`${root}/LOCK`);
      first.close();
      throwsCode("LOCKED", () => fs.lock(`${root}/LOCK`));
      second[Symbol.dispose]();
      fs.lock(`${root}/LOCK`).close();
      throwsCode("NOT_FOUND", () => fs.lock(`${root}/missing/LOCK`));
      throwsCode("IS_A_DIRECTORY", () => fs.lock(root));
    },
  },
  {
    name: "lock() knows a file by any spelling of its path",
    run(fs, root) {
      using _first = fs.lock(`${root}/LOCK`);
      throwsCode("LOCKED", () => fs.lock(`${root}//LOCK`));
      throwsCode("LOCKED", () => fs.lock(`${root}/./LOCK`));
      fs.link(`${root}/LOCK`, `${root}/ALIAS`);
      throwsCode("LOCKED", () => fs.lock(`${root}/ALIAS`));
    },
  },
  {
    name: "lock() does not change what is in the file",
    run(fs, root) {
      writeAll(fs, `${root}/LOCK`, "pid 1");
      using _lock = fs.lock(`${root}/LOCK`);
      assert.equal(text(readAll(fs, `${root}/LOCK`)), "pid 1");
    },
  },
  {
    name: "list() sorts by code unit",
    run(fs, root) {
      for (const name of ["b", "a", "B", "é", "10", "9"]) writeAll(fs, `${root}/${name}`, "");
      assert.deepEqual(fs.list(root), ["10", "9", "B", "a", "b", "é"]);
      throwsCode("NOT_FOUND", () => fs.list(`${root}/missing`));
      throwsCode("NOT_A_DIRECTORY", () => fs.list(`${root}/a`));
    },
  },
  {
    name: "stat() tells files from directories, and what is missing",
    run(fs, root) {
      writeAll(fs, `${root}/a`, "12345");
      const file = fs.stat(`${root}/a`);
      assert.equal(file.size, 5);
      assert.ok(file.isFile && !file.isDirectory);
      const dir = fs.stat(root);
      assert.equal(dir.size, 0);
      assert.ok(dir.isDirectory && !dir.isFile);
      throwsCode("NOT_FOUND", () => fs.stat(`${root}/b`));
      throwsCode("NOT_A_DIRECTORY", () => fs.stat(`${root}/a/b`));
      using handle = fs.open(`${root}/a`);
      assert.equal(handle.stat().inode, file.inode);
    },
  },
  {
    name: "diskUsage() tells consistent figures, or why not",
    run(fs, root) {
      let usage;
      try {
        usage = fs.diskUsage(root);
      } catch {
        throwsCode(["UNSUPPORTED", "PERMISSION"], () => fs.diskUsage(root));
        return;
      }
      assert.ok(usage.availableBytes <= usage.totalBytes);
      assert.ok(usage.usedBytes <= usage.totalBytes);
    },
  },
  {
    name: "paths may have doubled and trailing slashes; empty ones and NUL are refused",
    run(fs, root) {
      fs.mkdirAll(`${root}//dir/`);
      writeAll(fs, `${root}/dir//a`, "a");
      assert.deepEqual(fs.list(`${root}/dir/`), ["a"]);
      throwsCode("INVALID", () => fs.open(""));
      throwsCode("INVALID", () => fs.create(""));
      throwsCode("INVALID", () => fs.stat(`${root}/a\0b`));
      throwsCode("INVALID", () => fs.rename(`${root}/dir/a`, ""));
    },
  },
];

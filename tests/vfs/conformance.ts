import assert from "node:assert/strict";
import type { Fs } from "../../vfs/mod.ts";
import { bytes, exists, readAll, rejectsCode, text, throwsCode, writeAll } from "./_support.ts";

/** One promise of the file-system contract; `root` is an empty directory of its own. */
export interface ConformanceCase {
  readonly name: string;
  readonly run: (fs: Fs, root: string) => void | Promise<void>;
}

/** What every file system of this folder must do, each by itself and under every wrapper. */
export const conformanceCases: readonly ConformanceCase[] = [
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
      writeAll(fs, `${root}/file`, "");
      throwsCode("NOT_A_DIRECTORY", () => fs.openDir(`${root}/file`));
      throwsCode("NOT_FOUND", () => fs.openDir(`${root}/missing`));
    },
  },
  {
    name: "link() gives one file two names",
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
    name: "writeAt() does not keep the caller's buffer",
    run(fs, root) {
      using file = fs.create(`${root}/a`);
      const buffer = new Uint8Array(8192).fill(1);
      file.writeAt(buffer, 0);
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

/** A file system to try, an empty directory in it, and what ends it. */
export interface ConformanceTarget {
  readonly fs: Fs;
  readonly root: string;
  readonly close?: () => void;
}

/** Registers a test for each case; `make` gives a fresh target each time. */
export function testConformance(label: string, make: () => ConformanceTarget): void {
  for (const { name, run } of conformanceCases) {
    Deno.test(`${label}: ${name}`, async () => {
      const target = make();
      try {
        await run(target.fs, target.root);
      } finally {
        target.close?.();
      }
    });
  }
}

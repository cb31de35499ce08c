import assert from "node:assert/strict";
import { FlagstoneError } from "../../errors/mod.ts";
import { MemFs, syncDirectory } from "../../vfs/mod.ts";
import {
  bytes,
  exists,
  readAll,
  readTree,
  text,
  throwsCode,
  writeAll,
  writeSynced,
} from "./_support.ts";

/** What is left after the worst power loss. */
function synced(fs: MemFs) {
  return readTree(fs.crashClone({ keep: "synced" }), "/");
}

Deno.test("MemFs.crashClone() keeps a synced file under a synced name, and nothing else", () => {
  const fs = new MemFs();
  using a = fs.create("/a");
  a.write(bytes("one"));
  assert.deepEqual(synced(fs), {});
  a.sync();
  assert.deepEqual(synced(fs), {}, "the name is not synced");
  syncDirectory(fs, "/");
  assert.deepEqual(synced(fs), { a: "one" });
  a.write(bytes("two"));
  writeAll(fs, "/b", "unsynced");
  assert.deepEqual(synced(fs), { a: "one" });
  a.syncData();
  assert.deepEqual(synced(fs), { a: "onetwo" });
  syncDirectory(fs, "/");
  assert.deepEqual(synced(fs), { a: "onetwo", b: "" });
  assert.deepEqual(readTree(fs.crashClone({ keep: "all" }), "/"), { a: "onetwo", b: "unsynced" });
});

Deno.test("MemFs.crashClone() is apart from the original, both ways", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "x".repeat(10_000));
  for (const keep of ["synced", "all"] as const) {
    const clone = fs.crashClone({ keep });
    using mine = fs.openReadWrite("/a");
    using theirs = clone.openReadWrite("/a");
    mine.writeAt(bytes("mine"), 4094);
    theirs.writeAt(bytes("them"), 4090);
    mine.sync();
    theirs.sync();
    mine.writeAt(bytes("MINE"), 4094);
    assert.equal(text(readAll(clone, "/a").subarray(4089, 4099)), "xthemxxxxx");
    assert.equal(text(readAll(fs, "/a").subarray(4089, 4099)), "xxxxxMINEx");
    const again = fs.crashClone({ keep: "synced" });
    assert.equal(text(readAll(again, "/a").subarray(4089, 4099)), "xxxxxminex");
    mine.writeAt(bytes("xxxx"), 4094);
    mine.sync();
  }
});

Deno.test("MemFs.crashClone() keeps its pages while the original writes others over and over", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "a".repeat(20_000));
  using a = fs.openReadWrite("/a");
  const clone = fs.crashClone({ keep: "synced" });
  for (const fill of ["b", "c"]) {
    a.writeAt(bytes(fill.repeat(20_000)), 0);
    a.sync();
    writeSynced(fs, `/${fill}`, fill.repeat(40_000));
  }
  assert.equal(text(readAll(clone, "/a")), "a".repeat(20_000));
  a.writeAt(bytes("d".repeat(5000)), 0);
  const visible = fs.crashClone({ keep: "all" });
  a.writeAt(bytes("e".repeat(5000)), 0);
  assert.equal(text(readAll(visible, "/a")), "d".repeat(5000) + "c".repeat(15_000));
});

Deno.test("MemFs.crashClone() loses a cut, an extension and a hole that were not synced", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "y".repeat(9000));
  using a = fs.openReadWrite("/a");
  a.truncate(5000);
  a.truncate(8000);
  assert.equal(synced(fs)["a"], "y".repeat(9000));
  a.sync();
  assert.equal(synced(fs)["a"], "y".repeat(5000) + "\0".repeat(3000));
  a.truncate(0);
  a.writeAt(bytes("end"), 100_000);
  assert.equal(synced(fs)["a"], "y".repeat(5000) + "\0".repeat(3000));
  a.sync();
  assert.equal(synced(fs)["a"], "\0".repeat(100_000) + "end");
});

Deno.test("MemFs.crashClone() brings back a removed file, and the old target of a rename", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "a");
  writeSynced(fs, "/b", "b");
  fs.rename("/a", "/b");
  assert.deepEqual(synced(fs), { a: "a", b: "b" });
  fs.remove("/b");
  assert.deepEqual(synced(fs), { a: "a", b: "b" });
  syncDirectory(fs, "/");
  assert.deepEqual(synced(fs), {});
});

Deno.test("MemFs.crashClone() keeps hard links as one file", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "a");
  fs.link("/a", "/b");
  syncDirectory(fs, "/");
  const clone = fs.crashClone({ keep: "synced" });
  assert.equal(clone.stat("/b").links, 2);
  using b = clone.openReadWrite("/b");
  b.write(bytes("B"));
  assert.equal(text(readAll(clone, "/a")), "B");
});

Deno.test("MemFs.crashClone() loses a directory whose name was not synced, and all below", () => {
  const fs = new MemFs();
  fs.mkdirAll("/d/e");
  writeSynced(fs, "/d/e/f", "f");
  assert.deepEqual(synced(fs), {});
  syncDirectory(fs, "/");
  assert.deepEqual(synced(fs), { d: {} });
  syncDirectory(fs, "/d");
  assert.deepEqual(synced(fs), { d: { e: { f: "f" } } });
});

Deno.test("MemFs.crashClone() holds no locks and no handles, and can crash again", () => {
  const fs = new MemFs();
  writeSynced(fs, "/LOCK", "");
  using _lock = fs.lock("/LOCK");
  const clone = fs.crashClone({ keep: "synced" });
  using _other = clone.lock("/LOCK");
  writeAll(clone, "/new", "");
  assert.deepEqual(synced(clone), { LOCK: "" });
});

Deno.test("MemFs.onSync tells each sync before and after, and may take a clone", () => {
  const fs = new MemFs();
  const told: string[] = [];
  fs.onSync = (path, kind, when) => {
    const tree = fs.crashClone({ keep: "synced" });
    told.push(`${when} ${kind} ${path}: ${tree.list("/").length}`);
  };
  writeSynced(fs, "/a", "a");
  using a = fs.openReadWrite("/a");
  a.syncData();
  assert.deepEqual(told, [
    "before sync /a: 0",
    "after sync /a: 0",
    "before directory /: 0",
    "after directory /: 1",
    "before syncData /a: 1",
    "after syncData /a: 1",
  ]);
});

Deno.test("MemFs.setIgnoreSyncs() freezes what a crash leaves", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "a");
  fs.setIgnoreSyncs(true);
  writeSynced(fs, "/b", "b");
  using a = fs.openReadWrite("/a");
  a.write(bytes("A"));
  a.sync();
  assert.deepEqual(synced(fs), { a: "a" });
  fs.setIgnoreSyncs(false);
  a.sync();
  assert.deepEqual(synced(fs), { a: "A" });
});

Deno.test("MemFs({ strict: false }) refuses what needs to know what is synced", () => {
  const fs = new MemFs({ strict: false });
  writeAll(fs, "/a", "a");
  throwsCode("UNSUPPORTED", () => fs.crashClone({ keep: "synced" }));
  throwsCode("UNSUPPORTED", () => fs.setIgnoreSyncs(true));
  throwsCode("UNSUPPORTED", () => fs.resetToSyncedState());
  const clone = fs.crashClone({ keep: "all" });
  using a = fs.openReadWrite("/a");
  a.write(bytes("A"));
  assert.deepEqual(readTree(clone, "/"), { a: "a" });
});

Deno.test("MemFs.toString() prints names, sizes and depth", () => {
  const fs = new MemFs();
  fs.mkdirAll("/dir/sub");
  writeAll(fs, "/dir/sub/a", "12345");
  writeAll(fs, "/b", "x".repeat(12_345));
  const expected = [
    "          /",
    "   12345    b",
    "            dir/",
    "              sub/",
    "       5        a",
  ];
  assert.equal(fs.toString(), expected.join("\n") + "\n");
});

Deno.test("MemFs.openHandles counts what is not closed", () => {
  const fs = new MemFs();
  const a = fs.create("/a");
  const root = fs.openDir("/");
  assert.equal(fs.openHandles, 2);
  a.close();
  root.close();
  assert.equal(fs.openHandles, 0);
});

Deno.test("MemFs({ capacityBytes }) throws NO_SPACE, keeps the prefix, and goes on once there is space", () => {
  const fs = new MemFs({ capacityBytes: 16 * 4096 });
  using a = fs.create("/a");
  a.write(new Uint8Array(10 * 4096));
  using b = fs.create("/b");
  try {
    b.writeAt(new Uint8Array(10 * 4096).fill(1), 0);
    assert.fail("written beyond the capacity");
  } catch (error) {
    assert.ok(error instanceof FlagstoneError && error.code === "NO_SPACE", String(error));
    assert.equal(error.offset, 6 * 4096);
  }
  assert.equal(b.stat().size, 6 * 4096);
  assert.equal(fs.diskUsage("/").availableBytes, 0);
  a.writeAt(bytes("in place"), 0);
  a.truncate(4096 * 2 + 1);
  assert.equal(fs.diskUsage("/").availableBytes, 7 * 4096);
  b.writeAt(new Uint8Array(13 * 4096), 0);
  fs.remove("/b");
  assert.equal(fs.diskUsage("/").availableBytes, 0, "the open file keeps its space");
  b.close();
  assert.equal(fs.diskUsage("/").availableBytes, 13 * 4096);
  fs.setCapacity(undefined);
  a.writeAt(new Uint8Array(4096), 1 << 20);
  throwsCode("UNSUPPORTED", () => fs.diskUsage("/"));
});

Deno.test("MemFs({ capacityBytes }) gives a crash clone its own space", () => {
  const fs = new MemFs({ capacityBytes: 8 * 4096 });
  writeSynced(fs, "/a", new Uint8Array(6 * 4096));
  writeAll(fs, "/b", new Uint8Array(2 * 4096));
  assert.equal(fs.crashClone({ keep: "synced" }).diskUsage("/").availableBytes, 2 * 4096);
  fs.resetToSyncedState();
  assert.equal(fs.diskUsage("/").availableBytes, 2 * 4096);
});

Deno.test("P1: a rename into a missing directory loses nothing", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "a");
  throwsCode("NOT_FOUND", () => fs.rename("/a", "/missing/a"));
  throwsCode("NOT_FOUND", () => fs.reuseForWrite("/a", "/missing/a"));
  assert.deepEqual(readTree(fs, "/"), { a: "a" });
  assert.deepEqual(synced(fs), { a: "a" });
});

Deno.test("P2: no rename and no create replaces a directory that is not empty", () => {
  const fs = new MemFs();
  fs.mkdirAll("/dir");
  fs.mkdirAll("/other");
  writeAll(fs, "/dir/a", "a");
  writeAll(fs, "/b", "b");
  throwsCode("IS_A_DIRECTORY", () => fs.create("/dir"));
  throwsCode("IS_A_DIRECTORY", () => fs.rename("/b", "/dir"));
  throwsCode("IS_A_DIRECTORY", () => fs.reuseForWrite("/b", "/dir"));
  throwsCode("NOT_EMPTY", () => fs.rename("/other", "/dir"));
  assert.deepEqual(readTree(fs, "/"), { dir: { a: "a" }, other: {}, b: "b" });
});

Deno.test("P3: with Windows semantics nothing removes, replaces or recreates what is open", () => {
  const fs = new MemFs({ windows: true });
  fs.mkdirAll("/dir");
  writeAll(fs, "/dir/a", "a");
  writeAll(fs, "/b", "b");
  const refused = () => {
    throwsCode("BUSY", () => fs.remove("/dir/a"));
    throwsCode("BUSY", () => fs.removeAll("/dir"));
    throwsCode("BUSY", () => fs.rename("/b", "/dir/a"));
    throwsCode("BUSY", () => fs.reuseForWrite("/b", "/dir/a"));
    throwsCode("BUSY", () => fs.create("/dir/a"));
    assert.deepEqual(readTree(fs, "/"), { b: "b", dir: { a: "a" } });
  };
  const reader = fs.open("/dir/a");
  refused();
  reader.close();
  const lock = fs.lock("/dir/a");
  refused();
  lock.close();
  const dir = fs.openDir("/dir");
  throwsCode("BUSY", () => fs.removeAll("/dir"));
  dir.close();
  fs.reuseForWrite("/b", "/dir/a").close();
  fs.create("/dir/a").close();
  fs.removeAll("/dir");
  assert.deepEqual(fs.list("/"), []);
});

Deno.test("P5: after resetToSyncedState() old handles are dead, locks are free, bytes stay lost", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "kept");
  const a = fs.openReadWrite("/a");
  a.write(bytes("lost and long"));
  const dir = fs.openDir("/");
  const lock = fs.lock("/LOCK");
  fs.resetToSyncedState();
  throwsCode("CLOSED", () => a.write(bytes("again")));
  throwsCode("CLOSED", () => a.readAt(new Uint8Array(1), 0));
  throwsCode("CLOSED", () => dir.sync());
  a.close();
  assert.deepEqual(readTree(fs, "/"), { a: "kept" });
  using again = fs.lock("/LOCK");
  lock.close();
  throwsCode("LOCKED", () => fs.lock("/LOCK"));
  again.close();
  using b = fs.openReadWrite("/a");
  b.truncate(13);
  assert.equal(text(readAll(fs, "/a")), "kept" + "\0".repeat(9));
});

Deno.test("P5: a rename of one hard link leaves the other name alone", () => {
  const fs = new MemFs();
  writeAll(fs, "/a", "a");
  fs.link("/a", "/b");
  fs.rename("/a", "/c");
  assert.deepEqual(readTree(fs, "/"), { b: "a", c: "a" });
  fs.remove("/b");
  assert.deepEqual(readTree(fs, "/"), { c: "a" });
});

Deno.test("P6: a rename across directories is on the disk with both halves or neither", () => {
  for (const toSync of ["/from", "/to"]) {
    const fs = new MemFs();
    fs.mkdirAll("/from");
    fs.mkdirAll("/to");
    syncDirectory(fs, "/");
    writeSynced(fs, "/from/a", "a");
    writeAll(fs, "/to/b", "older");
    fs.rename("/from/a", "/to/b");
    assert.deepEqual(synced(fs), { from: { a: "a" }, to: {} });
    syncDirectory(fs, toSync);
    assert.deepEqual(synced(fs), { from: {}, to: { b: "a" } }, toSync);
    syncDirectory(fs, "/from");
    syncDirectory(fs, "/to");
    assert.deepEqual(synced(fs), { from: {}, to: { b: "a" } }, toSync);
  }
});

Deno.test("P7: a lock belongs to the file, not to the spelling of its path", () => {
  const fs = new MemFs();
  fs.mkdirAll("/a");
  using _lock = fs.lock("a/b");
  for (const spelling of ["/a/b", "a//b", "/a/./b", "/a/c/../b", "a/b/"]) {
    throwsCode("LOCKED", () => fs.lock(spelling));
  }
});

Deno.test("P9: a gap costs nothing, and no offset is negative", () => {
  const fs = new MemFs({ capacityBytes: 1 << 20 });
  using a = fs.create("/a");
  a.writeAt(bytes("far"), 2 ** 40);
  assert.equal(a.stat().size, 2 ** 40 + 3);
  a.sync();
  assert.equal(fs.crashClone({ keep: "synced" }).list("/").length, 0);
  throwsCode("INVALID", () => a.writeAt(bytes("x"), -1));
  throwsCode("INVALID", () => a.readAt(bytes("x"), -1));
  throwsCode("INVALID", () => a.truncate(2 ** 50));
});

Deno.test("P13: syncTo() promises nothing here, and keeps nothing", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "a");
  using a = fs.openReadWrite("/a");
  a.write(bytes("A"));
  assert.equal(a.syncTo(1), false);
  assert.deepEqual(synced(fs), { a: "a" });
});

Deno.test("C4: a sync through a handle reaches its file, whatever the name is by then", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", "a");
  using a = fs.openReadWrite("/a");
  fs.rename("/a", "/b");
  writeSynced(fs, "/a", "other");
  a.write(bytes("A"));
  a.sync();
  assert.deepEqual(synced(fs), { a: "other", b: "A" });
  fs.remove("/b");
  a.sync();
  assert.ok(!exists(fs, "/b"));
});

Deno.test("C11: a hard link is the same file, and the capacity holds for writes", () => {
  const fs = new MemFs({ capacityBytes: 4096 });
  writeAll(fs, "/a", "a");
  fs.link("/a", "/b");
  assert.equal(fs.stat("/a").links, 2);
  assert.equal(fs.diskUsage("/").usedBytes, 4096);
  using b = fs.openReadWrite("/b");
  throwsCode("NO_SPACE", () => b.writeAt(bytes("x"), 4096));
});

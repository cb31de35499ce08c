import assert from "node:assert/strict";
import {
  CrashFs,
  type CrashOptions,
  DenoFs,
  FaultFs,
  type Fs,
  MemFs,
  syncDirectory,
} from "../../vfs/mod.ts";
import {
  bytes,
  exists,
  readAll,
  readTree,
  text,
  throwsCode,
  type Tree,
  writeAll,
  writeSynced,
} from "./_support.ts";

/** All trees that crash clones show over many seeds, as JSON. */
function outcomes(fs: CrashFs, options: Omit<CrashOptions, "seed"> = {}, seeds = 200): Set<string> {
  const seen = new Set<string>();
  for (let seed = 0; seed < seeds; seed++) {
    seen.add(JSON.stringify(readTree(fs.crashClone({ seed, ...options }), "/")));
  }
  return seen;
}

/** The same, as sorted trees. */
function trees(fs: CrashFs, options: Omit<CrashOptions, "seed"> = {}): Tree[] {
  return [...outcomes(fs, options)].sort().map((json) => JSON.parse(json));
}

Deno.test("CrashFs.crashClone() is the same for the same seed, and keeps all that is synced", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/kept", "k".repeat(10_000));
  for (let i = 0; i < 5; i++) writeAll(fs, `/${i}`, "u".repeat(i * 3000));
  for (let seed = 0; seed < 100; seed++) {
    const first = readTree(fs.crashClone({ seed }), "/");
    assert.deepEqual(readTree(fs.crashClone({ seed }), "/"), first, `seed ${seed}`);
    assert.equal(first["kept"], "k".repeat(10_000), `seed ${seed}`);
  }
  assert.ok(outcomes(fs).size > 20);
});

Deno.test("CrashFs.crashClone() gives a file system that is synced as it is and can crash again", () => {
  const fs = new CrashFs();
  writeAll(fs, "/a", "a");
  const clone = fs.crashClone({ seed: 1, keepData: 1, keepNames: 1 });
  assert.deepEqual(readTree(clone, "/"), { a: "a" });
  writeAll(clone, "/b", "b");
  const expected = [{ a: "a", b: "" }, { a: "a", b: "\0" }, { a: "a", b: "b" }, { a: "a" }];
  assert.deepEqual(trees(clone), expected);
  assert.deepEqual(readTree(fs, "/"), { a: "a" });
});

Deno.test("CrashFs.crashClone({ keepData, keepNames }) loses all with 0 and nothing with 1", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "a");
  writeAll(fs, "/b", "b");
  fs.remove("/a");
  assert.deepEqual(
    trees(fs, { keepData: 0, keepNames: 0 }).filter((tree) => tree["a"] !== "a"),
    [],
  );
  assert.ok(
    trees(fs, { keepData: 1, keepNames: 1, names: "weak" }).every((tree) => !("a" in tree)),
  );
});

Deno.test("CrashFs.crashClone({ names: 'journalled' }) keeps names in order, and forces them with any sync", () => {
  const fs = new CrashFs();
  for (const name of ["1", "2", "3"]) writeAll(fs, `/${name}`, "");
  assert.deepEqual(trees(fs, { names: "journalled" }), [
    { 1: "", 2: "", 3: "" },
    {
      1: "",
      2: "",
    },
    { 1: "" },
    {},
  ]);
  using two = fs.openReadWrite("/2");
  two.sync();
  writeAll(fs, "/4", "");
  assert.deepEqual(trees(fs, { names: "journalled" }), [{ 1: "", 2: "", 3: "", 4: "" }, {
    1: "",
    2: "",
    3: "",
  }]);
  assert.equal(outcomes(fs, { names: "weak" }).size, 16);
});

Deno.test("CrashFs.crash() loses power in place: handles are dead, locks are free", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "kept");
  const a = fs.openReadWrite("/a");
  a.write(bytes("lost"));
  const lock = fs.lock("/LOCK");
  fs.crash({ seed: 3, keepData: 0, keepNames: 0 });
  assert.deepEqual(readTree(fs, "/"), { a: "kept" });
  throwsCode("CLOSED", () => a.write(bytes("x")));
  using _again = fs.lock("/LOCK");
  lock.close();
  throwsCode("LOCKED", () => fs.lock("/LOCK"));
});

Deno.test("CrashFs({ over }) rewrites the file system below, and leaves what is outside of its root", () => {
  const temp = Deno.makeTempDirSync();
  try {
    const memory = new MemFs();
    memory.mkdirAll("/root");
    const below: [Fs, string][] = [[memory, "/root"], [new DenoFs(), `${temp}/root`]];
    for (const [over, root] of below) {
      over.mkdirAll(root);
      writeAll(over, `${root}/before`, "before");
      over.link(`${root}/before`, `${root}/alias`);
      const fs = new CrashFs({ over, root });
      writeSynced(fs, `${root}/synced`, "s".repeat(5000));
      writeAll(fs, `${root}/unsynced`, "u");
      fs.remove(`${root}/before`);
      const file = fs.openReadWrite(`${root}/synced`);
      file.write(bytes("LOST"));
      const lock = fs.lock(`${root}/LOCK`);
      throwsCode("INVALID", () => fs.create(`${root}x`));
      fs.crash({ seed: 5, keepData: 0, keepNames: 0, names: "weak" });
      assert.deepEqual(readTree(over, root), {
        alias: "before",
        before: "before",
        synced: "s".repeat(5000),
      });
      assert.equal(over.stat(`${root}/alias`).links, 2);
      throwsCode("CLOSED", () => file.write(bytes("x")));
      lock.close();
      fs.lock(`${root}/LOCK`).close();
      assert.equal(fs.openHandles, 0);
    }
  } finally {
    Deno.removeSync(temp, { recursive: true });
  }
});

Deno.test("CrashFs({ over }) keeps holes and ends of zeros", () => {
  const over = new MemFs();
  over.mkdirAll("/root");
  const fs = new CrashFs({ over, root: "/root" });
  using file = fs.create("/root/a");
  file.truncate(3 << 20);
  file.writeAt(bytes("x"), 5000);
  file.sync();
  syncDirectory(fs, "/root");
  fs.crash({ seed: 1 });
  const content = readAll(over, "/root/a");
  assert.equal(content.length, 3 << 20);
  assert.deepEqual([content.indexOf(120), content.lastIndexOf(120)], [5000, 5000]);
});

Deno.test("C3: CrashFs({ over }) believes a sync that failed below, and no later one", () => {
  const memory = new MemFs();
  memory.mkdirAll("/root");
  const faults = new FaultFs(memory);
  const fs = new CrashFs({ over: faults, root: "/root" });
  writeSynced(fs, "/root/a", "old");
  using file = fs.openReadWrite("/root/a");
  file.write(bytes("new"));
  faults.arm({ on: ["sync", "syncData"], times: 1, fault: { kind: "error", code: "IO" } });
  throwsCode("IO", () => file.syncData());
  file.syncData();
  assert.equal(text(readAll(fs.crashClone({ seed: 1, keepData: 1 }), "/root/a")), "old");
});

Deno.test("P4: blocks and sectors of one write survive each for itself", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "o".repeat(8192));
  using a = fs.openReadWrite("/a");
  a.writeAt(bytes("n".repeat(8192)), 0);
  const blocks = new Set<string>();
  const sectors = new Set<string>();
  for (let seed = 0; seed < 300; seed++) {
    const clone = fs.crashClone({ seed, unitBytes: 4096 });
    blocks.add(text(readAll(clone, "/a")).replace(/(.)\1*/g, (run) => `${run.length}${run[0]}`));
    const torn = text(readAll(fs.crashClone({ seed, unitBytes: 512 }), "/a"));
    for (const run of torn.match(/(.)\1*/g) ?? []) assert.equal(run.length % 512, 0);
    sectors.add(torn);
  }
  assert.deepEqual([...blocks].sort(), ["4096n4096o", "4096o4096n", "8192n", "8192o"]);
  assert.ok(sectors.size > 50, String(sectors.size));
});

Deno.test("P6: a rename across directories is done or undone in every state", () => {
  const fs = new CrashFs();
  fs.mkdirAll("/from");
  fs.mkdirAll("/to");
  syncDirectory(fs, "/");
  writeSynced(fs, "/from/a", "a");
  writeSynced(fs, "/to/b", "b");
  fs.rename("/from/a", "/to/b");
  writeAll(fs, "/from/a", "");
  fs.rename("/to/b", "/to/c");
  const states = [...fs.everyCrash()].map((state) => JSON.stringify(readTree(state, "/")));
  const expected = [
    { from: { a: "a" }, to: { b: "b" } },
    { from: {}, to: { b: "a" } },
    { from: { a: "" }, to: { b: "a" } },
    { from: {}, to: { c: "a" } },
    { from: { a: "" }, to: { c: "a" } },
  ];
  assert.deepEqual(states.toSorted(), expected.map((tree) => JSON.stringify(tree)).toSorted());
});

Deno.test("P12: a reused file shows old bytes, new bytes and the old tail, and nothing else", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/old", "o".repeat(4096 * 2));
  using file = fs.reuseForWrite("/old", "/new");
  file.writeAt(bytes("n".repeat(4096)), 0);
  const [old, fresh] = ["o".repeat(4096), "n".repeat(4096)];
  const expected = [{ new: fresh + old }, { new: old + old }, { old: fresh + old }, {
    old: old + old,
  }];
  assert.deepEqual(trees(fs, { unitBytes: 4096 }), expected);
});

Deno.test("C1: names that were not synced may be lost, removed ones may come back, moves be undone", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/removed", "r");
  writeSynced(fs, "/moved", "m");
  using file = fs.create("/created");
  file.write(bytes("c"));
  file.sync();
  fs.remove("/removed");
  fs.rename("/moved", "/here");
  const seen = trees(fs, { names: "weak" });
  assert.equal(seen.length, 8);
  for (const tree of seen) {
    assert.equal("moved" in tree, !("here" in tree), "a move is undone or done");
    if ("created" in tree) assert.equal(tree["created"], "c");
  }
  syncDirectory(fs, "/");
  assert.deepEqual(trees(fs), [{ created: "c", here: "m" }]);
});

Deno.test("C2: unsynced data may survive, in any order", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "");
  using a = fs.openReadWrite("/a");
  a.write(bytes("1".repeat(4096)));
  a.write(bytes("2".repeat(4096)));
  const seen = outcomes(fs, { unitBytes: 4096 });
  assert.ok(
    seen.has(JSON.stringify({ a: "\0".repeat(4096) + "2".repeat(4096) })),
    "later, not earlier",
  );
  assert.ok(seen.has(JSON.stringify({ a: "1".repeat(4096) })), "earlier, not later");
  assert.ok(seen.has(JSON.stringify({ a: "\0".repeat(8192) })), "the length only");
  assert.ok(seen.has(JSON.stringify({ a: "" })), "nothing");
});

Deno.test("C4: a sync reaches the open file after a rename and after an unlink", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "a");
  using a = fs.openReadWrite("/a");
  a.write(bytes("A"));
  fs.rename("/a", "/b");
  writeAll(fs, "/a", "other");
  a.sync();
  for (const tree of trees(fs, { names: "weak" })) if ("b" in tree) assert.equal(tree["b"], "A");
  fs.remove("/b");
  a.write(bytes("B"));
  a.sync();
  assert.ok(trees(fs).some((tree) => tree["b"] === "AB" || tree["a"] === "AB"));
});

Deno.test("C5: a sync of a long file costs what was written, not its length", () => {
  const fs = new CrashFs();
  using a = fs.create("/a");
  a.truncate(2 ** 40);
  for (let i = 0; i < 1000; i++) {
    a.writeAt(bytes("x"), i * 2 ** 29);
    a.syncData();
  }
  syncDirectory(fs, "/");
  assert.equal(fs.crashClone({ seed: 1 }).stat("/a").size, 2 ** 40);
});

Deno.test("C6: what is written while a sync is told about is not durable by it", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "");
  using a = fs.openReadWrite("/a");
  a.write(bytes("1"));
  fs.onSync = (_path, _kind, when) => {
    if (when === "after") a.writeAt(bytes("2"), 1);
  };
  a.sync();
  fs.onSync = undefined;
  assert.ok(trees(fs).some((tree) => tree["a"] === "1"));
});

Deno.test("C7: an unsynced file renamed over a synced one may leave the old one", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "old");
  writeAll(fs, "/tmp", "new");
  fs.rename("/tmp", "/a");
  const seen = trees(fs, { unitBytes: 4096 });
  assert.ok(seen.some((tree) => tree["a"] === "old"));
  assert.ok(seen.some((tree) => tree["a"] === "new"));
  assert.ok(seen.some((tree) => tree["a"] === ""), "renamed before its content was written");
  assert.ok(seen.every((tree) => "a" in tree));
});

Deno.test("C8: a durable file that was removed may come back, with its content", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "a");
  fs.remove("/a");
  assert.deepEqual(trees(fs), [{ a: "a" }, {}]);
  fs.removeAll("/a");
  throwsCode("NOT_FOUND", () => fs.open("/a"));
  assert.deepEqual(trees(fs), [{ a: "a" }, {}], "a call that failed changes nothing");
});

Deno.test("C9: after crash() no old handle does anything, and a failure is an error", () => {
  const fs = new CrashFs();
  writeSynced(fs, "/a", "a");
  const handles = [fs.open("/a"), fs.openReadWrite("/a"), fs.openDir("/")];
  fs.crash({ seed: 1 });
  for (const handle of handles) {
    throwsCode("CLOSED", () => handle.stat());
    throwsCode("CLOSED", () => handle.sync());
    handle.close();
  }
  const over = new MemFs({ windows: true });
  over.mkdirAll("/root");
  writeAll(over, "/root/a", "a");
  const wrapped = new CrashFs({ over, root: "/root" });
  using _outside = over.open("/root/a");
  throwsCode("BUSY", () => wrapped.crash({ seed: 1 }));
  assert.ok(exists(over, "/root/a"));
});

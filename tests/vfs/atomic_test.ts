import assert from "node:assert/strict";
import { type ErrorCode, FlagstoneError } from "../../errors/mod.ts";
import { testCrashes } from "../../testing/mod.ts";
import {
  atomicWrite,
  classifyIoError,
  CrashFs,
  DenoFs,
  durableMkdirAll,
  durableRemove,
  durableRename,
  FaultFs,
  type Fs,
  type FsOperationKind,
  linkOrCopy,
  MemFs,
  readText,
  removeTemporaries,
  syncDirectory,
  syncPath,
  temporarySuffix,
} from "../../vfs/mod.ts";
import { failEachCall } from "./_failures.ts";
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

Deno.test("atomicWrite() leaves the old content or the new one, whenever it crashes", async () => {
  const report = await testCrashes<string>({
    prepare: (fs) => atomicWrite(fs, "/config", bytes("0".repeat(5000))),
    run(fs, promise) {
      for (const version of ["1", "2", "3"]) {
        atomicWrite(fs, "/config", [bytes(version.repeat(3000)), bytes(version.repeat(2000))]);
        promise(version);
      }
    },
    check(fs, promised) {
      const found = text(readAll(fs, "/config"));
      assert.match(found, /^(.)\1{4999}$/s);
      const version = found[0] ?? "";
      assert.ok(version >= (promised.at(-1) ?? "0"), `${version} after ${promised}`);
      removeTemporaries(fs, "/");
      assert.deepEqual(fs.list("/"), ["config"]);
    },
  });
  assert.ok(report.moments > 12);
});

Deno.test("N8: atomicWrite() leaves no temporary file where it fails, and the old content", () => {
  const kinds: FsOperationKind[] = ["create", "writeVectorAt", "sync", "rename"];
  for (const on of kinds) {
    const memory = new MemFs();
    const faults = new FaultFs(memory);
    writeSynced(memory, "/config", "old");
    faults.arm({ on, times: 1, fault: { kind: "error", code: "NO_SPACE" } });
    throwsCode("NO_SPACE", () => atomicWrite(faults, "/config", bytes("new")));
    assert.deepEqual(readTree(memory, "/"), { config: "old" }, on);
    assert.equal(memory.openHandles, 0);
    atomicWrite(faults, "/config", bytes("new"));
    assert.deepEqual(readTree(memory.crashClone({ keep: "synced" }), "/"), { config: "new" });
  }
});

Deno.test("N8: atomicWrite({ verify }) notices what was not stored as given", () => {
  for (const fault of [{ kind: "flipBit" }, { kind: "lyingSync" }] as const) {
    const faults = new FaultFs(new MemFs());
    faults.arm({ on: "writeVectorAt", fault });
    const write = () => atomicWrite(faults, "/a", bytes("content"), { verify: true });
    if (fault.kind === "flipBit") throwsCode("IO", write);
    else write();
    assert.equal(exists(faults, "/a"), fault.kind === "lyingSync");
  }
});

Deno.test("N8: atomicWrite() takes a path without a directory, and tells a missing one", () => {
  const fs = new MemFs();
  atomicWrite(fs, "config", bytes("new"));
  assert.equal(text(readAll(fs, "/config")), "new");
  throwsCode("NOT_FOUND", () => atomicWrite(fs, "/missing/config", bytes("new")));
});

Deno.test("atomicWrite() works on the real disk", () => {
  const root = Deno.makeTempDirSync();
  try {
    const fs = new DenoFs();
    for (const version of ["one", "two"]) {
      atomicWrite(fs, `${root}/config`, bytes(version), { verify: true });
      assert.deepEqual(readTree(fs, root), { config: version });
    }
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("removeTemporaries() removes what a crash left, and nothing else", () => {
  const fs = new MemFs();
  writeAll(fs, `/a${temporarySuffix}`, "");
  writeAll(fs, "/a", "");
  assert.deepEqual(removeTemporaries(fs, "/"), [`a${temporarySuffix}`]);
  assert.deepEqual(removeTemporaries(fs, "/"), []);
  assert.deepEqual(readTree(fs.crashClone({ keep: "synced" }), "/"), { a: "" });
});

Deno.test("durableRename() keeps the file whole under one of its names, whenever it crashes", async () => {
  for (const [from, to] of [["/a", "/b"], ["/d/a", "/e/b"]] as const) {
    await testCrashes<string>({
      prepare(fs) {
        durableMkdirAll(fs, "/d");
        durableMkdirAll(fs, "/e");
        writeSynced(fs, to, "old");
        writeSynced(fs, from, "");
        using file = fs.openReadWrite(from);
        file.write(bytes("new"));
      },
      run(fs, promise) {
        durableRename(fs, from, to);
        promise("renamed");
      },
      check(fs, promised) {
        const target = text(readAll(fs, to));
        assert.ok(target === "new" || (promised.length === 0 && target === "old"), target);
        assert.equal(exists(fs, from), target === "old");
      },
    });
  }
});

Deno.test("durableRename() syncs both directories, that of the new name first", () => {
  // Not every file system moves a name in one step.
  const fs = new MemFs();
  durableMkdirAll(fs, "/d");
  durableMkdirAll(fs, "/e");
  writeSynced(fs, "/d/a", "x");
  const synced: string[] = [];
  fs.onSync = (path, _kind, when) => {
    if (when === "after" && fs.stat(path).isDirectory) synced.push(path);
  };
  durableRename(fs, "/d/a", "/e/b");
  durableRename(fs, "/e/b", "/e/c");
  assert.deepEqual(synced, ["/e", "/d", "/e"]);
});

Deno.test("durableRename() moves directories, and creates nothing where there is nothing", () => {
  const fs = new MemFs();
  durableMkdirAll(fs, "/d/sub");
  durableRename(fs, "/d/sub", "/moved");
  assert.deepEqual(readTree(fs.crashClone({ keep: "synced" }), "/"), { d: {}, moved: {} });
  throwsCode("NOT_FOUND", () => durableRename(fs, "/missing", "/x"));
  throwsCode("NOT_FOUND", () => durableRename(fs, "/missing", "/x", { syncContent: false }));
  assert.deepEqual(fs.list("/"), ["d", "moved"]);
});

Deno.test("durableRemove() and durableMkdirAll() are durable when they return", async () => {
  await testCrashes<string>({
    prepare: (fs) => writeSynced(fs, "/gone", ""),
    run(fs, promise) {
      durableMkdirAll(fs, "/a/b/c");
      promise("/a/b/c");
      durableRemove(fs, "/gone");
      durableRemove(fs, "/gone");
      promise("gone");
    },
    check(fs, promised) {
      if (promised.includes("/a/b/c")) assert.ok(fs.stat("/a/b/c").isDirectory);
      if (promised.includes("gone")) assert.ok(!exists(fs, "/gone"));
    },
  });
});

Deno.test("N7: classifyIoError() calls fatal what leaves the disk unknown, and nothing else", () => {
  const make = (code: ErrorCode, operation = "writeAt", cause?: unknown) =>
    new FlagstoneError(code, code, cause === undefined ? { operation } : { operation, cause });
  for (const code of ["NO_SPACE", "BUSY", "LOCKED", "ABORTED"] as const) {
    assert.equal(classifyIoError(make(code)), "retryable", code);
    assert.equal(classifyIoError(make(code, "syncData")), "fatal", `${code} of a sync`);
  }
  for (const code of ["PERMISSION", "NOT_FOUND", "EXISTS", "INVALID", "UNSUPPORTED"] as const) {
    assert.equal(classifyIoError(make(code)), "refused", code);
  }
  for (const code of ["IO", "CORRUPT", "STALLED", "WRITE_FAILED", "WORKER_DIED"] as const) {
    assert.equal(classifyIoError(make(code)), "fatal", code);
  }
  assert.equal(classifyIoError(make("READ_ONLY")), "refused");
  assert.equal(classifyIoError(make("READ_ONLY", "create", new Error("EROFS"))), "fatal");
  assert.equal(classifyIoError(make("CLOSED", "sync")), "refused");
  assert.equal(classifyIoError(new Error("anything")), "fatal");
});

Deno.test("atomicWrite(), durable…(), syncPath() and readText() throw one error with a code where a close fails too", () => {
  const programs: ((fs: Fs) => unknown)[] = [
    (fs) => atomicWrite(fs, "/a", bytes("new"), { verify: true }),
    (fs) => durableRename(fs, "/a", "/b"),
    (fs) => syncPath(fs, "/a"),
    (fs) => syncDirectory(fs, "/"),
    (fs) => readText(fs, "/a"),
    (fs) => linkOrCopy(fs, "/a", "/b"),
    (fs) => durableRemove(fs, "/a"),
    (fs) => durableMkdirAll(fs, "/d/e"),
  ];
  for (const run of programs) {
    for (const times of [1, 2, 100]) {
      // What is thrown and no FlagstoneError fails the test by itself.
      const calls = failEachCall({
        times,
        prepare: (fs) => writeSynced(fs, "/a", "old"),
        run,
        check: (left, error) => assert.ok(error !== undefined && left.openHandles === 0),
      });
      assert.ok(calls >= 3);
    }
    const faults = new FaultFs(new MemFs());
    writeSynced(faults, "/a", "old");
    faults.arm({ on: ["sync", "readAt"], fault: { kind: "error", code: "IO" } });
    faults.arm({ on: "close", fault: { kind: "error", code: "BUSY" } });
    throwsCode("IO", () => run(faults));
  }
});

Deno.test("durableMkdirAll() trusts what it cannot sync and has not made", () => {
  for (const code of ["PERMISSION", "READ_ONLY", "UNSUPPORTED", "INVALID", "IO"] as const) {
    const memory = new MemFs();
    memory.mkdirAll("/data");
    const faults = new FaultFs(memory);
    faults.arm({ on: ["openDir", "sync"], path: /^\/$/, fault: { kind: "error", code } });
    if (code === "IO") throwsCode(code, () => durableMkdirAll(faults, "/data/store"));
    else durableMkdirAll(faults, "/data/store");
    throwsCode(code, () => durableMkdirAll(faults, "/made"));
  }
  const over = new MemFs();
  over.mkdirAll("/outside/root");
  // What is above the root is out of its reach.
  durableMkdirAll(new CrashFs({ over, root: "/outside/root" }), "/outside/root/a/b");
  assert.ok(over.stat("/outside/root/a/b").isDirectory);
});

Deno.test("durableMkdirAll() needs no permission above what is there", () => {
  const memory = new MemFs();
  memory.mkdirAll("/home/data");
  const faults = new FaultFs(memory);
  faults.arm({ on: "openDir", path: /^\/(home)?$/, fault: { kind: "error", code: "PERMISSION" } });
  durableMkdirAll(faults, "/home/data/store/deep");
  throwsCode("PERMISSION", () => durableMkdirAll(faults, "/home/other"));
  assert.equal(memory.crashClone({ keep: "synced" }).list("/").length, 0);
  faults.clear();
  durableMkdirAll(faults, "/home/data/store/deep");
  assert.deepEqual(readTree(memory.crashClone({ keep: "synced" }), "/"), {
    home: { data: { store: { deep: {} } }, other: {} },
  });
});

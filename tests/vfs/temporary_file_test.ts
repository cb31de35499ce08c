import assert from "node:assert/strict";
import { testCrashes } from "../../testing/mod.ts";
import {
  FaultFs,
  MemFs,
  removeTemporaries,
  TemporaryFile,
  temporarySuffix,
} from "../../vfs/mod.ts";
import { failEachCall } from "./_failures.ts";
import { bytes, exists, readAll, readTree, text, throwsCode, writeSynced } from "./_support.ts";

const LONG = "content!".repeat(1500);

Deno.test("TemporaryFile.persist() is all there when it returns, and not in part before, whenever it crashes", async () => {
  for (const [replace, dir] of [[true, "/"], [true, "/d"], [false, "/"], [false, "/d"]] as const) {
    const report = await testCrashes<string>({
      prepare(fs) {
        fs.mkdirAll("/d");
        writeSynced(fs, "/sync-the-root", "");
        if (replace) writeSynced(fs, "/a", "old");
      },
      run(fs, promise) {
        using temporary = TemporaryFile.create(fs, dir);
        temporary.file.write(bytes(LONG));
        temporary.persist("/a", { replace });
        promise("persisted");
      },
      check(fs, promised) {
        removeTemporaries(fs, "/");
        removeTemporaries(fs, "/d");
        const found = exists(fs, "/a") ? text(readAll(fs, "/a")) : undefined;
        const before = replace ? "old" : undefined;
        assert.ok(found === LONG || (promised.length === 0 && found === before), `${found}`);
        assert.deepEqual(fs.list("/d"), []);
      },
    });
    assert.ok(report.moments >= 5);
  }
});

Deno.test("TemporaryFile.persist() leaves the old file or the new one, whichever call fails", () => {
  for (const replace of [true, false]) {
    const calls = failEachCall({
      prepare: (fs) => replace && writeSynced(fs, "/a", "old"),
      run(fs) {
        using temporary = TemporaryFile.create(fs, "/");
        temporary.file.write(bytes(LONG));
        temporary.persist("/a", { replace });
      },
      check(left, error) {
        assert.ok(error !== undefined);
        const found = exists(left, "/a") ? text(readAll(left, "/a")) : undefined;
        assert.ok(found === LONG || found === (replace ? "old" : undefined));
        const temporaries = left.list("/").filter((name) => name.endsWith(temporarySuffix));
        assert.equal(temporaries.length > 0, error.operation === "removeAll");
        assert.equal(left.openHandles, 0);
      },
    });
    assert.ok(calls >= (replace ? 7 : 8), `${calls}`);
  }
});

Deno.test("TemporaryFile stays temporary where persist() fails, and can be tried under another name", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  using temporary = TemporaryFile.create(faults, "/");
  temporary.file.write(bytes("content"));
  faults.arm({ on: "rename", times: 1, fault: { kind: "error", code: "NO_SPACE" } });
  throwsCode("NO_SPACE", () => temporary.persist("/a"));
  assert.ok(exists(memory, temporary.path));
  temporary.persist("/b");
  assert.deepEqual(readTree(memory.crashClone({ keep: "synced" }), "/"), { b: "content" });
});

Deno.test("TemporaryFile.persist({ sync: false }) syncs nothing", () => {
  const memory = new MemFs();
  let syncs = 0;
  memory.onSync = () => syncs++;
  using temporary = TemporaryFile.create(memory, "/");
  temporary.persist("/a", { sync: false });
  assert.equal(syncs, 0);
  assert.deepEqual(memory.list("/"), ["a"]);
});

Deno.test("P3: TemporaryFile works where what is open cannot be removed", () => {
  const fs = new MemFs({ windows: true });
  for (const replace of [true, false]) {
    using temporary = TemporaryFile.create(fs, "/");
    temporary.file.write(bytes("content"));
    temporary.persist(`/${replace}`, { replace });
  }
  TemporaryFile.create(fs, "/").close();
  assert.deepEqual(readTree(fs, "/"), { true: "content", false: "content" });
});

import assert from "node:assert/strict";
import { testCrashes } from "../../testing/mod.ts";
import {
  copyAcross,
  type CopyAcrossOptions,
  copyFile,
  FaultFs,
  type Fs,
  InterceptFs,
  linkOrCopy,
  MemFs,
  removeTemporaries,
  temporarySuffix,
} from "../../vfs/mod.ts";
import { failEachCall } from "./_failures.ts";
import { exists, readAll, readTree, text, throwsCode, writeAll, writeSynced } from "./_support.ts";

const LONG = "content!".repeat(1500);

/** A file system on which no link is possible. */
function withoutLinks(fs: Fs): FaultFs {
  const faults = new FaultFs(fs);
  faults.arm({ on: "link", fault: { kind: "error", code: "UNSUPPORTED" } });
  return faults;
}

Deno.test("copyFile() leaves the old file or the whole copy, whenever it crashes", async () => {
  for (const replace of [true, false]) {
    const report = await testCrashes<string>({
      prepare(fs) {
        // Its content is not synced: the copy shall be durable all the same.
        writeAll(fs, "/a", LONG);
        if (replace) writeSynced(fs, "/b", "old");
      },
      run(fs, promise) {
        copyFile(fs, "/a", "/b", { replace });
        promise("copied");
      },
      check(fs, promised) {
        removeTemporaries(fs, "/");
        const found = exists(fs, "/b") ? text(readAll(fs, "/b")) : undefined;
        const before = replace ? "old" : undefined;
        assert.ok(found === LONG || (promised.length === 0 && found === before), `${found}`);
        assert.ok(fs.list("/").every((name) => name === "a" || name === "b"));
      },
    });
    assert.ok(report.moments >= 5);
  }
});

Deno.test("copyFile() leaves the old file or the whole copy, whichever call fails", () => {
  const variants = [["IO", 1], ["NO_SPACE", 1], ["IO", 2], ["IO", 100]] as const;
  for (const [code, times] of variants) {
    const calls = failEachCall({
      times,
      prepare(fs) {
        writeSynced(fs, "/a", LONG);
        writeSynced(fs, "/b", "old");
      },
      run: (fs) => void copyFile(fs, "/a", "/b"),
      fault: { kind: "shortWrite", bytes: 100, code },
      check(left, error) {
        assert.ok(error !== undefined);
        assert.ok(["old", LONG].includes(text(readAll(left, "/b"))));
        const temporaries = left.list("/").filter((name) => name.endsWith(temporarySuffix));
        if (times === 1) assert.equal(temporaries.length > 0, error.operation === "removeAll");
        assert.equal(left.openHandles, 0);
      },
    });
    assert.ok(calls >= 10);
  }
});

Deno.test("copyFile() holds a bounded part of the file in memory", () => {
  const memory = new MemFs();
  using file = memory.create("/a");
  file.truncate(3_000_000);
  file.writeAt(new Uint8Array(1_000_000).fill(1), 1_000_000);
  let longest = 0;
  const fs = new InterceptFs("watched", memory, {
    call(operation, run) {
      if (operation.kind !== "truncate") longest = Math.max(longest, operation.length ?? 0);
      return run();
    },
    callAsync: (_operation, run) => run(),
  });
  assert.equal(copyFile(fs, "/a", "/b"), 3_000_000);
  assert.ok(longest > 0 && longest <= 256 * 1024, `${longest}`);
});

Deno.test("copyFile() keeps holes: the copy takes no more space", () => {
  const fs = new MemFs({ capacityBytes: 1 << 20 });
  using file = fs.create("/a");
  file.truncate(10 << 20);
  copyFile(fs, "/a", "/b");
  assert.equal(fs.stat("/b").size, 10 << 20);
  assert.equal(fs.diskUsage("/").usedBytes, 0);
});

Deno.test("copyFile({ sync: false }) and copyAcross({ sync: false }) sync nothing", () => {
  const memory = new MemFs();
  writeAll(memory, "/a", "a");
  memory.mkdirAll("/dir/sub");
  let syncs = 0;
  memory.onSync = () => syncs++;
  copyFile(memory, "/a", "/b", { sync: false });
  copyAcross(memory, "/dir", memory, "/copy", { sync: false });
  linkOrCopy(memory, "/a", "/c", { sync: false });
  assert.equal(syncs, 0);
});

Deno.test("a copy ends where the file ends that another process cuts meanwhile", () => {
  const memory = new MemFs();
  writeAll(memory, "/a", "x".repeat(600_000));
  const fs = new InterceptFs("cutting", memory, {
    call(operation, run) {
      if (operation.kind === "readAt" && (operation.offset ?? 0) > 0) {
        using file = memory.openReadWrite("/a");
        file.truncate(300_000);
      }
      return run();
    },
    callAsync: (_operation, run) => run(),
  });
  assert.equal(copyFile(fs, "/a", "/b"), 300_000);
  assert.equal(text(readAll(memory, "/b")), "x".repeat(300_000), "no zeros behind the end");
});

Deno.test("linkOrCopy() is durable when it returns, linked or copied", async () => {
  for (const wrap of [undefined, withoutLinks]) {
    await testCrashes<string>(
      {
        prepare: (fs) => writeAll(fs, "/a", LONG),
        run: (fs, promise) => promise(linkOrCopy(fs, "/a", "/b")),
        check(fs, [how]) {
          if (how === undefined) return;
          assert.equal(how, wrap === undefined ? "linked" : "copied");
          assert.equal(text(readAll(fs, "/b")), LONG);
        },
      },
      wrap === undefined ? {} : { wrap },
    );
  }
});

Deno.test("linkOrCopy() copies only where no link is possible", () => {
  const memory = new MemFs();
  writeAll(memory, "/a", "a");
  writeAll(memory, "/taken", "taken");
  const fs = withoutLinks(memory);
  assert.equal(linkOrCopy(fs, "/a", "/b"), "copied");
  assert.notEqual(memory.stat("/a").inode, memory.stat("/b").inode);
  throwsCode("EXISTS", () => linkOrCopy(fs, "/a", "/taken"));
  assert.deepEqual(readTree(memory, "/"), { a: "a", b: "a", taken: "taken" });
  for (const code of ["IO", "PERMISSION", "NO_SPACE"] as const) {
    const faults = new FaultFs(memory);
    faults.arm({ on: "link", fault: { kind: "error", code } });
    throwsCode(code, () => linkOrCopy(faults, "/a", "/c"));
    assert.ok(!exists(memory, "/c"));
  }
});

Deno.test("copyAcross() is durable when it returns, with all names", async () => {
  const tree = { a: LONG, link: LONG, sub: { b: "b", deep: { c: "c" }, empty: {} } };
  const variants: [CopyAcrossOptions, ((fs: Fs) => Fs) | undefined][] = [
    [{}, undefined],
    [{ link: true }, undefined],
    [{ link: true }, withoutLinks],
    [{}, withoutLinks],
  ];
  for (const [options, wrap] of variants) {
    const report = await testCrashes<string>(
      {
        prepare(fs) {
          fs.mkdirAll("/from/sub/deep");
          fs.mkdirAll("/from/sub/empty");
          writeAll(fs, "/from/a", LONG);
          fs.link("/from/a", "/from/link");
          writeAll(fs, "/from/sub/b", "b");
          writeAll(fs, "/from/sub/deep/c", "c");
        },
        run(fs, promise) {
          copyAcross(fs, "/from", fs, "/new/to", options);
          promise("copied");
          copyAcross(fs, "/from/a", fs, "/new/a", options);
          promise("file");
        },
        check(fs, promised) {
          if (promised.length > 0) assert.deepEqual(readTree(fs, "/new/to"), tree);
          if (promised.length > 1) assert.equal(text(readAll(fs, "/new/a")), LONG);
          if (promised.length === 0 || wrap !== undefined) return;
          assert.equal(fs.stat("/new/to/a").inode, fs.stat("/new/to/link").inode);
        },
      },
      wrap === undefined ? { statesPerMoment: 10 } : { wrap, statesPerMoment: 10 },
    );
    assert.ok(report.moments > 10);
  }
});

Deno.test("copyAcross() throws whichever call fails, leaves the original, and nothing open", () => {
  for (const times of [1, 2, 100]) {
    const calls = failEachCall({
      times,
      prepare(fs) {
        fs.mkdirAll("/from/sub");
        writeSynced(fs, "/from/a", "a");
        fs.link("/from/a", "/from/sub/b");
      },
      run: (fs) => void copyAcross(fs, "/from", fs, "/to"),
      check(left, error) {
        assert.ok(error !== undefined);
        assert.deepEqual(readTree(left, "/from"), { a: "a", sub: { b: "a" } });
        assert.equal(left.openHandles, 0);
      },
    });
    assert.ok(calls > 20);
  }
});

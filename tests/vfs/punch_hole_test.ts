import assert from "node:assert/strict";
import { testCrashes } from "../../testing/mod.ts";
import {
  CrashFs,
  FaultFs,
  MemFs,
  type SlowOperation,
  syncDirectory,
  VirtualFs,
  watchDiskHealth,
  withDiskHealth,
  withMetrics,
  withSyncing,
} from "../../vfs/mod.ts";
import { bytes, readAll, throwsCode, writeSynced } from "./_support.ts";

const PAGE = 4096;

Deno.test("P8: punchHole() of MemFs gives whole pages back, on a full disk too", () => {
  for (const strict of [true, false]) {
    const fs = new MemFs({ strict, capacityBytes: 4 * PAGE });
    using file = fs.create("/a");
    file.writeAt(new Uint8Array(4 * PAGE).fill(1), 0);
    throwsCode("NO_SPACE", () => file.writeAt(bytes("x"), 4 * PAGE));
    file.punchHole(PAGE, 2 * PAGE);
    assert.equal(fs.diskUsage("/").usedBytes, 2 * PAGE);
    file.punchHole(10, 20);
    assert.equal(fs.diskUsage("/").usedBytes, 2 * PAGE, "a part of a page gives nothing back");
    file.punchHole(3 * PAGE, 1 << 30);
    assert.equal(fs.diskUsage("/").usedBytes, PAGE);
    file.punchHole(0, 4 * PAGE);
    file.punchHole(0, 4 * PAGE);
    assert.equal(fs.diskUsage("/").usedBytes, 0, "nothing is given back twice");
    assert.equal(file.stat().size, 4 * PAGE);
    file.writeAt(new Uint8Array(PAGE + 10).fill(1), 0);
    file.truncate(PAGE + 10);
    file.punchHole(0, PAGE + 10);
    assert.equal(fs.diskUsage("/").usedBytes, 0, "the last page goes too, short as it is");
    file.writeAt(bytes("x"), 5 * PAGE);
    file.writeAt(bytes("y"), 0);
    assert.equal(readAll(fs, "/a")[PAGE], 0);
  }
});

Deno.test("punchHole() that was not synced is undone by a crash, and one that was is not", () => {
  const fs = new MemFs();
  writeSynced(fs, "/a", new Uint8Array(3 * PAGE).fill(7));
  using file = fs.openReadWrite("/a");
  file.punchHole(PAGE - 5, PAGE + 5);
  const survivor = () => [...readAll(fs.crashClone({ keep: "synced" }), "/a")];
  assert.ok(survivor().every((byte) => byte === 7));
  file.syncData();
  const left = survivor();
  assert.deepEqual([left[PAGE - 6], left[PAGE - 5], left[PAGE], left[2 * PAGE]], [7, 0, 0, 7]);
  assert.deepEqual(left, [...readAll(fs, "/a")]);
});

Deno.test("C3: a hole that a failed sync dropped comes back with no later sync, and does where it is punched anew", () => {
  for (const make of [() => new MemFs(), () => new CrashFs()]) {
    const memory = make();
    const faults = new FaultFs(memory);
    writeSynced(memory, "/a", new Uint8Array(2 * PAGE).fill(7));
    using file = faults.openReadWrite("/a");
    faults.arm({ on: "sync", times: 1, fault: { kind: "failedSync" } });
    file.punchHole(0, PAGE);
    throwsCode("IO", () => file.sync());
    file.sync();
    const first = () => {
      const left = memory instanceof MemFs
        ? memory.crashClone({ keep: "synced" })
        : memory.crashClone({ seed: 1, keepData: 0 });
      return readAll(left, "/a")[0];
    };
    assert.equal(first(), 7);
    assert.equal(readAll(memory, "/a")[0], 0, "readers see the hole");
    file.punchHole(10, 1);
    if (memory instanceof CrashFs) {
      const reached = readAll(memory.crashClone({ seed: 1, keepData: 1 }), "/a");
      assert.ok(reached.subarray(0, PAGE).every((byte) => byte === 0), "the page goes as a whole");
    }
    file.sync();
    assert.equal(first(), 0);
  }
});

Deno.test("a file is cut inside of a hole that a failed sync dropped: nothing old shows behind the cut", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  writeSynced(memory, "/a", new Uint8Array(PAGE).fill(7));
  using file = faults.openReadWrite("/a");
  faults.arm({ on: "sync", times: 1, fault: { kind: "failedSync" } });
  file.punchHole(0, PAGE);
  throwsCode("IO", () => file.sync());
  file.truncate(100);
  file.truncate(PAGE);
  file.sync();
  assert.ok(readAll(memory.crashClone({ keep: "synced" }), "/a").every((byte) => byte === 0));
});

Deno.test("punchHole() survives a crash exactly as a write of zeros does", async () => {
  await testCrashes<string>({
    prepare: (fs) => writeSynced(fs, "/a", new Uint8Array(3 * PAGE).fill(1)),
    run(fs, promise) {
      using file = fs.openReadWrite("/a");
      file.punchHole(100, 2 * PAGE);
      file.writeAt(bytes("new"), PAGE);
      file.syncData();
      promise("punched");
      syncDirectory(fs, "/");
    },
    check(fs, promised) {
      const found = readAll(fs, "/a");
      assert.equal(found.length, 3 * PAGE);
      for (const [at, byte] of found.entries()) {
        const inHole = at >= 100 && at < 100 + 2 * PAGE;
        const written = at >= PAGE && at < PAGE + 3 ? bytes("new")[at - PAGE] : 0;
        if (!inHole) assert.equal(byte, 1);
        else if (promised.length > 0) assert.equal(byte, written);
        else assert.ok(byte === 1 || byte === 0 || byte === written);
      }
    },
  });
});

Deno.test("N2: a hole is synced before its descriptor is closed", () => {
  const memory = new MemFs();
  writeSynced(memory, "/a", new Uint8Array(PAGE).fill(7));
  const fs = new VirtualFs(memory, { maxOpen: 1 });
  using file = fs.openReadWrite("/a");
  file.punchHole(0, PAGE);
  fs.create("/other").close();
  fs.openDir("/").close();
  assert.equal(readAll(memory.crashClone({ keep: "synced" }), "/a")[0], 0);
});

Deno.test("withSyncing() syncs a hole when the file is closed", () => {
  const memory = new MemFs();
  writeSynced(memory, "/a", new Uint8Array(PAGE).fill(7));
  const file = withSyncing(memory).openReadWrite("/a");
  file.punchHole(0, PAGE);
  file.close();
  assert.equal(readAll(memory.crashClone({ keep: "synced" }), "/a")[0], 0);
});

Deno.test("withMetrics() and withDiskHealth() know punchHole() by its name", () => {
  const memory = new MemFs();
  writeSynced(memory, "/a", new Uint8Array(PAGE));
  let clock = 0;
  const slow: string[] = [];
  const faults = new FaultFs(memory, {
    sleep: () => {
      watch.poll();
      clock += 150;
      watch.poll();
    },
  });
  const metrics = withMetrics(faults);
  const fs = withDiskHealth(metrics);
  const onSlow = ({ operation }: SlowOperation) => void slow.push(operation);
  const options = { thresholdMs: 100, intervalMs: 0, now: () => clock, onSlow };
  using watch = watchDiskHealth(fs.memory, options);
  faults.arm({ on: "punchHole", fault: { kind: "latency", ms: 150 } });
  using file = fs.openReadWrite("/a");
  file.punchHole(0, PAGE);
  assert.deepEqual(slow, ["punchHole"]);
  assert.equal(metrics.operations.punchHole.count, 1);
  assert.equal(metrics.operations.truncate.count, 0);
});

Deno.test("CrashFs({ over }) keeps a hole that was synced, and undoes one that was not", () => {
  for (const sync of [true, false]) {
    const over = new MemFs();
    writeSynced(over, "/a", new Uint8Array(PAGE).fill(7));
    const crash = new CrashFs({ over });
    const file = crash.openReadWrite("/a");
    file.punchHole(0, PAGE);
    if (sync) file.sync();
    crash.crash({ seed: 1, keepData: 0 });
    assert.equal(readAll(over, "/a")[0], sync ? 0 : 7);
  }
});

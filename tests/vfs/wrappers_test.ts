import assert from "node:assert/strict";
import {
  type DiskFullInfo,
  FaultFs,
  LatencyHistogram,
  MemFs,
  type SlowOperation,
  watchDiskHealth,
  withDiskFull,
  withDiskHealth,
  withLogging,
  withMetrics,
  withSyncing,
  withTracking,
} from "../../vfs/mod.ts";
import { bytes, readAll, readTree, text, throwsCode, writeAll, writeSynced } from "./_support.ts";

Deno.test("withDiskFull() calls back once an episode and tries each call once more", () => {
  const memory = new MemFs({ capacityBytes: 4096 });
  writeAll(memory, "/reserve", new Uint8Array(4096));
  const told: DiskFullInfo[] = [];
  let help = false;
  const fs = withDiskFull(memory, (info) => {
    told.push(info);
    if (help) memory.remove("/reserve");
  });
  using a = fs.create("/a");
  throwsCode("NO_SPACE", () => a.write(bytes("lost")));
  throwsCode("NO_SPACE", () => a.writeAt(bytes("lost"), 0));
  throwsCode("NO_SPACE", () => a.writeVectorAt([bytes("lost")], 0));
  assert.deepEqual(told, [{ operation: "write", path: "/a" }], "one episode, one call");
  memory.setCapacity(8192);
  a.write(bytes("kept"));
  help = true;
  a.writeAt(bytes("more"), 4096);
  assert.equal(told.length, 2, "the write that went well ended the first episode");
  assert.equal(told[1]?.operation, "writeAt");
  assert.equal(text(readAll(memory, "/a")).replaceAll("\0", ""), "keptmore");
});

Deno.test("withDiskFull() does a write anew that stopped half way, from the same cursor", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = withDiskFull(faults, () => {});
  using a = fs.create("/a");
  a.write(bytes("one,"));
  const short = faults.arm({
    on: ["write", "writeVectorAt"],
    times: 1,
    fault: { kind: "shortWrite", bytes: 2, code: "NO_SPACE" },
  });
  a.write(bytes("two,"));
  a.write(bytes("three"));
  assert.equal(text(readAll(memory, "/a")), "one,two,three");
  assert.equal(short.strikes, 1);
});

Deno.test("withDiskFull() retries every call that can need space, and never a sync", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const told: string[] = [];
  const fs = withDiskFull(faults, ({ operation }) => told.push(operation));
  writeAll(memory, "/a", "a");
  const once = { times: 1, fault: { kind: "error", code: "NO_SPACE" } } as const;
  const calls: Record<string, () => unknown> = {
    create: () => fs.create("/b").close(),
    openReadWrite: () => fs.openReadWrite("/c").close(),
    link: () => fs.link("/a", "/linked"),
    rename: () => fs.rename("/linked", "/moved"),
    reuseForWrite: () => fs.reuseForWrite("/moved", "/reused").close(),
    mkdirAll: () => fs.mkdirAll("/dir"),
    lock: () => fs.lock("/LOCK").close(),
    preallocate: () => fs.openReadWrite("/a").preallocate(0, 10),
    truncate: () => fs.openReadWrite("/a").truncate(10),
  };
  for (const [kind, call] of Object.entries(calls)) {
    faults.arm({ ...once, on: allKinds.find((known) => known === kind) ?? [] });
    call();
    assert.equal(told.at(-1), kind);
  }
  const count = told.length;
  using a = fs.openReadWrite("/a");
  for (const sync of [() => a.sync(), () => a.syncData()]) {
    const armed = faults.arm({ ...once, on: ["sync", "syncData"] });
    throwsCode("NO_SPACE", sync);
    assert.equal(armed.matches, 1);
  }
  assert.equal(told.length, count);
});

const allKinds = [
  "create",
  "openReadWrite",
  "link",
  "rename",
  "reuseForWrite",
  "mkdirAll",
  "lock",
  "preallocate",
  "truncate",
] as const;

/** What a watch says about a call that takes `ms` in three equal steps. */
function watchSlow(
  kind: "write" | "open" | "sync" | "openReadWrite" | "readAt",
  ms: number,
): SlowOperation[] {
  let clock = 0;
  const slow: SlowOperation[] = [];
  const memory = new MemFs();
  writeAll(memory, "/dir-less-file", "x".repeat(3000));
  const faults = new FaultFs(memory, {
    sleep: (duration) => {
      for (let step = 0; step <= 3; step++) {
        watch.poll();
        clock += duration / 3;
      }
    },
  });
  const fs = withDiskHealth(faults);
  const options = { thresholdMs: 100, intervalMs: 0, now: () => clock };
  using watch = watchDiskHealth(fs.memory, { ...options, onSlow: (info) => slow.push(info) });
  faults.arm({ on: kind, fault: { kind: "latency", ms } });
  const file = kind === "open" ? fs.open("/dir-less-file") : fs.openReadWrite("/dir-less-file");
  if (kind === "write") file.write(new Uint8Array(2000));
  else if (kind === "sync") file.sync();
  else if (kind === "readAt") file.readAt(new Uint8Array(1), 0);
  watch.poll();
  clock += 1000;
  watch.poll();
  return slow;
}

Deno.test("withDiskHealth() lets a slow call be told while it goes on, once and at each doubling", () => {
  assert.deepEqual(watchSlow("write", 60), []);
  const first = {
    operation: "write",
    path: "/dir-less-file",
    bytes: 2048,
    durationMs: 100,
  } as const;
  assert.deepEqual(watchSlow("write", 300), [first, { ...first, durationMs: 200 }]);
  assert.deepEqual(watchSlow("write", 150), [first]);
});

Deno.test("P11: withDiskHealth() covers openReadWrite files, reads, opens and syncs", () => {
  for (const kind of ["sync", "readAt", "open", "openReadWrite"] as const) {
    const [slow, ...others] = watchSlow(kind, 150);
    assert.equal(slow?.operation, kind);
    assert.equal(slow?.path, "/dir-less-file");
    assert.deepEqual(others, []);
  }
});

Deno.test("withDiskHealth() knows the paths of files, however many were opened before", () => {
  let clock = 0;
  const paths: string[] = [];
  const faults = new FaultFs(new MemFs(), {
    sleep: () => {
      watch.poll();
      clock += 150;
      watch.poll();
    },
  });
  const fs = withDiskHealth(faults);
  const options = { thresholdMs: 100, intervalMs: 0, now: () => clock };
  using watch = watchDiskHealth(fs.memory, { ...options, onSlow: ({ path }) => paths.push(path) });
  faults.arm({ on: "sync", fault: { kind: "latency", ms: 150 } });
  const kept = fs.create("/kept");
  for (let i = 0; i < 3000; i++) fs.create(`/${i}`).close();
  const long = fs.create(`/${"long".repeat(60)}-end`);
  using _other = fs.create("/other");
  for (const file of [kept, long]) {
    file.sync();
    file.close();
  }
  assert.equal(paths[0], "/kept");
  assert.match(paths[1] ?? "", /^(long|ong|ng|g)(long)+-end$/);
});

Deno.test("P11: withDiskHealth() tells asynchronous reads apart, any number at once", async () => {
  let clock = 0;
  const slow: SlowOperation[] = [];
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = withDiskHealth(faults);
  const watch = watchDiskHealth(fs.memory, {
    thresholdMs: 100,
    intervalMs: 0,
    now: () => clock,
    onSlow: (info) => slow.push(info),
  });
  faults.arm({ on: "readAtAsync", path: "slow", fault: { kind: "latency", ms: 1 } });
  writeAll(memory, "/slow", "slow");
  writeAll(memory, "/fast", "fast");
  using slowFile = fs.open("/slow");
  using fastFile = fs.open("/fast");
  const reads = Array.from({ length: 40 }, () => slowFile.readAtAsync(new Uint8Array(4), 0));
  await fastFile.readAtAsync(new Uint8Array(4), 0);
  watch.poll();
  clock += 150;
  watch.poll();
  assert.equal(slow.length, 31, "as many as there are places; the others go unwatched");
  assert.ok(slow.every(({ operation, path }) => operation === "readAtAsync" && path === "/slow"));
  await Promise.all(reads);
  clock += 1000;
  watch.poll();
  assert.equal(slow.length, 31);
  watch.close();
  watch.close();
});

Deno.test("watchDiskHealth() looks by itself", async () => {
  const { promise, resolve } = Promise.withResolvers<SlowOperation>();
  const memory = new MemFs();
  writeAll(memory, "/a", "a");
  const faults = new FaultFs(memory);
  faults.arm({ on: "readAtAsync", fault: { kind: "latency", ms: 30 } });
  const fs = withDiskHealth(faults);
  using _watch = watchDiskHealth(fs.memory, { thresholdMs: 4, onSlow: resolve });
  using a = fs.open("/a");
  const read = a.readAtAsync(new Uint8Array(1), 0);
  const slow = await promise;
  assert.equal(slow.operation, "readAtAsync");
  await read;
});

Deno.test("withSyncing() sends older bytes on their way, and syncs the rest on close", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const syncs = faults.arm({ on: "syncTo", probability: 0, fault: { kind: "lyingSync" } });
  const fs = withSyncing(faults, { bytesPerSync: 1 << 20 });
  const file = fs.create("/a");
  for (let i = 0; i < 40; i++) file.write(new Uint8Array(128 * 1024).fill(i));
  assert.equal(syncs.matches, 4, "5 MiB written, the last one not");
  using root = memory.openDir("/");
  root.sync();
  assert.equal(memory.crashClone({ keep: "synced" }).stat("/a").size, 0);
  file.close();
  assert.equal(memory.crashClone({ keep: "synced" }).stat("/a").size, 5 << 20);
});

Deno.test("withSyncing() syncs an empty new file, nothing that is clean, and nothing if told so", () => {
  const memory = new MemFs();
  let syncs = 0;
  memory.onSync = (_path, _kind, when) => void (syncs += when === "after" ? 1 : 0);
  const fs = withSyncing(memory);
  fs.create("/a").close();
  assert.equal(syncs, 1);
  fs.openReadWrite("/a").close();
  fs.open("/a").close();
  assert.equal(syncs, 1);
  const file = fs.openReadWrite("/a");
  file.write(bytes("x"));
  file.syncData();
  file.close();
  file.close();
  assert.equal(syncs, 2);
  const careless = withSyncing(memory, { noSyncOnClose: true });
  writeAll(careless, "/b", "b");
  assert.equal(syncs, 2);
});

Deno.test("withSyncing() closes the file also where the last sync fails, and tells of it", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = withSyncing(faults);
  faults.arm({ on: "sync", fault: { kind: "failedSync" } });
  const file = fs.create("/a");
  throwsCode("IO", () => file.close());
  assert.equal(memory.openHandles, 0);
});

Deno.test("withMetrics() counts calls, errors, bytes and categories", async () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = withMetrics(faults, { category: (path) => path.includes(".log") ? "log" : "rest" });
  using log = fs.create("/1.log");
  using other = fs.create("/2.seg");
  for (let i = 0; i < 10; i++) log.writeAt(bytes("12345"), i * 5);
  log.write(bytes("ab"));
  log.writeVectorAt([bytes("1"), bytes("23")], 0);
  other.write(bytes("x"));
  log.readAt(new Uint8Array(10), 45);
  await log.readAtAsync(new Uint8Array(4), 0);
  log.sync();
  faults.arm({ on: ["writeAt", "stat", "readAtAsync"], fault: { kind: "error", code: "IO" } });
  throwsCode("IO", () => log.writeAt(bytes("12345"), 0));
  throwsCode("IO", () => fs.stat("/1.log"));
  await assert.rejects(log.readAtAsync(new Uint8Array(4), 0));
  const { operations, categories } = fs;
  const of = (kind: keyof typeof operations) => {
    const { count, errors, bytes } = operations[kind];
    return [count, errors, bytes];
  };
  assert.deepEqual(of("writeAt"), [11, 1, 50]);
  assert.deepEqual(of("write"), [2, 0, 3]);
  assert.deepEqual(of("writeVectorAt"), [1, 0, 3]);
  assert.deepEqual(of("readAt"), [1, 0, 5]);
  assert.deepEqual(of("readAtAsync"), [2, 1, 4]);
  assert.deepEqual(of("create"), [2, 0, 0]);
  assert.deepEqual(of("stat"), [1, 1, 0]);
  assert.equal(operations.sync.latency.count, 1);
  assert.deepEqual(categories.get("log"), { bytesRead: 9, bytesWritten: 55 });
  assert.deepEqual(categories.get("rest"), { bytesRead: 0, bytesWritten: 1 });
});

Deno.test("withMetrics() times every sync, and of reads and writes one in so many", () => {
  let clock = 0;
  const faults = new FaultFs(new MemFs(), { sleep: (ms) => void (clock += ms) });
  const fs = withMetrics(faults, { now: () => clock, timeOneIn: 4 });
  faults.arm({ on: "syncData", fault: { kind: "latency", ms: 8 } });
  faults.arm({ on: "writeAt", fault: { kind: "latency", ms: 2 } });
  using file = fs.create("/a");
  for (let i = 0; i < 12; i++) file.writeAt(bytes("x"), 0);
  for (let i = 0; i < 5; i++) file.syncData();
  const { writeAt, syncData } = fs.operations;
  assert.equal(writeAt.latency.count, 3);
  assert.equal(writeAt.latency.meanMs, 2);
  assert.equal(syncData.latency.count, 5);
  assert.equal(syncData.latency.maxMs, 8);
});

Deno.test("LatencyHistogram.percentileMs() is at most an eighth of a doubling too high", () => {
  const histogram = new LatencyHistogram();
  assert.equal(histogram.percentileMs(0.5), 0);
  for (let i = 1; i <= 1000; i++) histogram.record(i / 100);
  for (const part of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = Math.ceil(part * 1000) / 100;
    const found = histogram.percentileMs(part);
    assert.ok(
      found >= exact && found <= exact * 2 ** (1 / 8) * 1.0001,
      `${part}: ${found}, ${exact}`,
    );
  }
  assert.equal(histogram.count, 1000);
  assert.equal(histogram.maxMs, 10);
  assert.ok(Math.abs(histogram.meanMs - 5.005) < 1e-9);
  histogram.record(0);
  histogram.record(1e12);
  assert.equal(histogram.percentileMs(1), 0.0001 * 2 ** (319 / 8));
  histogram.reset();
  assert.deepEqual([histogram.count, histogram.maxMs, histogram.meanMs], [0, 0, 0]);
});

Deno.test("withLogging() tells each call with its outcome", async () => {
  const lines: string[] = [];
  const fs = withLogging(new MemFs(), (line) => lines.push(line.replace(/\d+\.\d+ ms/, "N ms")));
  {
    using file = fs.create("/a");
    file.writeAt(bytes("hello"), 3);
    file.write(bytes("a"));
    file.write(bytes("b"));
    await file.readAtAsync(new Uint8Array(2), 0);
  }
  fs.rename("/a", "/b");
  throwsCode("NOT_FOUND", () => fs.open("/a"));
  assert.deepEqual(lines, [
    "create /a: N ms",
    "writeAt /a @3 +5: N ms",
    "write /a @0 +1: N ms",
    "write /a @1 +1: N ms",
    "readAtAsync /a @0 +2: N ms",
    "close /a: N ms",
    "rename /a -> /b: N ms",
    "open /a: NOT_FOUND",
  ]);
});

Deno.test("withTracking() knows what is open, and where it was opened", () => {
  const fs = withTracking(new MemFs());
  fs.assertClosed();
  const file = fs.create("/a");
  const dir = fs.openDir("/");
  const lock = fs.lock("/LOCK");
  const list = fs.openHandles().map(({ operation, path }) => `${operation} ${path}`);
  assert.deepEqual(list, ["create /a", "openDir /", "lock /LOCK"]);
  assert.match(fs.openHandles()[0]?.stack ?? "", /wrappers_test/);
  assert.throws(() => fs.assertClosed(), /3 handles are open:\ncreate \/a\n.*wrappers_test/);
  for (const handle of [file, dir, lock]) handle.close();
  fs.assertClosed();
});

Deno.test("wrappers do not hide what a failed sync loses", () => {
  const memory = new MemFs();
  const wrapped = withTracking(
    withSyncing(withMetrics(withDiskHealth(withDiskFull(memory, () => {})))),
  );
  const faults = new FaultFs(wrapped);
  writeSynced(faults, "/a", "old");
  using a = faults.openReadWrite("/a");
  a.write(bytes("new"));
  faults.arm({ on: "sync", times: 1, fault: { kind: "failedSync" } });
  throwsCode("IO", () => a.sync());
  a.sync();
  assert.deepEqual(readTree(memory.crashClone({ keep: "synced" }), "/"), { a: "old" });
});

import assert from "node:assert/strict";
import {
  allOperations,
  CrashFs,
  FaultFs,
  type FaultRule,
  type Fs,
  type FsOperationKind,
  MemFs,
  readOperations,
  syncOperations,
  writeOperations,
} from "../../vfs/mod.ts";
import {
  bytes,
  latin1,
  readAll,
  readTree,
  rejectsCode,
  text,
  throwsCode,
  writeAll,
  writeSynced,
} from "./_support.ts";

/** Calls each operation once. */
const callOf: Record<FsOperationKind, (fs: Fs) => unknown> = {
  create: (fs) => fs.create("/new"),
  open: (fs) => fs.open("/a"),
  openReadWrite: (fs) => fs.openReadWrite("/a"),
  openDir: (fs) => fs.openDir("/"),
  link: (fs) => fs.link("/a", "/linked"),
  remove: (fs) => fs.remove("/a"),
  removeAll: (fs) => fs.removeAll("/a"),
  rename: (fs) => fs.rename("/a", "/moved"),
  reuseForWrite: (fs) => fs.reuseForWrite("/a", "/reused"),
  mkdirAll: (fs) => fs.mkdirAll("/made"),
  lock: (fs) => fs.lock("/a"),
  unlock: (fs) => fs.lock("/a").close(),
  list: (fs) => fs.list("/"),
  stat: (fs) => fs.stat("/a"),
  diskUsage: (fs) => fs.diskUsage("/"),
  read: (fs) => fs.open("/a").read(new Uint8Array(1)),
  readAt: (fs) => fs.open("/a").readAt(new Uint8Array(1), 0),
  readAtAsync: (fs) => fs.open("/a").readAtAsync(new Uint8Array(1), 0),
  write: (fs) => fs.openReadWrite("/a").write(bytes("x")),
  writeAt: (fs) => fs.openReadWrite("/a").writeAt(bytes("x"), 0),
  writeVectorAt: (fs) => fs.openReadWrite("/a").writeVectorAt([bytes("x")], 0),
  sync: (fs) => fs.openReadWrite("/a").sync(),
  syncData: (fs) => fs.openReadWrite("/a").syncData(),
  syncTo: (fs) => fs.openReadWrite("/a").syncTo(1),
  preallocate: (fs) => fs.openReadWrite("/a").preallocate(0, 1),
  prefetch: (fs) => fs.open("/a").prefetch(0, 1),
  punchHole: (fs) => fs.openReadWrite("/a").punchHole(0, 1),
  truncate: (fs) => fs.openReadWrite("/a").truncate(0),
  fileStat: (fs) => fs.open("/a").stat(),
  close: (fs) => fs.open("/a").close(),
};

function prepared(): { memory: MemFs; faults: FaultFs } {
  const memory = new MemFs({ capacityBytes: 1 << 20 });
  writeSynced(memory, "/a", "content");
  return { memory, faults: new FaultFs(memory) };
}

Deno.test("C10: FaultFs.arm() strikes every operation without exception, and only that one", async () => {
  assert.deepEqual([...allOperations].sort(), Object.keys(callOf).sort());
  for (const kind of allOperations) {
    const { faults, memory } = prepared();
    const armed = faults.arm({ on: kind, times: 1, fault: { kind: "error", code: "BUSY" } });
    const before = memory.toString();
    if (kind === "readAtAsync") await rejectsCode("BUSY", Promise.resolve(callOf[kind](faults)));
    else throwsCode("BUSY", () => callOf[kind](faults));
    assert.equal(memory.toString(), before, `${kind} did something`);
    assert.equal(armed.strikes, 1);
    await callOf[kind](faults);
    assert.equal(armed.matches, 1, "a rule that is used up counts no more");
  }
});

Deno.test("C10: a rule that is used up leaves the call to the next rule", () => {
  const { faults } = prepared();
  faults.arm({ on: "stat", times: 1, fault: { kind: "error", code: "BUSY" } });
  faults.arm({ on: "stat", fault: { kind: "error", code: "IO" } });
  throwsCode("BUSY", () => faults.stat("/a"));
  throwsCode("IO", () => faults.stat("/a"));
});

Deno.test("C10: a path rule matches both names of a rename", () => {
  const { faults } = prepared();
  faults.arm({ on: "rename", path: "target", fault: { kind: "error", code: "IO" } });
  throwsCode("IO", () => faults.rename("/a", "/target"));
  faults.rename("/a", "/b");
  throwsCode("IO", () => faults.rename("/target", "/b"));
});

Deno.test("FaultFs.arm() counts: skip, times, offset and path", () => {
  const { faults } = prepared();
  const rule: FaultRule = {
    on: writeOperations,
    path: /^\/a$/,
    offset: 4096,
    skip: 1,
    times: 2,
    fault: { kind: "error", code: "NO_SPACE" },
  };
  const armed = faults.arm(rule);
  using a = faults.openReadWrite("/a");
  using b = faults.create("/b");
  b.writeAt(bytes("x"), 4096);
  a.writeAt(bytes("x"), 4095);
  a.writeAt(bytes("x"), 4097);
  a.writeAt(bytes("xx"), 4095);
  throwsCode("NO_SPACE", () => a.writeAt(bytes("xx"), 4095));
  throwsCode("NO_SPACE", () => a.writeVectorAt([bytes("x"), bytes("x")], 4095));
  a.writeAt(bytes("xx"), 4095);
  assert.deepEqual([armed.matches, armed.strikes], [3, 2]);
});

Deno.test("FaultFs.arm() with a probability is decided by the seed", () => {
  const strikes = (seed: number) => {
    const { memory } = prepared();
    const faults = new FaultFs(memory, { seed });
    faults.arm({ on: "stat", probability: 0.3, fault: { kind: "error", code: "IO" } });
    return Array.from({ length: 200 }, () => {
      try {
        faults.stat("/a");
        return 0;
      } catch {
        return 1;
      }
    });
  };
  assert.deepEqual(strikes(7), strikes(7));
  assert.notDeepEqual(strikes(7), strikes(8));
  const count = strikes(7).reduce<number>((sum, struck) => sum + struck, 0);
  assert.ok(count > 30 && count < 90, String(count));
});

Deno.test("FaultFs.clear() ends all rules, ArmedFault.clear() one, at any time", () => {
  const { faults } = prepared();
  const first = faults.arm({ on: "stat", fault: { kind: "error", code: "BUSY" } });
  faults.arm({ on: "stat", fault: { kind: "error", code: "IO" } });
  first.clear();
  first.clear();
  throwsCode("IO", () => faults.stat("/a"));
  faults.clear();
  faults.stat("/a");
});

Deno.test("FaultFs.toString() prints the rules and their counts", () => {
  const { faults } = prepared();
  faults.arm({
    on: "syncData",
    path: ".log",
    skip: 2,
    times: 1,
    probability: 0.5,
    fault: { kind: "failedSync" },
  });
  faults.arm({ fault: { kind: "latency", ms: 0, random: true } });
  faults.arm({ on: ["read", "readAt"], offset: 9, fault: { kind: "flipBit", offset: 9, bit: 3 } });
  faults.arm({ path: /x$/, on: "write", fault: { kind: "shortWrite", bytes: 3 } });
  faults.stat("/a");
  assert.equal(
    String(faults),
    [
      'syncData on ".log", after 2, 1 time, p=0.5: the sync fails and drops what was written [0/0]',
      "any: around 0 ms [1/1]",
      "read|readAt at 9: bit 3 of byte 9 flips [0/0]",
      "write on /x$/: 3 bytes, then IO [0/0]",
    ].join("\n"),
  );
});

Deno.test("P8: a memory file system can be full, slow, cut files and write in parts", () => {
  const slept: number[] = [];
  const memory = new MemFs({ capacityBytes: 8192 });
  const fs = new FaultFs(memory, { sleep: (ms) => slept.push(ms) });
  fs.arm({ on: "truncate", fault: { kind: "latency", ms: 7 } });
  using a = fs.create("/a");
  a.writeVectorAt([new Uint8Array(4000), new Uint8Array(4192)], 0);
  throwsCode("NO_SPACE", () => a.writeVectorAt([bytes("x"), bytes("y")], 8192));
  a.truncate(4096);
  assert.deepEqual(slept, [7]);
  a.writeVectorAt([bytes("x"), bytes("y")], 8192);
  assert.equal(a.stat().size, 8194);
});

Deno.test("P10: a write can stop after any number of bytes, also at none", () => {
  for (
    const { count, code } of [{ count: 0 }, { count: 3 }, { count: 6, code: "NO_SPACE" as const }]
  ) {
    const { memory, faults } = prepared();
    const armed = faults.arm({
      on: writeOperations,
      fault: { kind: "shortWrite", bytes: count, ...(code && { code }) },
    });
    using a = faults.openReadWrite("/a");
    throwsCode(code ?? "IO", () => a.writeAt(bytes("WRITTEN"), 0));
    assert.equal(text(readAll(memory, "/a")), "WRITTEN".slice(0, count) + "content".slice(count));
    throwsCode(code ?? "IO", () => a.writeVectorAt([bytes("12"), bytes("34567")], 0));
    assert.equal(text(readAll(memory, "/a")), "1234567".slice(0, count) + "content".slice(count));
    throwsCode(code ?? "IO", () => a.truncate(0));
    armed.clear();
    a.writeAt(bytes("fine   "), 0);
  }
});

Deno.test("P10: a read can bring a turned bit, and a write store one", async () => {
  const { memory, faults } = prepared();
  const armed = faults.arm({ on: readOperations, fault: { kind: "flipBit", offset: 2, bit: 5 } });
  using a = faults.openReadWrite("/a");
  const into = new Uint8Array(7);
  a.readAt(into, 0);
  assert.equal(text(into), "coNtent");
  await a.readAtAsync(into, 0);
  assert.equal(text(into), "coNtent");
  a.readAt(into.subarray(0, 2), 0);
  assert.equal(text(into.subarray(0, 2)), "co");
  armed.clear();
  a.readAt(into, 0);
  assert.equal(text(into), "content", "what is stored is whole");
  faults.arm({ on: "writeAt", times: 1, fault: { kind: "flipBit" } });
  const given = bytes("CONTENT");
  a.writeAt(given, 0);
  assert.equal(text(given), "CONTENT", "the caller's bytes are left alone");
  const stored = readAll(memory, "/a");
  const turned = [...stored].map((byte, at) => byte ^ (given[at] ?? 0)).filter((bits) =>
    bits !== 0
  );
  assert.equal(turned.length, 1);
  assert.ok([1, 2, 4, 8, 16, 32, 64, 128].includes(turned[0] ?? 0));
});

Deno.test("P10: a call can be slow; random latencies come from the seed", () => {
  const slept: number[] = [];
  const make = () => new FaultFs(prepared().memory, { seed: 3, sleep: (ms) => slept.push(ms) });
  const faults = make();
  faults.arm({ on: "stat", fault: { kind: "latency", ms: 50 } });
  faults.arm({ on: "stat", skip: 1, fault: { kind: "latency", ms: 10, random: true } });
  faults.arm({ on: "stat", skip: 2, fault: { kind: "error", code: "IO" } });
  faults.stat("/a");
  assert.deepEqual(slept, [50]);
  faults.stat("/a");
  throwsCode("IO", () => faults.stat("/a"));
  assert.equal(slept.length, 5);
  assert.ok(slept.every((ms) => ms > 0 && ms <= 200));
  assert.notEqual(slept[2], slept[4]);
});

Deno.test("P10: a latency delays an asynchronous read without blocking the thread", async () => {
  const { memory } = prepared();
  const faults = new FaultFs(memory, { sleep: () => assert.fail("the thread was blocked") });
  faults.arm({ on: "readAtAsync", fault: { kind: "latency", ms: 1 } });
  using a = faults.open("/a");
  const into = new Uint8Array(7);
  assert.equal(await a.readAtAsync(into, 0), 7);
  assert.equal(text(into), "content");
});

Deno.test("P10: close can fail; the handle is closed all the same", () => {
  const { memory, faults } = prepared();
  faults.arm({ on: ["close", "unlock"], fault: { kind: "error", code: "IO" } });
  throwsCode("IO", () => faults.open("/a").close());
  throwsCode("IO", () => faults.lock("/a").close());
  assert.equal(memory.openHandles, 0);
  memory.lock("/a").close();
});

Deno.test("C3: a failed sync loses what was written, and no later sync brings it back", () => {
  const crash = new CrashFs();
  const faults = new FaultFs(crash);
  writeSynced(faults, "/a", "o".repeat(8192));
  const armed = faults.arm({ on: syncOperations, times: 1, fault: { kind: "failedSync" } });
  using a = faults.openReadWrite("/a");
  a.writeAt(bytes("n".repeat(4096)), 0);
  throwsCode("IO", () => a.syncData());
  assert.equal(armed.strikes, 1);
  assert.equal(latin1(readAll(faults, "/a")).slice(0, 2), "nn", "the cache goes on showing it");
  a.syncData();
  a.sync();
  a.writeAt(bytes("m".repeat(100)), 5000);
  a.sync();
  for (let seed = 0; seed < 50; seed++) {
    const content = text(readAll(crash.crashClone({ seed }), "/a"));
    assert.equal(content.slice(0, 4096), "o".repeat(4096), "lost, whatever is synced later");
    assert.equal(content.slice(5000, 5100), "m".repeat(100));
  }
  // Written anew, the page goes to the disk whole.
  a.writeAt(bytes("m"), 0);
  a.sync();
  assert.equal(
    text(readAll(crash.crashClone({ seed: 1 }), "/a")).slice(0, 4096),
    "m" + "n".repeat(4095),
  );
});

Deno.test("C3: before a lost page is written anew and synced, a crash shows it old or whole", () => {
  const crash = new CrashFs();
  const faults = new FaultFs(crash);
  writeSynced(faults, "/a", "o".repeat(4096));
  faults.arm({ on: "sync", times: 1, fault: { kind: "failedSync" } });
  using a = faults.openReadWrite("/a");
  a.writeAt(bytes("n".repeat(4096)), 0);
  throwsCode("IO", () => a.sync());
  a.writeAt(bytes("m"), 0);
  const states = [...crash.everyCrash()].map((state) => text(readAll(state, "/a")));
  const expected = ["o".repeat(4096), "m" + "n".repeat(4095)];
  assert.deepEqual(states.sort(), expected.sort());
});

Deno.test("C3: a failed sync may have written some pages before it failed", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 30; seed++) {
    const memory = new MemFs();
    const faults = new FaultFs(memory, { seed });
    writeSynced(faults, "/a", "o".repeat(8192));
    faults.arm({ on: "sync", fault: { kind: "failedSync", reached: 0.5 } });
    using a = faults.openReadWrite("/a");
    a.writeAt(bytes("n".repeat(8192)), 0);
    throwsCode("IO", () => a.sync());
    const content = text(readAll(memory.crashClone({ keep: "synced" }), "/a"));
    seen.add(`${content[0]}${content[4096]}`);
  }
  assert.deepEqual([...seen].sort(), ["nn", "no", "on", "oo"]);
});

Deno.test("C3: a failed sync of a directory loses the names, and no later sync brings them back", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  faults.arm({ on: "sync", path: /\/$/, times: 1, fault: { kind: "failedSync" } });
  writeAll(faults, "/a", "");
  using root = faults.openDir("/");
  throwsCode("IO", () => root.sync());
  writeAll(faults, "/b", "");
  root.sync();
  assert.deepEqual(readTree(memory, "/"), { a: "", b: "" });
  assert.deepEqual(readTree(memory.crashClone({ keep: "synced" }), "/"), { b: "" });
});

Deno.test("FaultFs.arm() with a lying sync makes nothing durable and says nothing", () => {
  const { memory, faults } = prepared();
  faults.arm({ on: syncOperations, fault: { kind: "lyingSync" } });
  using a = faults.openReadWrite("/a");
  a.writeAt(bytes("LIES"), 0);
  a.sync();
  a.syncData();
  assert.equal(a.syncTo(4), true);
  assert.equal(text(readAll(memory.crashClone({ keep: "synced" }), "/a")), "content");
});

import assert from "node:assert/strict";
import { FaultFs, type File, type Fs, InterceptFs, MemFs, VirtualFs } from "../../vfs/mod.ts";
import {
  bytes,
  readAll,
  rejectsCode,
  text,
  throwsCode,
  writeAll,
  writeSynced,
} from "./_support.ts";

/** Opens other files until a handle's descriptor is gone. */
function crowdOut(fs: Fs, count = 4): void {
  for (let i = 0; i < count; i++) {
    using file = fs.openReadWrite(`/crowd${i}`);
    file.readAt(new Uint8Array(1), 0);
  }
}

function read(file: File, length: number, offset = 0): string {
  const into = new Uint8Array(length);
  return text(into.subarray(0, file.readAt(into, offset)));
}

Deno.test("VirtualFs() keeps hundreds of files open with few descriptors", () => {
  const memory = new MemFs();
  const fs = new VirtualFs(memory, { maxOpen: 10 });
  const files = Array.from({ length: 300 }, (_, i) => {
    const file = fs.create(`/${i}`);
    file.write(bytes(`file ${i},`));
    return file;
  });
  for (let round = 0; round < 3; round++) {
    for (const [i, file] of files.entries()) file.write(bytes(`${round}.${i}`));
  }
  assert.deepEqual(memory.openHandles, 10);
  assert.equal(fs.stats().handles, 300);
  assert.equal(fs.stats().descriptors, 10);
  assert.ok(fs.stats().evictions >= 290);
  for (const [i, file] of files.entries()) {
    assert.equal(read(file, 100), `file ${i},0.${i}1.${i}2.${i}`, "the cursor was kept");
    file.close();
  }
  assert.equal(memory.openHandles, 0);
});

Deno.test("VirtualFs() rarely closes what is used all the time", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = new VirtualFs(faults, { maxOpen: 4 });
  writeAll(memory, "/hot", "hot");
  const counter = faults.arm({
    on: "open",
    path: "/hot",
    probability: 0,
    fault: { kind: "error", code: "IO" },
  });
  const hot = fs.open("/hot");
  for (let i = 0; i < 100; i++) {
    fs.create(`/${i}`);
    assert.equal(read(hot, 9), "hot");
  }
  assert.ok(fs.stats().evictions >= 97);
  assert.ok(counter.matches <= 3, `${counter.matches} times opened again`);
});

Deno.test("VirtualFs() creates and truncates nothing when it opens again", () => {
  const memory = new MemFs();
  const fs = new VirtualFs(memory, { maxOpen: 1 });
  const file = fs.create("/a");
  file.write(bytes("content"));
  crowdOut(fs);
  assert.equal(read(file, 100), "content");
  crowdOut(fs);
  memory.remove("/a");
  throwsCode("NOT_FOUND", () => file.writeAt(bytes("x"), 0));
  throwsCode("NOT_FOUND", () => memory.stat("/a"));
});

Deno.test("N1: a name that was given to another file meanwhile is noticed", () => {
  const memory = new MemFs();
  const fs = new VirtualFs(memory, { maxOpen: 1 });
  for (
    const replace of [
      () => writeAll(memory, "/a", "other"),
      () => memory.rename("/crowd0", "/a"),
      () => memory.removeAll("/a"),
    ]
  ) {
    writeAll(fs, "/a", "mine");
    const reader = fs.open("/a");
    const writer = fs.openReadWrite("/a");
    crowdOut(fs);
    replace();
    throwsCode("NOT_FOUND", () => reader.readAt(new Uint8Array(4), 0));
    throwsCode("NOT_FOUND", () => writer.writeAt(bytes("mine"), 0));
    reader.close();
    writer.close();
  }
});

Deno.test("N1: renames, replacements and removals through VirtualFs are followed", () => {
  const fs = new VirtualFs(new MemFs(), { maxOpen: 1 });
  fs.mkdirAll("/dir");
  writeAll(fs, "/dir/a", "a");
  writeAll(fs, "/b", "b");
  const a = fs.openReadWrite("/dir/a");
  const b = fs.open("//b/");
  crowdOut(fs);
  fs.rename("/dir", "/moved");
  crowdOut(fs);
  assert.equal(read(a, 9), "a");
  fs.rename("/moved/a", "/b");
  crowdOut(fs);
  assert.equal(read(a, 9), "a");
  assert.equal(read(b, 9), "b", "it has no name any more, and lives on");
  writeAll(fs, "/b", "c");
  crowdOut(fs);
  a.writeAt(bytes("A"), 0);
  crowdOut(fs);
  assert.equal(read(a, 9), "A");
  assert.equal(text(readAll(fs, "/b")), "c");
  const c = fs.open("/b");
  crowdOut(fs);
  fs.removeAll("/b");
  crowdOut(fs);
  assert.equal(read(c, 9), "c");
  for (const file of [a, b, c]) file.close();
  assert.equal(fs.stats().handles, 0);
  crowdOut(fs);
  assert.equal(fs.stats().descriptors, 0);
});

Deno.test("N1: a rename that fails leaves the files as evictable as they were", () => {
  const fs = new VirtualFs(new MemFs(), { maxOpen: 1 });
  writeAll(fs, "/a", "a");
  using a = fs.open("/a");
  throwsCode("NOT_FOUND", () => fs.rename("/missing", "/a"));
  crowdOut(fs);
  assert.equal(fs.stats().descriptors, 0, "the last of the crowd took its place and was closed");
  assert.equal(read(a, 9), "a");
});

Deno.test("N2: what was written is synced before its descriptor is closed", () => {
  const memory = new MemFs();
  const fs = new VirtualFs(memory, { maxOpen: 1 });
  writeSynced(memory, "/a", "old");
  const a = fs.openReadWrite("/a");
  a.writeAt(bytes("new"), 0);
  assert.equal(text(readAll(memory.crashClone({ keep: "synced" }), "/a")), "old");
  crowdOut(fs);
  assert.equal(text(readAll(memory.crashClone({ keep: "synced" }), "/a")), "new");
  a.close();
});

Deno.test("N2: what a syncTo() has not made durable is synced before its descriptor is closed", () => {
  const memory = new MemFs();
  const lazy = new InterceptFs("lazy", memory, {
    call: (_operation, run) => run(),
    callAsync: (_operation, run) => run(),
    sync: ({ kind }, _file, run) => kind === "syncTo" ? false : run(),
  });
  const fs = new VirtualFs(lazy, { maxOpen: 1 });
  writeSynced(memory, "/a", "old");
  using a = fs.openReadWrite("/a");
  a.writeAt(bytes("new"), 0);
  assert.equal(a.syncTo(3), false);
  crowdOut(fs);
  assert.equal(text(readAll(memory.crashClone({ keep: "synced" }), "/a")), "new");
});

Deno.test("N2: a failed sync before an eviction is told by every later write and sync", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = new VirtualFs(faults, { maxOpen: 1 });
  writeSynced(memory, "/a", "old");
  const a = fs.openReadWrite("/a");
  a.writeAt(bytes("new"), 0);
  faults.arm({ on: "sync", path: "/a", times: 1, fault: { kind: "failedSync" } });
  crowdOut(fs);
  for (let i = 0; i < 2; i++) {
    throwsCode("IO", () => a.sync());
    throwsCode("IO", () => a.syncData());
    throwsCode("IO", () => a.syncTo(1));
    throwsCode("IO", () => a.writeAt(bytes("x"), 0));
    throwsCode("IO", () => a.truncate(0));
  }
  assert.equal(read(a, 9), "new", "reads go on");
  a.close();
});

Deno.test("N2: clean descriptors are closed before dirty ones", () => {
  const memory = new MemFs();
  const fs = new VirtualFs(memory, { maxOpen: 3 });
  let syncs = 0;
  memory.onSync = () => void syncs++;
  const dirty = fs.create("/dirty");
  dirty.write(bytes("x"));
  const clean = [fs.create("/1"), fs.create("/2"), fs.create("/3"), fs.create("/4")];
  assert.equal(syncs, 0);
  assert.equal(fs.stats().evictions, 2);
  for (const file of [dirty, ...clean]) file.close();
});

Deno.test("N3: a lock survives any number of evictions", () => {
  const memory = new MemFs();
  const fs = new VirtualFs(memory, { maxOpen: 1 });
  const lock = fs.lock("/LOCK");
  const alias = fs.openReadWrite("/LOCK");
  crowdOut(fs, 20);
  alias.close();
  throwsCode("LOCKED", () => fs.lock("/LOCK"));
  throwsCode("LOCKED", () => memory.lock("/LOCK"));
  lock.close();
  memory.lock("/LOCK").close();
});

Deno.test("N4: an open that fails closes nothing and loses no place", () => {
  const memory = new MemFs();
  const fs = new VirtualFs(memory, { maxOpen: 2 });
  const files = [fs.create("/a"), fs.create("/b")];
  for (let i = 0; i < 10; i++) {
    throwsCode("NOT_FOUND", () => fs.open("/missing"));
    throwsCode("IS_A_DIRECTORY", () => fs.create("/"));
  }
  assert.deepEqual(fs.stats(), { handles: 2, descriptors: 2, evictions: 0 });
  const third = fs.create("/c");
  memory.remove("/a");
  memory.remove("/b");
  const gone = files.filter((file) => {
    try {
      file.stat();
      return false;
    } catch {
      return true;
    }
  });
  assert.equal(gone.length, 1);
  assert.deepEqual(fs.stats(), { handles: 3, descriptors: 2, evictions: 1 });
  for (const file of [...files, third]) file.close();
  assert.equal(memory.openHandles, 0);
});

Deno.test("N5: maxOpen must be an integer from 1 up", () => {
  for (const maxOpen of [0, -1, 1.5, NaN, Infinity]) {
    throwsCode("INVALID", () => new VirtualFs(new MemFs(), { maxOpen }));
  }
});

Deno.test("N6: more reads under way than descriptors wait for nothing, and the bound returns", async () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = new VirtualFs(faults, { maxOpen: 2 });
  for (let i = 0; i < 6; i++) writeAll(memory, `/${i}`, `${i}`);
  faults.arm({ on: "readAtAsync", fault: { kind: "latency", ms: 1 } });
  const files = Array.from({ length: 6 }, (_, i) => fs.open(`/${i}`));
  const buffers = files.map(() => new Uint8Array(1));
  const reads = files.map((file, i) => file.readAtAsync(buffers[i] ?? new Uint8Array(), 0));
  assert.equal(fs.stats().descriptors, 6, "pinned");
  assert.deepEqual(await Promise.all(reads), [1, 1, 1, 1, 1, 1]);
  assert.equal(buffers.map(text).join(""), "012345");
  const one = fs.open("/0");
  assert.equal(fs.stats().descriptors, 2);
  for (const file of [...files, one]) file.close();
  assert.equal(memory.openHandles, 0);
});

Deno.test("N7: a refused permission and a full disk are errors of the call, and nothing more", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = new VirtualFs(faults, { maxOpen: 1 });
  const a = fs.create("/a");
  a.write(bytes("a"));
  crowdOut(fs);
  const armed = faults.arm({ on: "openReadWrite", fault: { kind: "error", code: "PERMISSION" } });
  throwsCode("PERMISSION", () => a.write(bytes("b")));
  armed.clear();
  a.write(bytes("b"));
  memory.setCapacity(4096);
  throwsCode("NO_SPACE", () => a.writeAt(bytes("c"), 4096));
  memory.setCapacity(undefined);
  a.write(bytes("c"));
  assert.equal(read(a, 9), "abc");
  a.close();
});

Deno.test("N9: close() closes the descriptor at once", () => {
  const memory = new MemFs();
  const fs = new VirtualFs(memory, { maxOpen: 3 });
  for (let i = 0; i < 10; i++) {
    const file = fs.create(`/${i}`);
    assert.equal(memory.openHandles, 1);
    file.close();
    assert.equal(memory.openHandles, 0);
  }
});

Deno.test("N10: vectored writes, preallocation and hints go through an evicted handle", () => {
  const memory = new MemFs();
  const faults = new FaultFs(memory);
  const fs = new VirtualFs(faults, { maxOpen: 1 });
  const counters = (["preallocate", "prefetch", "writeVectorAt"] as const).map((on) => {
    return faults.arm({ on, probability: 0, fault: { kind: "error", code: "IO" } });
  });
  using a = fs.create("/a");
  crowdOut(fs);
  a.preallocate(0, 100);
  crowdOut(fs);
  a.writeVectorAt([bytes("one"), bytes("two")], 1);
  crowdOut(fs);
  a.prefetch(0, 7);
  assert.equal(read(a, 9), "\0onetwo");
  assert.deepEqual(counters.map(({ matches }) => matches), [1, 1, 1]);
});

Deno.test("VirtualFs() lets a read under way end when its handle is closed", async () => {
  const fs = new VirtualFs(new MemFs(), { maxOpen: 1 });
  writeAll(fs, "/a", "a");
  const a = fs.open("/a");
  const read = a.readAtAsync(new Uint8Array(1), 0);
  a.close();
  assert.equal(await read, 1);
  await rejectsCode("CLOSED", a.readAtAsync(new Uint8Array(1), 0));
});

import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import {
  DenoFs,
  exists,
  type Fs,
  type FsOperation,
  InterceptFs,
  joinPath,
  MemFs,
  readFile,
} from "../vfs/mod.ts";
import { FileLogStore } from "../wal/file_log_store.ts";
import { MemoryLogStore } from "../wal/memory_log_store.ts";
import { SegmentedLogStore } from "../wal/segmented_log_store.ts";
import { fails, refused } from "./_log_store_conformance.ts";
import { bytesFrom, contentOf, fileKinds, inTempDir } from "./_log_store_places.ts";

/** Every file with its bytes; the locks are empty and left out. */
function filesOf(fs: Fs, dir = "/"): Map<string, string> {
  const files = new Map<string, string>();
  for (const name of fs.list(dir)) {
    const path = joinPath(dir, name);
    if (fs.stat(path).isDirectory) {
      filesOf(fs, path).forEach((bytes, file) => files.set(file, bytes));
    } else if (!/lock$/i.test(name)) files.set(path, readFile(fs, path).toHex());
  }
  return files;
}

function replaceFile(fs: Fs, path: string, bytes: Uint8Array): void {
  using file = fs.create(path);
  file.writeAt(bytes, 0);
}

function segmented(fs: Fs, segmentBytes = 10): SegmentedLogStore {
  return SegmentedLogStore.open("/log", { fs, segmentBytes });
}

/** A log of three segments and a bit, its head in the second. */
function sample(): MemFs {
  const fs = new MemFs();
  using store = segmented(fs);
  store.writeAt(bytesFrom(0, 35), 0);
  store.sync();
  store.truncateBefore(12);
  return fs;
}

/** Asserts that a log is refused with a code, again and again, and that no byte of it changes. */
function untouched(fs: Fs, code: string, open: () => unknown): string {
  const before = filesOf(fs);
  const { path } = fails(code, open);
  const { message } = fails(code, open);
  assert(path !== undefined && message.includes(path), message);
  assert.deepEqual(filesOf(fs), before);
  return message;
}

Deno.test("LogStore, W1: a head file that is torn, damaged or missing deletes nothing", () => {
  const base = sample();
  const whole = readFile(base, "/log/HEAD");
  const damages: (Uint8Array | undefined)[] = [undefined];
  for (let length = 0; length < whole.length; length++) damages.push(whole.slice(0, length));
  for (let at = 0; at < whole.length; at++) {
    damages.push(whole.map((byte, i) => i === at ? byte ^ 0x10 : byte));
  }
  for (const damaged of damages) {
    const fs = base.crashClone({ keep: "all" });
    if (damaged === undefined) fs.remove("/log/HEAD");
    else replaceFile(fs, "/log/HEAD", damaged);
    assert.match(untouched(fs, "CORRUPT", () => segmented(fs)), /\/log\/HEAD/);
    replaceFile(fs, "/log/HEAD", whole);
    using store = segmented(fs);
    assert.deepEqual(contentOf(store), bytesFrom(12, 23), "all of it is still there");
  }
});

Deno.test("LogStore, W1: a damaged header of a file deletes nothing", () => {
  const path = "/a.log";
  const fs = new MemFs();
  {
    using store = FileLogStore.open(path, { fs });
    store.writeAt(bytesFrom(0, 30), 0);
  }
  const whole = readFile(fs, path);
  for (let at = 0; at < 64; at++) {
    replaceFile(fs, path, whole.map((byte, i) => i === at ? byte ^ 1 : byte));
    const code = at < 8 ? "NOT_A_STORE" : "CORRUPT";
    untouched(fs, code, () => FileLogStore.open(path, { fs }));
    replaceFile(fs, path, whole.slice(0, at));
    untouched(fs, code, () => FileLogStore.open(path, { fs }));
  }
  replaceFile(fs, path, whole);
  using store = FileLogStore.open(path, { fs });
  assert.deepEqual(contentOf(store), bytesFrom(0, 30));
});

Deno.test("LogStore, W17: a segment that is missing, short, long or damaged is an error that names it", () => {
  const names = [10, 20, 30].map((first) => `${String(first).padStart(16, "0")}.wal`);
  for (const [at, name] of names.entries()) {
    const path = `/log/${name}`;
    const base = sample();
    const whole = readFile(base, path);
    const damages: [string, Uint8Array | undefined][] = [
      ["missing", at === 2 ? whole.slice(0, 3) : undefined],
      ["header cut", whole.slice(0, 63)],
      ["header damaged", whole.map((byte, i) => i === 30 ? byte ^ 1 : byte)],
      ["empty", new Uint8Array()],
      ["long", new Uint8Array([...whole, ...new Uint8Array(20)])],
    ];
    if (at < 2) damages.push(["short", whole.slice(0, 73)]);
    for (const [what, bytes] of damages) {
      const fs = base.crashClone({ keep: "all" });
      if (bytes === undefined) fs.remove(path);
      else replaceFile(fs, path, bytes);
      const message = untouched(fs, "CORRUPT", () => segmented(fs));
      assert(message.includes(path), `${what}: ${message}`);
      replaceFile(fs, path, whole);
      using store = segmented(fs);
      assert.deepEqual(contentOf(store), bytesFrom(12, 23));
    }
  }
});

Deno.test("LogStore, W17: a segment of another log, or under another name, is refused", () => {
  const [fs, other] = [sample(), sample()];
  const name = "/log/0000000000000020.wal";
  replaceFile(fs, name, readFile(other, name));
  assert.match(
    untouched(fs, "CORRUPT", () => segmented(fs)),
    /20\.wal: it belongs to another log/,
  );
  const renamed = sample();
  replaceFile(renamed, name, readFile(renamed, "/log/0000000000000010.wal"));
  assert.match(untouched(renamed, "CORRUPT", () => segmented(renamed)), /20\.wal/);
});

Deno.test("LogStore, W17: a file that loses bytes while the log is open is CORRUPT, not the end", () => {
  const fs = new MemFs();
  using store = segmented(fs);
  store.writeAt(bytesFrom(0, 35), 0);
  using cut = fs.openReadWrite("/log/0000000000000010.wal");
  cut.truncate(70);
  const error = fails("CORRUPT", () => contentOf(store));
  assert.deepEqual([error.path, error.offset], ["/log/0000000000000010.wal", 70]);
  assert.equal(store.readAt(new Uint8Array(20), 20), 15);
});

Deno.test("LogStore, W4: every name is durable: of a new log, a new segment, a removed one, the head", () => {
  for (const kind of fileKinds) {
    const fs = new MemFs();
    const dir = "/some/where/new";
    const store = kind.open(fs, dir);
    kind.open(fs.crashClone({ keep: "synced" }), dir).close();
    store.writeAt(bytesFrom(0, 50), 0);
    store.sync();
    const head = store.truncateBefore(30);
    const survivor = fs.crashClone({ keep: "synced" });
    assert.equal([...filesOf(survivor).keys()].join(), [...filesOf(fs).keys()].join());
    using reopened = kind.open(survivor, dir);
    assert.equal(reopened.head, head);
    assert.deepEqual(contentOf(reopened).subarray(0, 50 - head), bytesFrom(head, 50 - head));
    store.close();
  }
});

Deno.test("LogStore, W7 and W8: a sync covers every segment written since the last, in any order, open or not", () => {
  const fs = new MemFs();
  const store = segmented(fs);
  store.writeAt(new Uint8Array(300), 0);
  store.sync();
  // Many more than are kept open, and the early ones last.
  for (let first = 290; first >= 0; first -= 10) {
    store.writeAt(bytesFrom(first, 10), first);
    if (first % 70 === 0) store.sync();
  }
  for (const first of [40, 250, 0]) store.writeAt(bytesFrom(first + 5, 3), first);
  store.sync();
  const survivor = fs.crashClone({ keep: "synced" });
  using reopened = segmented(survivor);
  assert.deepEqual(contentOf(reopened).subarray(0, 300), contentOf(store));
  store.close();
});

Deno.test("SegmentedLogStore keeps few files open, but those with unsynced bytes", () => {
  const fs = new MemFs();
  using store = segmented(fs);
  const before = fs.openHandles;
  store.writeAt(bytesFrom(0, 400), 0);
  assert.equal(fs.openHandles - before, 40);
  store.sync();
  const into = new Uint8Array(1);
  for (let at = 0; at < 400; at += 10) store.readAt(into, at);
  for (let at = 0; at < 400; at += 10) store.readAt(into, at);
  assert(fs.openHandles - before <= 8, `${fs.openHandles - before} open`);
});

Deno.test("LogStore, W14: a segment size of 0 is refused; another size leaves what is there as it is", () => {
  const fs = new MemFs();
  for (const wrong of [0, -1, 1.5, NaN, 2 ** 53, "10"]) {
    const options = { fs, segmentBytes: wrong as number };
    assert.throws(() => SegmentedLogStore.open("/log", options), { code: "INVALID_ARGUMENT" });
  }
  assert(!exists(fs, "/log"));
  let length = 0;
  for (const segmentBytes of [10, 3, 1000, 1, 25]) {
    using store = segmented(fs, segmentBytes);
    assert.deepEqual(contentOf(store), bytesFrom(0, length));
    store.writeAt(bytesFrom(length, 40), length);
    length += 40;
  }
  using store = segmented(fs);
  assert.deepEqual(contentOf(store), bytesFrom(0, length));
  for (const head of [7, 11, 39, 43, 80, 160]) {
    assert.equal(store.truncateBefore(head), head);
    assert.deepEqual(contentOf(store), bytesFrom(head, length - head));
  }
});

Deno.test("LogStore, W14: a gap of millions of files is refused before one is made", () => {
  const fs = new MemFs();
  using store = segmented(fs);
  const before = filesOf(fs);
  refused(store, "position", () => store.writeAt(new Uint8Array(1), 2 ** 52));
  assert.deepEqual(filesOf(fs), before);
  store.writeAt(new Uint8Array([1]), 35);
});

Deno.test("LogStore, W15: a log is opened once, LOCKED says so; close() gives it up, a failed open too", () => {
  const check = (fs: Fs, dir: string) => {
    for (const kind of fileKinds) {
      const place = `${dir}/${kind.name.replaceAll(/\W/g, "")}`;
      const store = kind.open(fs, place);
      const error = fails("LOCKED", () => kind.open(fs, place));
      assert.match(error.message, /open already.*Close it/);
      store.close();
      kind.open(fs, place).close();
    }
  };
  check(new MemFs(), "");
  inTempDir((dir) => check(new DenoFs(), dir));
});

Deno.test("LogStore, W16: one write call for a run of bytes, and a sync meets an unchanged length", () => {
  for (const kind of fileKinds.filter(({ name }) => /1048576|1024/.test(name))) {
    const seen: FsOperation[] = [];
    const inner = new MemFs();
    const fs = new InterceptFs("seen", inner, {
      call(operation, run) {
        seen.push(operation);
        return run();
      },
      callAsync: (_operation, run) => run(),
      write(operation, parts, write) {
        seen.push(operation);
        write(parts);
      },
    });
    using store = kind.open(fs, "/d");
    store.writeAt(bytesFrom(0, 1), 0);
    store.sync();
    const sizes = () =>
      [...filesOf(inner)].map(([path, bytes]) => `${path} ${bytes.length}`).join();
    const before = sizes();
    seen.length = 0;
    for (let record = 0; record < 20; record++) {
      const parts = [bytesFrom(0, 8), bytesFrom(8, 30), new Uint8Array(2)];
      store.writeVectorAt(parts, store.length);
      store.sync();
    }
    assert.equal(sizes(), before);
    const calls = seen.map(({ kind }) => kind).filter((kind) => kind !== "readAt");
    assert.deepEqual(calls, Array(20).fill(["writeVectorAt", "syncData"]).flat());
  }
});

Deno.test("LogStore: after a crash the length may be what was made ahead, after close() it is exact", () => {
  for (const [kind, ahead] of [[fileKinds[1]!, 10], [fileKinds[4]!, 7]] as const) {
    const fs = new MemFs();
    const store = kind.open(fs, "/d");
    store.writeAt(bytesFrom(0, 2), 0);
    store.sync();
    using crashed = kind.open(fs.crashClone({ keep: "synced" }), "/d");
    assert.deepEqual([...contentOf(crashed)], [...bytesFrom(0, 2), ...new Uint8Array(ahead - 2)]);
    crashed.truncate(2);
    assert.equal(crashed.length, 2);
    store.close();
    using closed = kind.open(fs, "/d");
    assert.equal(closed.length, 2);
  }
});

Deno.test("FileLogStore.truncateBefore() copies no more than it drops", () => {
  const fs = new MemFs();
  using store = FileLogStore.open("/a.log", { fs, preallocateBytes: 0 });
  store.writeAt(bytesFrom(0, 100), 0);
  assert.equal(store.truncateBefore(49), 0);
  assert.equal(store.truncateBefore(50), 50);
  assert.equal(fs.stat("/a.log").size, 64 + 50);
  assert.deepEqual(contentOf(store), bytesFrom(50, 50));
});

Deno.test("SegmentedLogStore gives the space of what is dropped or cut back, and clears up after a crash", () => {
  const fs = new MemFs();
  const store = segmented(fs);
  store.writeAt(bytesFrom(0, 45), 0);
  const leftOver = readFile(fs, "/log/0000000000000000.wal");
  store.truncateBefore(21);
  store.truncate(33);
  const names = ["0000000000000020.wal", "0000000000000030.wal", "HEAD", "LOCK"];
  assert.deepEqual(fs.list("/log"), names);
  store.close();
  replaceFile(fs, "/log/0000000000000000.wal", leftOver);
  replaceFile(fs, "/log/0000000000000040.wal.atomic-tmp", leftOver);
  replaceFile(fs, "/log/HEAD.atomic-tmp", leftOver);
  replaceFile(fs, "/log/theirs.atomic-tmp", leftOver);
  using reopened = segmented(fs);
  assert.deepEqual(contentOf(reopened), bytesFrom(21, 12));
  assert.deepEqual(fs.list("/log"), [...names, "theirs.atomic-tmp"]);
});

Deno.test("LogStore: files of other things and of later versions are refused, and not changed", () => {
  const fs = sample();
  replaceFile(fs, "/text", new TextEncoder().encode("no log"));
  replaceFile(fs, "/empty", new Uint8Array());
  for (const path of ["/text", "/empty"]) {
    untouched(fs, "NOT_A_STORE", () => FileLogStore.open(path, { fs }));
  }
  fs.mkdirAll("/repository");
  replaceFile(fs, "/repository/HEAD", new TextEncoder().encode("ref: refs/heads/main\n"));
  const open = () => SegmentedLogStore.open("/repository", { fs });
  untouched(fs, "NOT_A_STORE", open);
  for (const name of ["HEAD", "0000000000000020.wal"]) {
    const later = readFile(fs, `/log/${name}`);
    const view = new DataView(later.buffer);
    view.setUint32(8, 2, true);
    view.setUint32(60, crc32(later.subarray(0, 60)), true);
    replaceFile(fs, `/log/${name}`, later);
    untouched(fs, "NEWER_FORMAT", () => segmented(fs));
  }
});

Deno.test("LogStore: wrong options and paths are refused before anything is made", () => {
  const fs = new MemFs();
  const wrong = { code: "INVALID_ARGUMENT" };
  assert.throws(() => FileLogStore.open("", { fs }), wrong);
  assert.throws(() => SegmentedLogStore.open("", { fs }), wrong);
  assert.throws(() => FileLogStore.open("/a", { fs, preallocateBytes: -1 }), wrong);
  assert.throws(() => new MemoryLogStore({ capacityBytes: 1, reserveBytes: 2 }), wrong);
  assert.throws(() => MemoryLogStore.from("text" as unknown as Uint8Array), wrong);
  assert.deepEqual(fs.list("/"), []);
});

Deno.test("a LogStore with a relative path stays where it is when the program changes its directory", () =>
  inTempDir((dir) => {
    // The file that took the place of the log was made where the program was: what came after was lost.
    const home = Deno.cwd();
    const kinds = {
      file: (path: string) => FileLogStore.open(path),
      segments: (path: string) => SegmentedLogStore.open(path, { segmentBytes: 10 }),
    };
    Deno.mkdirSync(`${dir}/elsewhere`);
    try {
      for (const [name, openAt] of Object.entries(kinds)) {
        Deno.chdir(dir);
        {
          using log = openAt(name);
          log.writeAt(bytesFrom(0, 40), 0);
          log.sync();
          Deno.chdir(`${dir}/elsewhere`);
          log.truncateBefore(30);
          log.writeAt(bytesFrom(40, 20), 40);
          log.sync();
        }
        using log = openAt(`${dir}/${name}`);
        assert.equal(log.length, 60);
        assert.deepEqual(contentOf(log), bytesFrom(log.head, 60 - log.head));
      }
    } finally {
      Deno.chdir(home);
    }
    assert.deepEqual([...Deno.readDirSync(`${dir}/elsewhere`)], []);
  }));

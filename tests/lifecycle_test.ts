import assert from "node:assert/strict";
import { FlagstoneError, open, type OpenOptions, type Store } from "../mod.ts";
import { openWith } from "../store/mod.ts";
import { FaultFs, type Fs, MemFs, serveFs } from "../vfs/mod.ts";
import { InlineHost, WorkerHost } from "../workers/mod.ts";
import { failsWith, inTempDir, noise, placeOn, SMALL, testStore, text } from "./_support.ts";

testStore("close() is idempotent, and every call after it says CLOSED", async ({ open }) => {
  const store = await open();
  await store.put("a", "1");
  const closing = store.close();
  await Promise.all([closing, store.close()]);
  await store.close();
  await failsWith("CLOSED", store.put("a", "2"));
  await failsWith("CLOSED", store.delete("a"));
  await failsWith("CLOSED", store.batch([]));
  await failsWith("CLOSED", store.update("a", () => "2"));
  await failsWith("CLOSED", store.get("a"));
  await failsWith("CLOSED", () => store.getSync("a"));
  await failsWith("CLOSED", store.has("a"));
  await failsWith("CLOSED", store.list().next());
  await failsWith("CLOSED", store.flush());
  await failsWith("CLOSED", () => store.stats());
  await failsWith("CLOSED", store.verify());
});

testStore("close() with writes pending finishes them first", async ({ open }) => {
  const store = await open();
  const writes = Array.from({ length: 150 }, (_, i) => store.put(`k${i}`, noise(5000, i)));
  await store.close();
  await Promise.all(writes);
  await using reopened = await open();
  for (let i = 0; i < 150; i++) assert.deepEqual(await reopened.get(`k${i}`), noise(5000, i));
});

testStore("await using closes the store", async ({ open }) => {
  {
    await using store = await open();
    await store.put("a", "1");
  }
  await using store = await open();
  assert.equal(store.stats().recovery.tornBytes, 0);
  assert.equal(await store.getText("a"), "1");
});

testStore("open() of an open store is refused with LOCKED, and changes nothing", async (place) => {
  const store = await place.open();
  await store.put("a", "1");
  const names = place.fs.list(place.dir);
  const error = await failsWith("LOCKED", place.open());
  assert(error.message.includes(place.dir));
  assert.deepEqual(place.fs.list(place.dir), names);
  await store.put("b", "2");
  await store.close();
  await using reopened = await place.open();
  assert.equal(reopened.stats().keys, 2);
});

testStore("open() refuses a directory that is no store, and adds no file to it", async (place) => {
  place.fs.mkdirAll(place.dir);
  place.fs.create(`${place.dir}/letter.txt`).close();
  const error = await failsWith("NOT_A_STORE", place.open());
  assert(error.message.includes("letter.txt"));
  assert.deepEqual(place.fs.list(place.dir), ["letter.txt"]);
  await failsWith("NOT_A_DIRECTORY", open(`${place.dir}/letter.txt`, { fs: place.fs }));
});

testStore(
  "open() with create: false refuses a missing store, and creates nothing",
  async (place) => {
    await failsWith("NOT_FOUND", place.open({ create: false }));
    assert.throws(() => place.fs.stat(place.dir));
    await (await place.open()).close();
    await using store = await place.open({ create: false });
    assert.equal(store.stats().keys, 0);
  },
);

testStore("open() finishes a creation that a crash interrupted", async (place) => {
  place.fs.mkdirAll(place.dir);
  place.fs.create(`${place.dir}/STORE.atomic-tmp`).close();
  place.fs.create(`${place.dir}/LOCK`).close();
  await using store = await place.open();
  await store.put("a", "1");
});

testStore("open() refuses a damaged STORE file, and one of a newer format", async (place) => {
  await (await place.open()).close();
  const path = `${place.dir}/STORE`;
  using file = place.fs.openReadWrite(path);
  const good = new Uint8Array(64);
  file.readAt(good, 0);
  for (const [offset, code] of [[0, "NOT_A_STORE"], [8, "CORRUPT"], [20, "CORRUPT"]] as const) {
    const bad = good.slice();
    bad[offset]! ^= 0xff;
    file.writeAt(bad, 0);
    assert.equal((await failsWith(code, place.open())).path, path);
  }
  file.writeAt(good, 0);
  await (await place.open()).close();
});

/** Opens a store on real files whose workers end after 50 ms; `idle` waits until all of them have. */
async function openIdling(
  dir: string,
  options: OpenOptions = {},
): Promise<{ store: Store; idle: () => Promise<void> }> {
  let host: WorkerHost | undefined;
  const store = await openWith(
    dir,
    { ...SMALL, idleWorkerMs: 50, ...options },
    (control, describe, directory, { idleWorkerMs }) =>
      host = new WorkerHost(control, {
        finish: "segment",
        flushWorkers: 1,
        directory,
        fs: { kind: "deno" },
        idleMs: idleWorkerMs,
        describe,
      }),
  );
  const idle = () =>
    new Promise<void>((resolve) => {
      if (store.stats().threads === 0) resolve();
      else host!.onceEnded(resolve);
    });
  return { store, idle };
}

Deno.test("workers end when idle, and start again on demand", () =>
  inTempDir(async (dir) => {
    const { store, idle } = await openIdling(dir);
    for (let round = 0; round < 3; round++) {
      await store.put(`k${round}`, noise(100, round));
      assert(store.stats().threads >= 1);
      await idle();
      assert.equal(store.stats().threads, 0);
    }
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await store.get(`k${round}`), noise(100, round));
    }
    await store.close();
  }));

Deno.test("an idle log says how far it is durable: damage to any of it is then told", () =>
  inTempDir(async (dir) => {
    const { store, idle } = await openIdling(dir, { durability: "written" });
    await store.put("a", noise(100, 1));
    await idle();
    assert.equal(store.stats().logSyncs, 2, "the data, then the mark");
    const image = await Deno.readFile(`${dir}/0000000001.log`);
    await store.close();
    image[64 + 24 + 1]! ^= 1;
    await Deno.writeFile(`${dir}/0000000001.log`, image);
    await failsWith("CORRUPT", open(dir, SMALL));
  }));

Deno.test("an error in a worker rejects what waits, refuses writes, lets reads go on", async () => {
  const dir = await Deno.makeTempDir();
  const store = await open(`${dir}/store`, SMALL);
  await store.put("a", "1");
  await Deno.remove(dir, { recursive: true }); // the next log cannot be created
  const writes = Array.from({ length: 60 }, (_, i) => store.put(`k${i}`, noise(5000, i)));
  const outcomes = await Promise.allSettled(writes);
  const failed = outcomes.filter((outcome) => outcome.status === "rejected");
  assert(failed.length > 0);
  for (const { reason } of failed) {
    assert(reason instanceof FlagstoneError);
    assert.equal(reason.code, "WRITE_FAILED");
    assert(reason.message.includes("reopen"));
  }
  await failsWith("WRITE_FAILED", store.put("b", "2"));
  await failsWith("WRITE_FAILED", store.flush());
  assert.equal(text(store.getSync("a")), "1");
  await failsWith("WRITE_FAILED", store.close());
  await failsWith("CLOSED", store.get("a"));
});

/** Runs a test on a faulty file system in memory, the loops on this thread and in real Workers. */
function testFaulty(name: string, body: (fs: FaultFs, inner: MemFs) => Promise<void>): void {
  Deno.test(`${name} [stepwise]`, () => {
    const { fs, inner } = faulty();
    return body(fs, inner);
  });
  Deno.test(`${name} [workers]`, async () => {
    const { fs, inner } = faulty();
    const server = serveFs(fs);
    Object.defineProperty(fs, "spec", { value: server.spec });
    try {
      await body(fs, inner);
    } finally {
      server.close();
    }
  });
}

/** A store on a faulty file system; the faults are armed by the test. */
function faulty(): { fs: FaultFs; inner: MemFs } {
  const inner = new MemFs();
  return { inner, fs: new FaultFs(inner) };
}

for (const on of ["writeAt", "syncData", "sync", "truncate", "create", "openDir"] as const) {
  testFaulty(
    `a failed ${on} of the log rejects the write and is not retried`,
    async (fs, inner) => {
      const place = placeOn(fs, "/store");
      const store = await place.open();
      fs.arm({ on, fault: { kind: "error", code: "IO" }, times: 1 });
      const error = await failsWith("WRITE_FAILED", store.put("a", "1"));
      assert(error.message.includes("IO"));
      // The fault is used up: a retry would succeed, and lie.
      await failsWith("WRITE_FAILED", store.put("b", "2"));
      await failsWith("WRITE_FAILED", store.close());
      await using reopened = await placeOn(inner, "/store").open();
      assert.equal(await reopened.get("b"), undefined);
    },
  );
}

Deno.test("a full disk rejects the write with NO_SPACE, and what was there stays", async () => {
  const fs = new MemFs({ capacityBytes: 300 * 1024 });
  const place = placeOn(fs, "/store");
  const store = await place.open();
  const kept: string[] = [];
  for (let i = 0;; i++) {
    try {
      await store.put(`k${i}`, noise(5000, i));
      kept.push(`k${i}`);
    } catch (error) {
      assert.equal((error as FlagstoneError).code, "NO_SPACE");
      break;
    }
  }
  assert(kept.length > 10);
  await failsWith("NO_SPACE", store.close());
  const free = fs.crashClone({ keep: "all" });
  await using reopened = await placeOn(free, "/store").open().catch(() => place.open());
  for (const [i, key] of kept.entries()) assert.deepEqual(await reopened.get(key), noise(5000, i));
});

Deno.test("open() on a file system that takes no writes says so, and leaves no lock", async () => {
  for (const code of ["READ_ONLY", "PERMISSION"] as const) {
    const { fs, inner } = faulty();
    await (await placeOn(inner, "/store").open()).close();
    fs.arm({
      on: ["create", "openReadWrite", "lock", "mkdirAll", "rename"],
      fault: { kind: "error", code },
    });
    await failsWith(code, placeOn(fs, "/store").open());
    await failsWith(code, placeOn(fs, "/new").open());
    await (await placeOn(inner, "/store").open()).close();
  }
});

Deno.test("open() that fails half-way leaves no lock and no open file behind", async () => {
  const { fs, inner } = faulty();
  {
    await using store = await placeOn(inner, "/store").open();
    for (let i = 0; i < 40; i++) await store.put(`k${i}`, noise(5000, i));
  }
  let failures = 0;
  for (let call = 0, strikes = 1; strikes > 0; call++) {
    const armed = fs.arm({ fault: { kind: "error", code: "IO" }, skip: call, times: 1 });
    try {
      await (await placeOn(fs, "/store").open()).close();
    } catch {
      failures++;
    }
    strikes = armed.strikes;
    armed.clear();
  }
  // Others, such as the close of a segment that was read, are none of the store's failures.
  assert(failures > 20, `${failures} calls can fail`);
  await using store = await placeOn(inner, "/store").open();
  assert.equal(store.stats().keys, 40);
});

Deno.test("a stalled disk rejects what waits with STALLED instead of waiting for ever", async () => {
  // The loops never get a turn: as if the disk did not answer.
  const fs: Fs = new MemFs();
  const store = await openWith(
    "/store",
    { ...SMALL, fs, stallTimeoutMs: 1000 },
    (control, _pool, directory) => new InlineHost(control, fs, directory, "segment", () => {}),
  );
  const alive = setInterval(() => {}, 1000); // in place of the worker that hangs
  await failsWith("STALLED", store.put("a", "1"));
  clearInterval(alive);
  await failsWith("STALLED", store.put("b", "1"));
  assert.equal(text(store.getSync("a")), "1");
});

Deno.test("close() of a log that cannot be closed gives up the lock all the same", async () => {
  const fs = new FaultFs(new MemFs());
  const store = await placeOn(fs, "/store").open();
  await store.put("a", "1");
  fs.arm({ on: "close", path: /\.log$/, fault: { kind: "error", code: "IO" } });
  await store.close();
  fs.clear();
  await using reopened = await placeOn(fs, "/store").open();
  assert.equal(await reopened.getText("a"), "1");
});

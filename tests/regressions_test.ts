// Each of these was a bug once; the name tells what a user would have seen.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type BatchOperation, FlagstoneError, type Store } from "../mod.ts";
import { sealSegment, SegmentReader } from "../segment/mod.ts";
import { openWith } from "../store/mod.ts";
import { CrashFs, FaultFs, MemFs } from "../vfs/mod.ts";
import {
  logName,
  readFileHeader,
  scanLog,
  SegmentImage,
  segmentName,
  writeFileHeader,
} from "../wal/mod.ts";
import { InlineHost } from "../workers/mod.ts";
import { bytes, collect, failsWith, noise, placeOn, SMALL, testStore, text } from "./_support.ts";

/** Puts more than all slabs hold, so that what follows has to wait. */
function fill(store: Store): Promise<unknown> {
  const writes = Array.from({ length: 80 }, (_, i) => store.put(`fill ${i}`, noise(4000, i)));
  assert(store.stats().waitingWrites > 0);
  return Promise.all(writes);
}

testStore(
  "a batch that waits does not overwrite a put that was called after it",
  async ({ open }) => {
    await using store = await open();
    const filled = fill(store);
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
    const done: Promise<unknown>[] = [filled];
    for (const [i, key] of keys.entries()) {
      const operations: BatchOperation[] = [`a${i}`, `b${i}`, key, `c${i}`].map((name) => ({
        type: "put",
        key: name,
        value: "old",
      }));
      done.push(store.batch(operations), store.put(key, "new"));
      assert.equal(text(store.getSync(key)), "new");
    }
    await Promise.all(done);
    for (const key of keys) assert.equal(await store.getText(key), "new");
  },
);

testStore("delete() of a missing key that waits says false", async ({ open }) => {
  await using store = await open();
  const filled = fill(store);
  const outcomes = Array.from({ length: 10 }, (_, i) => store.delete(`missing ${i}`));
  const there = store.delete("fill 79");
  await filled;
  assert.deepEqual(await Promise.all(outcomes), outcomes.map(() => false));
  assert.equal(await there, true);
});

testStore(
  "a Buffer that is reused while its put waits does not change what is stored",
  async ({ open }) => {
    await using store = await open();
    const filled = fill(store);
    const buffer = Buffer.from("right");
    const done = store.put("buffer", buffer);
    buffer.fill(0x21);
    const seen = store.getSync("buffer")!;
    assert.equal(text(seen), "right");
    seen.fill(0x22);
    await Promise.all([filled, done]);
    assert.equal(await store.getText("buffer"), "right");
  },
);

testStore(
  "a key's bytes that are reused during a call do not lead it to another key",
  async ({ open }) => {
    await using store = await open();
    await store.put("key1", "1");
    await store.put("key2", "2");
    const key = bytes("key1");
    const update = store.update(key, async (old) => {
      await Promise.resolve();
      return `${text(old)}+`;
    });
    key.set(bytes("key2"));
    await update;
    assert.deepEqual((await store.getMany(["key1", "key2"])).map(text), ["1+", "2"]);
    await store.put(bytes("raw"), "3");
    const start = bytes("k");
    const listed: unknown[] = [];
    for await (const entry of store.list({ start })) {
      listed.push(typeof entry.key === "string" ? entry.key : text(entry.key));
      if (typeof entry.key !== "string") entry.key.fill(0);
      start.fill(0xff);
    }
    assert.deepEqual(listed, ["key1", "key2", "raw"]);
  },
);

testStore("a batch with a hole is refused, and blocks nobody", async ({ open }) => {
  await using store = await open();
  const operations: BatchOperation[] = [];
  operations[1] = { type: "put", key: "a", value: "1" };
  await assert.rejects(store.batch(operations), TypeError);
  await store.put("a", "2");
  assert.equal(await store.getText("a"), "2");
});

testStore(
  "an update may write any other key, also one that shares its lock word",
  async ({ open }) => {
    await using store = await open();
    for (let i = 0; i < 300; i++) {
      await store.update("counter", async () => {
        await store.put(`other ${i}`, "x");
        return String(i);
      });
    }
    assert.equal(await store.getText("counter"), "299");
  },
);

testStore("close() and flush() do not wait for the function of an update", async ({ open }) => {
  const store = await open();
  const { promise, resolve } = Promise.withResolvers<string>();
  const update = failsWith("CLOSED", store.update("a", () => promise));
  const put = store.put("a", "after the update");
  await Promise.resolve();
  const closed = store.close();
  await closed;
  await put;
  // Nor does the update itself: its function may never end.
  await update;
  resolve("too late");
  await using reopened = await open();
  assert.equal(await reopened.getText("a"), "after the update");
});

Deno.test("whatever moment the disk fails at, every write gets an answer", async () => {
  for (let failing = 0; failing < 60; failing++) {
    const fs = new FaultFs(new MemFs());
    const store = await placeOn(fs, "/store").open({ stallTimeoutMs: 1000 });
    fs.arm({
      on: ["writeAt", "syncData", "create", "rename"],
      skip: failing,
      fault: { kind: "error", code: "IO" },
    });
    const writes: Promise<unknown>[] = [];
    for (let i = 0; i < 60; i++) {
      writes.push(store.put(`k${i % 7}`, noise(4000, i)), store.delete(`k${i % 5}`));
      writes.push(store.update("u", () => noise(3000, i)));
    }
    for (const outcome of await Promise.allSettled(writes)) {
      if (outcome.status === "fulfilled") continue;
      assert(outcome.reason instanceof FlagstoneError);
      assert.equal(outcome.reason.code, "WRITE_FAILED");
    }
    await store.close().catch(() => {});
  }
});

Deno.test("data that a failed sync dropped is not acknowledged after a reopening", async () => {
  for (const sealed of [false, true]) {
    const crash = new CrashFs();
    const fs = new FaultFs(crash);
    const first = await placeOn(fs, "/store").open();
    await first.put("a", "1");
    // Several pages, none of which a later record shares; with more after it, the log gets its seal.
    fs.arm({ on: "syncData", fault: { kind: "failedSync" }, times: 1 });
    const failed = [first.put("b", noise(20_000, 2))];
    if (sealed) failed.push(first.put("large", noise(60_000, 3)));
    for (const write of failed) await failsWith("WRITE_FAILED", write);
    await first.close().catch(() => {});
    {
      await using second = await placeOn(fs, "/store").open();
      assert.deepEqual(await second.get("b"), noise(20_000, 2), "the system still shows it");
      for (let i = 0; i < 5; i++) await second.put(`c${i}`, noise(3000, i));
      await second.flush();
    }
    const lost = crash.crashClone({ seed: 1, keepData: 0, keepNames: 0 });
    await using third = await placeOn(lost, "/store").open();
    assert.equal(await third.getText("a"), "1");
    assert.deepEqual(await third.get("b"), noise(20_000, 2));
    for (let i = 0; i < 5; i++) assert.deepEqual(await third.get(`c${i}`), noise(3000, i));
  }
});

Deno.test("a log whose name was never synced is not relied on before it is", async () => {
  const crash = new CrashFs();
  const fs = new FaultFs(crash);
  const first = await placeOn(fs, "/store").open();
  // The header is synced, then the directory's sync fails, as if the process ended in between.
  fs.arm({ on: "openDir", path: "/store", fault: { kind: "error", code: "IO" }, times: 1 });
  await failsWith("WRITE_FAILED", first.put("a", "1"));
  await first.close().catch(() => {});
  const second = await placeOn(fs, "/store").open();
  await second.put("b", "2");
  for (let seed = 0; seed < 20; seed++) {
    const lost = crash.crashClone({ seed, keepNames: 0, names: "weak" });
    await using third = await placeOn(lost, "/store").open();
    assert.equal(await third.getText("b"), "2");
  }
  await second.close();
});

Deno.test("a store whose first open ended half-way has its directory made durable by the next", async () => {
  const crash = new CrashFs();
  crash.mkdirAll("/parent/store"); // and nothing was synced
  const store = await placeOn(crash, "/parent/store").open();
  await store.put("a", "1");
  const lost = crash.crashClone({ seed: 1, keepNames: 0, names: "weak" });
  await store.close();
  await using survivor = await placeOn(lost, "/parent/store").open();
  assert.equal(await survivor.getText("a"), "1");
});

Deno.test("versions of writes that a crash took are never given again", async () => {
  let survivor = new MemFs();
  const seen = new Set<number>();
  for (let life = 0; life < 4; life++) {
    const fs = survivor;
    const store = await placeOn(fs, "/store").open({ durability: "memory" });
    // Only the first life leaves anything durable behind.
    if (life === 0) seen.add(await store.put("synced", "x", { durability: "synced" }));
    survivor = fs.crashClone({ keep: "synced" });
    for (let i = 0; i < 40; i++) {
      const version = await store.put(`k${i}`, noise(4000, i));
      assert(!seen.has(version), `version ${version} was given twice`);
      seen.add(version);
    }
    await store.close();
  }
});

Deno.test("opening and closing without a write changes no file", async () => {
  const fs = new MemFs();
  const place = placeOn(fs, "/store");
  await (await place.open()).close();
  await using store = await place.open();
  await store.put("a", "1");
  await store.close();
  const before = scanOf(fs);
  for (let i = 0; i < 5; i++) await (await place.open()).close();
  assert.equal(scanOf(fs), before);
});

function scanOf(fs: MemFs): number {
  using file = fs.open(`/store/${logName(1)}`);
  const image = new SegmentImage(new ArrayBuffer(file.stat().size));
  file.readAt(image.bytes, 0);
  const verdict = readFileHeader(image.bytes, image.bytes.length, "log");
  assert(verdict.ok);
  return scanLog(image, verdict.header, "log", () => {}).end;
}

Deno.test("a log that somebody removed is not written on as if nothing had happened", async () => {
  const fs = new MemFs();
  const store = await placeOn(fs, "/store").open();
  await store.put("a", "1");
  await store.close();
  const again = await openWith(
    "/store",
    { ...SMALL, fs },
    (control, _describe, directory) => new InlineHost(control, fs, directory),
  );
  fs.remove(`/store/${logName(1)}`);
  await failsWith("CORRUPT", again.put("b", "2"));
  await again.close().catch(() => {});
});

Deno.test("a reader that is closed while it reads finishes the read", async () => {
  const fs = new MemFs();
  const image = new SegmentImage(new ArrayBuffer(4096));
  const header = { segment: 1, capacityBytes: 4096, storeId: new Uint8Array(16), baseSequence: 0 };
  const salt = writeFileHeader(image, header);
  using log = fs.create(`/${logName(1)}`);
  log.writeAt(image.bytes, 0);
  sealSegment(fs, "/", 1, image, 64, salt);
  const reader = SegmentReader.open(fs, `/${segmentName(1)}`);
  const head = new Uint8Array(64);
  const read = reader.readAtAsync(head, 0);
  reader.close();
  await read;
  assert.equal(text(head.subarray(0, 8)), "FLAGSLAB");
  await failsWith("CLOSED", () => reader.readAt(head, 0));
});

Deno.test("a program without permission for the parent can still create its store", async () => {
  const inner = new MemFs();
  inner.mkdirAll("/parent");
  const fs = new FaultFs(inner);
  fs.arm({ on: "openDir", path: /^\/(parent)?$/, fault: { kind: "error", code: "PERMISSION" } });
  await using store = await placeOn(fs, "/parent/store").open();
  await store.put("a", "1");
  assert.deepEqual((await collect(store.list())).length, 1);
});

for (const how of ["put", "batch"] as const) {
  Deno.test(`a ${how} for which the index has no memory fails the store, and blocks nobody`, async () => {
    // Its place in the log stayed empty: every later write waited for ever, and so did close.
    const fs = new MemFs();
    const store = await placeOn(fs, "/store").open();
    await store.put("before", "1");
    const write = (i: number) =>
      how === "put"
        ? store.put(`key:${i}`, "2", { durability: "memory" })
        : store.batch([{ type: "put", key: `key:${i}`, value: "2" }], { durability: "memory" });
    const { SharedArrayBuffer } = globalThis;
    globalThis.SharedArrayBuffer = class {
      constructor() {
        throw new RangeError("no memory");
      }
    } as unknown as typeof SharedArrayBuffer;
    try {
      await failsWith("WRITE_FAILED", async () => {
        for (let i = 0; i < 1_000_000; i++) await write(i);
      });
    } finally {
      globalThis.SharedArrayBuffer = SharedArrayBuffer;
    }
    await failsWith("WRITE_FAILED", store.put("after", "3"));
    assert.equal(await store.getText("key:0"), "2");
    await failsWith("WRITE_FAILED", store.close());
    await using reopened = await placeOn(fs, "/store").open();
    assert.equal(await reopened.getText("before"), "1");
    assert.deepEqual((await reopened.verify()).problems, []);
  });
}

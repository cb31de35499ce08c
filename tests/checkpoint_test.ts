import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { ArgumentError, FlagstoneError, open, type Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { baseName, CrashFs, exists, FaultFs, type Fs, InterceptFs, MemFs } from "../vfs/mod.ts";
import { checkHistory, type HistoryEvent, runWorkload } from "./_history.ts";
import {
  bytes,
  collect,
  failsWith,
  noise,
  placeOn,
  SMALL,
  testStore,
  turn,
  writeFile,
} from "./_support.ts";

const DIR = "/parent/store";
const COPY = "/parent/copies/one";

type Content = readonly { key: unknown; version: number; checksum: number }[];

/** Keys, versions and checksums of values: a difference between values themselves takes minutes to print. */
async function contentOf(store: Store): Promise<Content> {
  const entries = await collect(store.list());
  return await Promise.all(
    entries.map(async ({ key, version }) => {
      return { key, version, checksum: crc32((await store.get(key))!) };
    }),
  );
}

async function fill(store: Store, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    await store.put(`key:${i % 150}`, noise(1500 + i, i), { durability: "written" });
  }
}

/** Asserts that whatever is in `dir` cannot be opened as a store, or is the whole copy. */
async function assertNothingOrAll(fs: Fs, dir: string, content: Content): Promise<boolean> {
  let copy: Store;
  try {
    copy = await open(dir, { ...SMALL, fs, create: false });
  } catch (error) {
    assert(
      ["NOT_FOUND", "NOT_A_STORE"].includes((error as { code: string }).code),
      `cannot be opened for another reason: ${error}`,
    );
    return false;
  }
  await using store = copy;
  assert.deepEqual(await contentOf(store), content);
  assert.deepEqual((await store.verify()).problems, []);
  return true;
}

testStore(
  "checkpoint() makes a store with the same content, which goes its own way",
  async (place) => {
    const dir = `${place.dir}-copies/one`;
    await using store = await place.open({ compaction: "manual" });
    await fill(store, 0, 300);
    await store.delete("key:3");
    await store.batch([
      { type: "put", key: "batch:a", value: "1" },
      { type: "put", key: "batch:b", value: "1" },
    ]);
    const content = await contentOf(store);
    const report = await store.checkpoint(dir);
    assert(report.linkedFiles > 5 && report.copiedFiles <= 1, JSON.stringify(report));
    assert(report.bytes > 300 * 1500);
    {
      await using copy = await open(dir, { ...SMALL, fs: place.fs });
      assert.deepEqual(await contentOf(copy), content);
      await fill(copy, 1000, 1200);
      await copy.delete("batch:a");
      assert.deepEqual(await contentOf(store), content, "the copy's writes stay its own");
      assert.deepEqual((await copy.verify()).problems, []);
    }
    await fill(store, 2000, 2100);
    await store.put("batch:a", "2");
    {
      await using copy = await open(dir, { ...SMALL, fs: place.fs });
      assert.equal(await copy.has("batch:a"), false);
      assert.deepEqual(await copy.get("key:1049"), undefined);
      assert.deepEqual(await copy.get("key:0"), noise(1500 + 1050, 1050));
    }
    assert.deepEqual((await store.verify()).problems, []);
  },
);

testStore(
  "checkpoint() has all writes called before it, and of later ones a prefix",
  async (place) => {
    await using store = await place.open();
    const called: Promise<number>[] = [];
    for (let i = 0; i < 120; i++) called.push(store.put(`a:${i}`, noise(3000, i)));
    const checkpoint = store.checkpoint(`${place.dir}-copy`);
    for (let i = 0; i < 120; i++) called.push(store.put(`b:${i}`, noise(3000, i)));
    await checkpoint;
    await Promise.all(called);
    await using copy = await open(`${place.dir}-copy`, { ...SMALL, fs: place.fs });
    assert.equal((await collect(copy.list({ prefix: "a:" }))).length, 120);
    const later = (await collect(copy.list({ prefix: "b:" }))).map(({ version }) => version);
    const versions = (await Promise.all(called.slice(120))).toSorted((x, y) => x - y);
    assert.deepEqual(later.toSorted((x, y) => x - y), versions.slice(0, later.length));
  },
);

testStore(
  "checkpoint() refuses a directory that is not empty, and wrong arguments",
  async (place) => {
    await using store = await place.open();
    await store.put("a", "1");
    const dir = `${place.dir}-copy`;
    place.fs.mkdirAll(dir);
    writeFile(place.fs, `${dir}/letter`, bytes("dear"));
    await failsWith("NOT_EMPTY", store.checkpoint(dir));
    await failsWith("NOT_EMPTY", store.checkpoint(place.dir));
    assert.deepEqual(place.fs.list(dir), ["letter"]);
    await failsWith("NOT_A_DIRECTORY", store.checkpoint(`${dir}/letter`));
    place.fs.remove(`${dir}/letter`);
    await store.checkpoint(dir);
    await failsWith("NOT_EMPTY", store.checkpoint(dir));
    for (
      const [argument, wrong] of [
        ["directory", () => store.checkpoint("")],
        ["directory", () => store.checkpoint(7 as unknown as string)],
        ["options.signal", () => store.checkpoint("x", { signal: 1 as unknown as AbortSignal })],
        ["options.link", () => store.checkpoint("x", { link: true } as object)],
      ] as const
    ) {
      await assert.rejects(wrong, (error) => {
        return error instanceof ArgumentError && error.argument === argument;
      });
    }
  },
);

testStore(
  "checkpoint() that is aborted leaves no store, and its directory can be used again",
  async (place) => {
    const dir = `${place.dir}-copy`;
    const store = await place.open();
    await fill(store, 0, 200);
    await failsWith("ABORTED", store.checkpoint(dir, { signal: AbortSignal.abort() }));
    assert.equal(exists(place.fs, dir), false);
    const aborting = new AbortController();
    const checkpoint = store.checkpoint(dir, { signal: aborting.signal });
    while (!exists(place.fs, dir)) await Promise.resolve();
    aborting.abort();
    await failsWith("ABORTED", checkpoint);
    assert.deepEqual(place.fs.list(dir).filter((name) => name !== "LOCK"), []);
    await store.checkpoint(dir);
    const late = store.checkpoint(`${dir}2`);
    const closed = store.close();
    await failsWith("CLOSED", late);
    await closed;
    await failsWith("CLOSED", store.checkpoint(`${dir}3`));
    await using copy = await open(dir, { ...SMALL, fs: place.fs });
    assert.equal(copy.stats().keys, 150);
  },
);

Deno.test("two checkpoints at once are both made, and a small or empty store has one too", async () => {
  const place = placeOn(new MemFs(), DIR);
  await using store = await place.open();
  await store.checkpoint("/empty");
  await store.put("a", "1", { durability: "memory" });
  await Promise.all([store.checkpoint("/one"), store.checkpoint("/two")]);
  for (const [dir, value] of [["/empty", undefined], ["/one", "1"], ["/two", "1"]] as const) {
    await using copy = await open(dir, { ...SMALL, fs: place.fs, create: false });
    assert.equal(await copy.getText("a"), value);
    assert.equal(copy.stats().recovery.tornBytes, 0);
  }
});

Deno.test("nobody can open the directory of a checkpoint before that is complete", async () => {
  const { fs } = placeOn(new MemFs(), DIR);
  await using store = await placeOn(fs, DIR).open();
  await fill(store, 0, 100);
  const checkpoint = store.checkpoint(COPY);
  while (!exists(fs, COPY)) await Promise.resolve();
  await failsWith("LOCKED", open(COPY, { ...SMALL, fs }));
  await checkpoint;
  await using copy = await open(COPY, { ...SMALL, fs });
  assert.equal(copy.stats().keys, 100);
});

Deno.test("checkpoint() copies where there are no hard links", async () => {
  const faults = new FaultFs(new MemFs());
  faults.arm({ on: "link", fault: { kind: "error", code: "UNSUPPORTED" } });
  await using store = await placeOn(faults, DIR).open();
  await fill(store, 0, 200);
  const content = await contentOf(store);
  const { linkedFiles, copiedFiles } = await store.checkpoint(COPY);
  assert.equal(linkedFiles, 0);
  assert(copiedFiles > 4);
  assert(await assertNothingOrAll(faults, COPY, content));
});

for (const links of [true, false]) {
  Deno.test(`a crash at any moment of a checkpoint leaves the whole copy or no store, ${links ? "linked" : "copied"}`, async () => {
    type Promised = HistoryEvent | { readonly type: "copied"; readonly content: Content };
    let content: Content = [];
    let whole = 0;
    const report = await testCrashes<Promised>({
      async run(fs, promise) {
        const on = links ? fs : withoutLinks(fs);
        await using store = await open(DIR, { ...SMALL, fs: on, indexImageKeys: 0 });
        await runWorkload(store, 21, 50, promise);
        content = await contentOf(store);
        await store.checkpoint(COPY);
        promise({ type: "copied", content });
        await runWorkload(store, 22, 10, promise, 100);
      },
      async check(fs, promised) {
        const opened = await assertNothingOrAll(fs, COPY, content);
        if (promised.some(({ type }) => type === "copied")) assert(opened, "the copy is gone");
        if (opened) whole++;
        await using store = await open(DIR, { ...SMALL, fs });
        await checkHistory(store, promised.filter((one) => one.type !== "copied"));
      },
    }, { statesPerMoment: 8, seed: 77 });
    assert(report.moments > 60 && whole > 20, `${report.moments} moments, ${whole} whole`);
  });
}

for (const links of [true, false]) {
  Deno.test(`a checkpoint of little, which is a copy of the log, lasts once it resolves, ${links ? "linked" : "copied"}`, async () => {
    const fs = new CrashFs();
    const on = links ? fs : withoutLinks(fs);
    await using store = await open(DIR, { ...SMALL, fs: on });
    await store.put("a", "1");
    await store.checkpoint(COPY);
    for (let seed = 0; seed < 8; seed++) {
      const survivor = fs.crashClone({
        seed,
        ...(seed === 0 ? { keepData: 0, keepNames: 0 } : {}),
      });
      await using copy = await open(COPY, { ...SMALL, fs: survivor, create: false });
      assert.equal(await copy.getText("a"), "1");
    }
  });
}

Deno.test("whichever call of a checkpoint fails, the store goes on, and the copy is whole or none", async () => {
  let failures = 0;
  let skip = 0;
  for (let struck = true; struck; skip++) {
    const base = new CrashFs();
    const faults = new FaultFs(base);
    await using store = await placeOn(faults, DIR).open();
    await fill(store, 0, 60);
    const content = await contentOf(store);
    const path = /copies/;
    const armed = faults.arm({ path, skip, times: 1, fault: { kind: "error", code: "IO" } });
    const failed = await store.checkpoint(COPY).then(() => false, () => true);
    struck = armed.strikes > 0;
    armed.clear();
    for (let seed = 0; seed < 4; seed++) {
      await assertNothingOrAll(base.crashClone({ seed }), COPY, content);
    }
    if (failed) failures++;
    const opened = await assertNothingOrAll(faults, COPY, content);
    assert(failed || opened, `call ${skip}: it resolved, but there is no copy`);
    await store.put("after", "1");
    assert.deepEqual((await store.verify()).problems, []);
    assert.deepEqual((await contentOf(store)).slice(1), content, `call ${skip}`);
  }
  assert(failures > 10, `${failures} of ${skip} calls failed it`);
});

/** A store with a bound, from which keys have to go; the copy of its newest segment waits for `copy.resolve`. */
async function fullWhileCopied(copies: string): Promise<{
  store: Store;
  fs: Fs;
  copied: string[];
  copy: PromiseWithResolvers<void>;
  put: (count: number) => Promise<void>;
}> {
  const copy = Promise.withResolvers<void>();
  const copied: string[] = [];
  let newest = "";
  const fs = new InterceptFs("held", withoutLinks(new MemFs()), {
    call: (operation, run) => {
      if (operation.kind === "create" && operation.path.startsWith(copies)) {
        copied.push(baseName(operation.path));
      }
      return run();
    },
    callAsync: async ({ path }, run) => {
      if (baseName(path) === newest) await copy.promise;
      return await run();
    },
  });
  const store = await open(DIR, { ...SMALL, fs, maxBytes: 16 * SMALL.slabBytes! });
  let next = 0;
  const put = async (count: number) => {
    for (const end = next + count; next < end; next++) {
      await store.put(`key:${next}`, noise(4000, next), { durability: "memory" });
    }
  };
  await put(400);
  await store.flush();
  newest = fs.list(DIR).filter((name) => name.endsWith(".seg")).at(-1)!;
  return { store, fs, copied, copy, put };
}

Deno.test("while a checkpoint copies one segment, others make room for who writes", async () => {
  // All writes waited for the whole of the copy, which on another disk can take minutes.
  const { store, fs, copied, copy, put } = await fullWhileCopied(COPY);
  const content = await contentOf(store);
  const before = store.stats().eviction!.keys;
  const checkpoint = store.checkpoint(COPY);
  while (copied.length < 2) await turn();
  const written = put(90).then(() => true);
  assert.equal(await soon(written), true, "the writes wait");
  assert(store.stats().eviction!.keys - before >= 40);
  assert(copied.filter((name) => name.endsWith(".seg")).length > 5);
  assert.equal(await soon(checkpoint.then(() => true)), undefined);
  copy.resolve();
  await checkpoint;
  await store.close();
  assert(
    await assertNothingOrAll(fs, COPY, content),
    "the copy has what was there, and nothing else",
  );
});

Deno.test("who needs the segments that a checkpoint has not copied waits for these, and no longer than it goes on", async () => {
  for (const ending of ["copied", "aborted", "failed", "closed"] as const) {
    const { store, fs, copy, put } = await fullWhileCopied(COPY);
    const abort = new AbortController();
    const checkpoint = store.checkpoint(COPY, { signal: abort.signal }).then(
      () => "done",
      (error) => error.code,
    );
    const written = put(500).then(() => true, (error) => error.code);
    assert.equal(await soon(written), undefined, "all that is copied has gone, and more");
    if (ending === "aborted") abort.abort();
    const closing = ending === "closed" ? store.close() : undefined;
    if (ending === "failed") copy.reject(new FlagstoneError("IO", "The disk failed."));
    else copy.resolve();
    const codes = { copied: "done", aborted: "ABORTED", failed: "IO", closed: "CLOSED" };
    assert.equal(await checkpoint, codes[ending]);
    assert.equal(await written, ending === "closed" ? "CLOSED" : true);
    await (closing ?? store.close());
    await using reopened = await open(DIR, { ...SMALL, fs });
    assert.deepEqual((await reopened.verify()).problems, []);
  }
});

/** What `promise` resolves to if it does within some turns of the event loop. */
async function soon<T>(promise: Promise<T>): Promise<T | undefined> {
  let found: T | undefined;
  void promise.then((value) => found = value);
  for (let turns = 0; turns < 3000 && found === undefined; turns++) await turn();
  return found;
}

/** A file system that has no hard links. */
function withoutLinks(fs: Fs): Fs {
  const faults = new FaultFs(fs);
  faults.arm({ on: "link", fault: { kind: "error", code: "UNSUPPORTED" } });
  return faults;
}

Deno.test("checkpoint() on a full disk is refused, and made once there is space", async () => {
  const faults = new FaultFs(new MemFs());
  await using store = await placeOn(faults, DIR).open();
  await fill(store, 0, 20);
  const fault = { kind: "error", code: "NO_SPACE" } as const;
  const full = faults.arm({ on: "writeAt", path: `${DIR}/`, fault });
  await store.put("unwritten", "x", { durability: "memory" });
  await failsWith("NO_SPACE", store.checkpoint(COPY));
  full.clear();
  const content = await contentOf(store);
  await store.checkpoint(COPY);
  assert(await assertNothingOrAll(faults, COPY, content));
});

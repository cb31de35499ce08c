import assert from "node:assert/strict";
import { ArgumentError, type BatchOperation, open, type OpenOptions } from "../mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { collect, failsWith, placeOn } from "./_support.ts";

/** Asserts that `call` is refused as a wrong argument; `of` is what a caller without types passes. */
async function refused(argument: string, call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (error) {
    assert(error instanceof ArgumentError, `${error}`);
    assert(error instanceof TypeError);
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.equal(error.argument, argument, error.message);
    return;
  }
  assert.fail(`${argument} was accepted`);
}

const CODEC = {
  name: "own",
  id: 200,
  levels: { least: 1, most: 1, usual: 1 },
  compress: () => undefined,
  decompress: () => new Uint8Array(),
};

/** What a caller without types can pass. */
function untyped<T>(value: unknown): T {
  return value as T;
}

const NO_KEYS: [string, unknown][] = [
  ["empty string", ""],
  ["empty bytes", new Uint8Array()],
  ["number", 7],
  ["undefined", undefined],
  ["null", null],
  ["object", {}],
  ["DataView", new DataView(new ArrayBuffer(4))],
  ["string over the limit", "x".repeat(65_536)],
  ["string over the limit in UTF-8 only", "ä".repeat(32_768)],
  ["bytes over the limit", new Uint8Array(65_536)],
  ["lone surrogate", "a\ud800"],
];

Deno.test("a key that is none is refused by every call, before anything changes", async () => {
  const place = placeOn(new MemFs(), "/store");
  await using store = await place.open();
  for (const [what, value] of NO_KEYS) {
    const key = untyped<string>(value);
    const calls: [string, () => unknown][] = [
      ["put", () => store.put(key, "v")],
      ["delete", () => store.delete(key)],
      ["get", () => store.get(key)],
      ["getSync", () => store.getSync(key)],
      ["getEntry", () => store.getEntry(key)],
      ["has", () => store.has(key)],
      ["update", () => store.update(key, () => "v")],
      [
        "batch",
        () => store.batch([{ type: "put", key: "good", value: "v" }, { type: "delete", key }]),
      ],
    ];
    for (const [name, call] of calls) {
      await refused("key", call).catch((error) => assert.fail(`${name}, ${what}: ${error}`));
    }
  }
  assert.equal(store.stats().keys, 0);
  assert.equal(store.stats().writes, 0);
});

Deno.test("the longest key works", async () => {
  await using store = await placeOn(new MemFs(), "/store").open();
  await store.put("ä".repeat(32_767), "v");
  await store.put(new Uint8Array(65_535), "w");
  assert.equal(await store.getText("ä".repeat(32_767)), "v");
  assert.equal((await collect(store.list())).length, 2);
});

Deno.test("a value that is none is refused, before anything changes", async () => {
  await using store = await placeOn(new MemFs(), "/store").open();
  for (const value of [undefined, null, 7, {}, [1], true, new DataView(new ArrayBuffer(1))]) {
    await refused("value", () => store.put("k", untyped<string>(value)));
    const operation = untyped<BatchOperation>({ type: "put", key: "k", value });
    await refused("value", () => store.batch([{ type: "put", key: "a", value: "1" }, operation]));
    if (value !== undefined) {
      await refused("value", () => store.update("k", () => untyped<string>(value)));
    }
  }
  assert.equal(store.stats().writes, 0);
});

Deno.test("a batch over 1 GiB is refused with TOO_LARGE", async () => {
  await using store = await placeOn(new MemFs(), "/store").open();
  const half = new Uint8Array(512 * 1024 * 1024 + 1);
  await failsWith(
    "TOO_LARGE",
    store.batch([{ type: "put", key: "a", value: half }, { type: "put", key: "b", value: half }]),
  );
  assert.equal(store.stats().writes, 0);
});

Deno.test("wrong batches are refused, before anything changes", async () => {
  await using store = await placeOn(new MemFs(), "/store").open();
  const good: BatchOperation = { type: "put", key: "a", value: "1" };
  const wrong: [string, unknown][] = [
    ["operations", "no array"],
    ["operations", undefined],
    ["operations[1].type", [good, { type: "erase", key: "a" }]],
    ["operations[1].type", [good, null]],
    ["operations[1].value", [good, { type: "delete", key: "a", value: "1" }]],
    ["operations[1].expireIn", [good, { ...good, expireIn: -1 }]],
    ["operations[1].ttl", [good, { ...good, ttl: 1 }]],
    ["operations[1].ifVersion", [good, { ...good, ifVersion: -1 }]],
    ["operations[1].ifVersion", [good, { type: "delete", key: "a", ifVersion: undefined }]],
    ["operations[1].ifAbsent", [good, { ...good, ifAbsent: 1 }]],
    ["operations[1].ifAbsent", [good, { type: "delete", key: "a", ifAbsent: true }]],
  ];
  for (const [argument, batch] of wrong) {
    await refused(argument, () => store.batch(untyped<BatchOperation[]>(batch)));
  }
  assert.equal(store.stats().writes, 0);
});

Deno.test("wrong write and list options are refused", async () => {
  await using store = await placeOn(new MemFs(), "/store").open();
  for (const put of [store.put("a", "1"), store.flush()]) await put;
  const writes = store.stats().writes;
  await refused("options.sync", () => store.put("a", "2", untyped({ sync: true })));
  await refused("options.durability", () => store.put("a", "2", untyped({ durability: "maybe" })));
  await refused("options", () => store.put("a", "2", untyped(null)));
  await refused("options", () => store.delete("a", untyped("synced")));
  for (const ifVersion of [undefined, null, "8", -1, 1.5, NaN, Infinity, 2 ** 53]) {
    await refused("options.ifVersion", () => store.put("a", "2", untyped({ ifVersion })));
    await refused("options.ifVersion", () => store.delete("a", untyped({ ifVersion })));
  }
  await refused("options.ifAbsent", () => store.put("a", "2", untyped({ ifAbsent: 1 })));
  await refused("options.ifAbsent", () => store.put("a", "2", { ifAbsent: true, ifVersion: 8 }));
  await refused("options.ifAbsent", () => store.delete("a", untyped({ ifAbsent: true })));
  await refused("options.ifVersion", () => store.batch([], untyped({ ifVersion: 8 })));
  await refused("options.ifVersion", () => store.update("a", () => "2", untyped({ ifVersion: 8 })));
  const compression = "gzip";
  await refused("options.compression", () => store.put("a", "2", { compression }));
  await refused("options.compression", () => store.batch([], { compression }));
  await refused("options.compression", () => store.update("a", () => "2", { compression }));
  await refused("options.compression", () => store.delete("a", untyped({ compression: "none" })));
  const signal = {};
  await refused("options.signal", () => store.put("a", "2", untyped({ signal })));
  await refused("options.signal", () => store.delete("a", untyped({ signal })));
  await refused("options.signal", () => store.batch([], untyped({ signal })));
  await refused("options.signal", () => store.update("a", () => "2", untyped({ signal })));
  await refused("change", () => store.update("a", untyped("fn")));
  await refused("options.limit", () => store.list({ limit: -1 }).next());
  await refused("options.limit", () => store.list({ limit: 1.5 }).next());
  await refused("options.reverse", () => store.list(untyped({ reverse: 1 })).next());
  await refused("options.signal", () => store.list(untyped({ signal: {} })).next());
  await refused("options.prefix", () => store.list(untyped({ prefix: 1 })).next());
  await refused("options.start", () => store.list(untyped({ start: {} })).next());
  await refused("options.from", () => store.list(untyped({ from: "a" })).next());
  assert.equal(store.stats().writes, writes);
});

Deno.test("wrong open options are refused before the directory is touched", async () => {
  const fs = new MemFs();
  const wrong: [string, unknown][] = [
    ["options", null],
    ["options", []],
    ["options.cache", { cache: 1 }],
    ["options.durability", { durability: "sync" }],
    ["options.create", { create: "yes" }],
    ["options.fs", { fs: {} }],
    ["options.fs", { fs: "deno" }],
    ["options.slabBytes", { slabBytes: 1000 }],
    ["options.slabBytes", { slabBytes: 2 ** 31 }],
    ["options.slabBytes", { slabBytes: "1" }],
    ["options.slabBytes", { slabBytes: 100_000.5 }],
    ["options.slabBytes", { slabBytes: NaN }],
    ["options.slabs", { slabs: 1 }],
    ["options.slabs", { slabs: 65 }],
    ["options.idleWorkerMs", { idleWorkerMs: 0 }],
    ["options.stallTimeoutMs", { stallTimeoutMs: Infinity }],
    ["options.maxWaitingBytes", { maxWaitingBytes: 1000 }],
    ["options.slowDiskMs", { slowDiskMs: 9 }],
    ["options.compression", { compression: "gzip" }],
    ["options.compression", { compression: 1 }],
    ["options.compression.codec", { compression: { codec: "gzip" } }],
    ["options.compression.level", { compression: { codec: "zstd", level: 0 } }],
    ["options.compression.level", { compression: { codec: "zstd", level: 20 } }],
    ["options.compression.minBytes", { compression: { codec: "zstd", minBytes: -1 } }],
    ["options.compression.size", { compression: { codec: "zstd", size: 1 } }],
    ["options.codecs", { codecs: {} }],
    ["options.codecs[0]", { codecs: [{}] }],
    ["options.codecs[0].id", { codecs: [{ ...CODEC, id: 1 }] }],
    ["options.codecs[0].id", { codecs: [{ ...CODEC, id: 256 }] }],
    ["options.codecs[0]", { codecs: [{ ...CODEC, name: "zstd" }] }],
    ["options.codecs[1]", { codecs: [CODEC, { ...CODEC, name: "other" }] }],
    ["options.maxWaitingBytes", { maxWaitingBytes: Infinity }],
    ["options.indexImageKeys", { indexImageKeys: -1 }],
    ["options.indexImageKeys", { indexImageKeys: Infinity }],
  ];
  for (const [argument, options] of wrong) {
    const given = options === null || Array.isArray(options)
      ? options
      : { fs, ...(options as object) };
    await refused(argument, () => open("/store", untyped<OpenOptions>(given)));
  }
  await refused("directory", () => open("", { fs }));
  await refused("directory", () => open(untyped(undefined), { fs }));
  assert.deepEqual(fs.list("/"), []);
});

/**
 * One small compaction, one eviction and one checkpoint, with what a power loss can leave at each of
 * their calls to the file system: all of it, where that is little. What is there is what a model has.
 */
import assert from "node:assert/strict";
import { FlagstoneError, open, type OpenOptions } from "../mod.ts";
import { FaultFs, type Fs } from "../vfs/mod.ts";
import { type Allowed, checkAllowed, sweepCrashes } from "./_crash_sweep.ts";
import { noise, turn } from "./_support.ts";

const DIR = "/store";
const COPY = "/copies/one";
/** Values expire between the two times. */
const [BEFORE, AFTER] = [1_000, 2_000];
const SMALL: OpenOptions = { slabBytes: 64 * 1024, slabs: 2, compaction: "manual" };

const value = (seed: number, size = 200) => noise(size, seed);
/** With one of these, a log is nearly full: the next one begins a new log. */
const filler = (seed: number) => value(seed, 58_000);
const large = value(1, 70_000);

/** Three segments: the first is nearly all alive, the others nearly all dead. */
async function fill(fs: Fs, options: OpenOptions = {}): Promise<void> {
  await using store = await open(DIR, { ...SMALL, ...options, fs, now: () => BEFORE });
  await store.batch([
    { type: "put", key: "alive", value: filler(2) },
    { type: "put", key: "deleted", value: value(3) },
    { type: "put", key: "over", value: value(4) },
    { type: "put", key: "overwritten", value: value(5) },
  ]);
  await store.put("filler", filler(6));
  await store.put("moved", value(7));
  await store.put("large", large);
  await store.put("large, deleted", large);
  await store.put("overwritten", value(8));
  await store.put("over", value(9), { expireAt: AFTER - 1 });
  await store.put("deleted later", value(10));
  await store.delete("deleted");
  await store.put("filler", filler(11));
  await store.put("overwritten", value(12));
  await store.delete("deleted later");
  await store.delete("large, deleted");
  await store.put("replaced meanwhile", value(13));
  // It does not fit: a new log begins.
  await store.put("filler", value(14, 9000));
}

const CONTENT: Allowed = new Map([
  ["alive", [filler(2)]],
  ["moved", [value(7)]],
  ["large", [large]],
  ["overwritten", [value(12)]],
  ["replaced meanwhile", [value(13)]],
  ["filler", [value(14, 9000)]],
]);

/** What `CONTENT` may be once a write has been called that nobody has acknowledged. */
const WHILE_WRITING: Allowed = new Map([
  ...CONTENT,
  ["replaced meanwhile", [value(13), value(15)]],
]);

/** Opens what was left, compares it with the model, compacts it, and looks again. */
async function checkStore(fs: Fs, allowed: Allowed): Promise<void> {
  const options = { ...SMALL, fs, now: () => AFTER };
  await checkAllowed(DIR, options, allowed);
  {
    await using store = await open(DIR, options);
    await store.compact();
  }
  await checkAllowed(DIR, options, allowed);
}

async function turnsUntil(isDone: () => boolean): Promise<void> {
  for (let turns = 0; !isDone(); turns++) {
    assert(turns < 10_000, "it does not come to it");
    await turn();
  }
}

/** What users know does not change. */
const nothing = () => {};

/** A job that made a file of two, and removed these in their order. */
function assertCompaction(calls: readonly string[]): void {
  const inOrder = [
    /^sync .*0000000003-\d+\.seg/,
    /^rename .* -> .*0000000003-\d+\.seg$/,
    /^remove \/store\/0000000002\.seg$/,
    /^remove \/store\/0000000003\.seg$/,
  ].map((what) => calls.findIndex((call) => what.test(call)));
  assert.deepEqual(inOrder.toSorted((a, b) => a - b), inOrder);
  assert(inOrder[0]! > 0, `that is another job:\n${calls.join("\n")}`);
}

Deno.test("power loss at every call of compact(): nothing is lost, nothing comes back", async () => {
  const calls = await sweepCrashes({
    prepare: fill,
    async run(fs, sweep) {
      await using store = await open(DIR, { ...SMALL, fs, now: () => AFTER });
      await sweep(async () => void await store.compact(), nothing);
    },
    check: (fs) => checkStore(fs, CONTENT),
  });

  assertCompaction(calls);
});

Deno.test("power loss at every call of a compaction in the background: nothing is lost, nothing comes back", async () => {
  const calls = await sweepCrashes({
    prepare: (fs) => fill(fs, { indexImageKeys: 0 }),
    async run(fs, sweep) {
      const options = { ...SMALL, compaction: {}, fs, now: () => AFTER };
      await using store = await open(DIR, options);
      await sweep(async () => {
        // The old value must not go before this one is durable.
        await store.put("replaced meanwhile", value(15), { durability: "memory" });
        await turnsUntil(() => store.stats().compaction.jobs > 0);
      }, nothing);
    },
    check: (fs) => checkStore(fs, WHILE_WRITING),
  });

  assertCompaction(calls);
});

Deno.test("power loss at every call of a compaction that drops its tombstones: nothing is lost, nothing comes back", async () => {
  const content = new Map(CONTENT);
  content.delete("alive");
  let dropped = 0;
  await sweepCrashes({
    async prepare(fs) {
      await fill(fs);
      await using store = await open(DIR, { ...SMALL, fs, now: () => AFTER });
      await store.compact();
      // What the tombstones in the compacted segment hide can go now.
      await store.delete("alive");
    },
    async run(fs, sweep) {
      await using store = await open(DIR, { ...SMALL, fs, now: () => AFTER });
      await sweep(async () => {
        dropped = (await store.compact()).droppedTombstones;
      }, nothing);
    },
    check: (fs) => checkStore(fs, content),
  });
  assert.equal(dropped, 2);
});

const CACHE: OpenOptions = { ...SMALL, compaction: {}, maxBytes: 12 * 64 * 1024 };
const CACHED_BYTES = 5500;

/** Less than a bound would allow, in three segments; the values of the first are all but one alive. */
async function fillCache(fs: Fs): Promise<Map<string, Uint8Array>> {
  const content = new Map<string, Uint8Array>();
  await using store = await open(DIR, { ...SMALL, fs });
  const put = async (key: string, bytes: Uint8Array) => {
    content.set(key, bytes);
    await store.put(key, bytes);
  };
  for (let i = 0; i < 30; i++) {
    await put(`key:${i}`, value(i, CACHED_BYTES));
    if (i === 12) await put("key:3", value(100, CACHED_BYTES));
    if (i === 14) await put("large", value(101, 130_000));
  }
  return content;
}

/** Which keys of the first segment were read, so that they stay; the segment that goes, and some of what goes with it. */
const EVICTIONS = [
  { reads: 9, segment: 1, evicted: ["key:9", "key:10"] },
  // "key:3" has an older value in the first segment, which stays: it is gone for good only by a tombstone.
  { reads: 11, segment: 2, evicted: ["key:3", "key:12", "large"] },
];

for (const { reads, segment, evicted: some } of EVICTIONS) {
  Deno.test(`power loss at every call of an eviction from segment ${segment}: nothing else is lost, nothing comes back`, async () => {
    const content = new Map<string, Uint8Array>();
    const writes = [1, 2].map((i) => [`new:${i}`, value(200 + i, 40_000)] as const);
    const evicted = new Set<string>();
    const calls = await sweepCrashes<{ written: ReadonlySet<string>; keys: number }>({
      async prepare(fs) {
        for (const [key, bytes] of await fillCache(fs)) content.set(key, bytes);
      },
      async run(fs, sweep) {
        await using store = await open(DIR, { ...CACHE, fs });
        for (let i = 0; i < reads; i++) if (i !== 3) await store.get(`key:${i}`);
        await store.get("key:14");
        const written = new Set<string>();
        await sweep(async () => {
          // The second does not fit into the log of the first: there is one segment more.
          for (const [key, bytes] of writes) {
            await store.put(key, bytes);
            written.add(key);
          }
          await turnsUntil(() => store.stats().eviction!.keys > 0);
        }, () => ({ written: new Set(written), keys: store.stats().keys }));
        for (const key of content.keys()) if (!await store.has(key)) evicted.add(key);
      },
      async check(fs, { written, keys }) {
        const allowed = new Map<string, (Uint8Array | undefined)[]>();
        for (const [key, bytes] of content) {
          allowed.set(key, evicted.has(key) ? [bytes, undefined] : [bytes]);
        }
        for (const [key, bytes] of writes) {
          allowed.set(key, written.has(key) ? [bytes] : [bytes, undefined]);
        }
        for (let round = 0; round < 2; round++) {
          const found = await checkAllowed(DIR, { ...SMALL, fs }, allowed);
          // Else one that was missing by then is back.
          assert(found <= keys, `${found} keys are there, there were ${keys}`);
        }
      },
    });
    assert(some.every((key) => evicted.has(key)), `${[...evicted]}`);
    assert(evicted.size < content.size / 2, `${[...evicted]}`);
    const removed = new RegExp(`^remove .*000000000${segment}\\.seg$`);
    assert(calls.some((call) => removed.test(call)), calls.join("\n"));
  });
}

for (const links of [true, false]) {
  const how = links ? "linked" : "copied";
  Deno.test(`power loss at every call of a checkpoint that is ${how}: nothing is lost, nothing comes back`, async () => {
    let copies = 0;
    const calls = await sweepCrashes({
      prepare: fill,
      async run(swept, sweep) {
        const fs = new FaultFs(swept);
        if (!links) fs.arm({ on: "link", fault: { kind: "error", code: "UNSUPPORTED" } });
        await using store = await open(DIR, { ...SMALL, fs, now: () => AFTER });
        let isCopied = false;
        await sweep(async () => {
          await store.checkpoint(COPY);
          isCopied = true;
        }, () => isCopied);
      },
      async check(fs, isCopied) {
        const options = { ...SMALL, fs, now: () => AFTER };
        await checkAllowed(DIR, options, CONTENT);
        if (!isCopied && !await isStore(fs)) return;
        copies++;
        await checkAllowed(COPY, { ...options, create: false }, CONTENT);
      },
    });
    const copied = calls.filter((call) =>
      new RegExp(`^${links ? "link" : "create"} .*seg`).test(call)
    );
    assert.equal(copied.length, 3, calls.join("\n"));
    assert(copies > 0);
  });
}

/** False if there is no store where the copy is to be. */
async function isStore(fs: Fs): Promise<boolean> {
  try {
    await (await open(COPY, { ...SMALL, fs, create: false })).close();
    return true;
  } catch (error) {
    assert(error instanceof FlagstoneError, `${error}`);
    assert(["NOT_FOUND", "NOT_A_STORE"].includes(error.code), `cannot be opened: ${error}`);
    return false;
  }
}

/**
 * Stores with `maxBytes` under power losses and failing disks. After a crash, a key has its newest
 * durable value, or one that was written later, or none; one that was seen to be missing has none; and no
 * more are missing than were evicted, but for those that were just about to be.
 */
import assert from "node:assert/strict";
import { timingSafeEqual } from "node:crypto";
import { type ErrorCode, FlagstoneError, open, type Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { type Fault, FaultFs, type Fs, type FsOperationKind, MemFs } from "../vfs/mod.ts";
import { noise, randomOf, turn } from "./_support.ts";

const DIR = "/store";
const UNBOUNDED = { slabBytes: 64 * 1024, slabs: 2, compaction: "manual" } as const;
const BOUNDED = { ...UNBOUNDED, compaction: {}, maxBytes: 12 * 64 * 1024 } as const;
const KEYS = 260;
const VALUE_BYTES = 2500;
/** One job of the hand goes over three slabs at most: so many keys may be missing that nobody has counted yet. */
const MOST_UNDER_WAY = 100;

type Promised =
  | { readonly type: "called"; readonly key: number; readonly value: number }
  | { readonly type: "durable"; readonly key: number; readonly value: number }
  | { readonly type: "missing"; readonly key: number }
  | { readonly type: "evicted"; readonly keys: number };

const keyOf = (key: number) => `key:${key}`;
/** Made once: noise takes longer than the store. */
const noiseBytes = noise(2 * VALUE_BYTES, 1);

/** A value that no other key or number has. */
function valueOf(key: number, value: number): Uint8Array<ArrayBuffer> {
  const bytes = noiseBytes.slice(0, VALUE_BYTES + (value % 7) * 100);
  new DataView(bytes.buffer).setUint32(0, key);
  new DataView(bytes.buffer).setUint32(4, value);
  return bytes;
}

/** More than the bound allows, in segments of which some have older values of keys in others. */
async function fill(fs: Fs): Promise<void> {
  await using store = await open(DIR, { ...UNBOUNDED, fs });
  for (let key = 0; key < KEYS; key++) {
    await store.put(keyOf(key), valueOf(key, 0), { durability: "memory" });
    if (key % 9 === 8) {
      await store.put(keyOf(key - 8), valueOf(key - 8, 0), { durability: "memory" });
    }
  }
  await store.put("large", noise(70_000, 1));
}

/** Writes and reads while the hand goes round. */
async function load(
  store: Store,
  seed: number,
  steps: number,
  promise: (what: Promised) => void,
): Promise<void> {
  const random = randomOf(seed);
  let told = 0;
  store.addEventListener("evicted", ({ keys }) => promise({ type: "evicted", keys: told += keys }));
  for (let value = 1; value <= steps; value++) {
    const key = Math.floor(random() * KEYS);
    promise({ type: "called", key, value });
    const written = store.put(keyOf(key), valueOf(key, value), {
      durability: value % 3 === 0 ? "synced" : "written",
    });
    // Whether it fails is for the end of the run to see.
    written.catch(() => {});
    if (value % 3 === 0) {
      await written;
      promise({ type: "durable", key, value });
    }
    const other = Math.floor(random() * KEYS);
    if (await store.get(keyOf(other)) === undefined) promise({ type: "missing", key: other });
    await store.get(keyOf(Math.floor(random() * 20)));
    if (value % 10 === 0) await turn();
  }
}

async function check(fs: Fs, promised: readonly Promised[]): Promise<void> {
  {
    await using store = await open(DIR, { ...UNBOUNDED, fs });
    let lost = 0;
    let evicted = 0;
    const allowed = new Map<number, (number | undefined)[]>();
    for (const what of promised) {
      if (what.type === "evicted") evicted = what.keys;
      else if (what.type === "called") {
        allowed.set(what.key, [...allowed.get(what.key) ?? [0], what.value]);
      } else if (what.type === "durable") {
        const values = allowed.get(what.key)!;
        allowed.set(what.key, values.slice(values.indexOf(what.value)));
      } else allowed.set(what.key, []);
    }
    for (let key = 0; key < KEYS; key++) {
      const found = await store.get(keyOf(key));
      const values = allowed.get(key) ?? [0];
      if (found === undefined) lost += values.length > 0 ? 1 : 0;
      else {
        const value = values.find((value) => sameBytes(found, valueOf(key, value!)));
        assert(value !== undefined, `${keyOf(key)} is none of ${values}`);
      }
    }
    const most = evicted + MOST_UNDER_WAY;
    assert(lost <= most, `${lost} keys are missing, ${evicted} were evicted`);
    assert.deepEqual((await store.verify()).problems, []);
  }
  // It goes on as a cache.
  await using store = await open(DIR, { ...BOUNDED, fs });
  for (let i = 0; i < 30; i++) {
    await store.put(keyOf(i), valueOf(i, 1000), { durability: "memory" });
  }
  for (let i = 0; i < 30; i++) {
    const found = await store.get(keyOf(i));
    assert(found === undefined || sameBytes(found, valueOf(i, 1000)), `${keyOf(i)} is stale`);
  }
  await store.flush();
  assert.deepEqual((await store.verify()).problems, []);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

for (const seed of [1, 2]) {
  Deno.test(`power loss at every call while keys are evicted, seed ${seed}`, async () => {
    const report = await testCrashes<Promised>({
      prepare: fill,
      async run(fs, promise) {
        await using store = await open(DIR, { ...BOUNDED, fs });
        await load(store, seed, 90, promise);
        await store.flush();
        assert(store.stats().eviction!.keys > 60, `${store.stats().eviction!.keys} were evicted`);
      },
      check,
    }, { statesPerMoment: 3, seed: seed * 100_000 });
    assert(report.moments > 60, `${report.moments} moments`);
  });
}

const FAULTS: readonly (readonly [FsOperationKind, Fault])[] = [
  ...(["create", "open", "openDir", "remove", "rename", "readAt", "writeAt", "sync"] as const)
    .map((on) => [on, { kind: "error", code: "IO" }] as const),
  ...(["create", "writeAt", "rename"] as const)
    .map((on) => [on, { kind: "error", code: "NO_SPACE" }] as const),
  ["sync", { kind: "failedSync" }],
];

const TOLD: readonly ErrorCode[] = ["WRITE_FAILED", "NO_SPACE", "IO", "CORRUPT", "CLOSED"];

function assertTold(error: unknown): void {
  assert(error instanceof FlagstoneError && TOLD.includes(error.code), `${error}`);
}

/** One failure while keys are evicted. Returns false if it never came to it. */
async function evictWithFault(on: FsOperationKind, fault: Fault, skip: number): Promise<boolean> {
  const memory = new MemFs();
  await fill(memory);
  const fs = new FaultFs(memory);
  const promised: Promised[] = [];
  const store = await open(DIR, { ...BOUNDED, fs });
  const rule = fs.arm({ on, skip, times: 1, fault });
  await load(store, 7, 40, (what) => void promised.push(what)).catch(assertTold);
  for (let i = 0; i < KEYS; i++) await store.get(keyOf(i)).catch(assertTold);
  const struck = rule.strikes > 0;
  fs.clear();
  await check(memory.crashClone({ keep: "synced" }), promised);
  await store.close().catch(assertTold);
  await check(memory.crashClone({ keep: "synced" }), promised);
  return struck;
}

for (const [on, fault] of FAULTS) {
  const what = "code" in fault ? `${fault.kind} ${fault.code}` : fault.kind;
  Deno.test(`the n-th ${on} while keys are evicted fails (${what})`, async () => {
    let n = 0;
    for (; n < 40; n++) {
      const goesOn = await evictWithFault(on, fault, n).catch((cause) => {
        throw new Error(`${on} number ${n}`, { cause });
      });
      if (!goesOn) break;
    }
    assert(n > 0, "there was no such call");
  });
}

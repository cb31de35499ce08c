/** Large values through power losses and failing calls: nothing acknowledged is lost, nothing is left for ever. */
import assert from "node:assert/strict";
import { type ErrorCode, FlagstoneError, open, type Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { type Fault, FaultFs, type Fs, type FsOperationKind, MemFs } from "../vfs/mod.ts";
import { sameBytes } from "./_history.ts";
import { streamOf } from "./_streams.ts";
import { noise, SMALL } from "./_support.ts";

const DIR = "/store";
const SLAB = SMALL.slabBytes!;

/** A write that was called, or is acknowledged. */
interface Write {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly done: boolean;
  readonly durable: boolean;
}

/** Large values put, as bytes and as streams, overwritten by large and small ones, deleted. */
async function workload(store: Store, tell: (write: Write) => void): Promise<void> {
  const write = async (
    key: string,
    value: Uint8Array | undefined,
    { streamed = false, durability = "synced" as "synced" | "memory" } = {},
  ) => {
    const told = { key, value, durable: durability === "synced" };
    tell({ ...told, done: false });
    if (value === undefined) await store.delete(key, { durability });
    else await store.put(key, streamed ? streamOf(value, 50_000) : value, { durability });
    tell({ ...told, done: true });
  };
  await write("a", noise(SLAB, 1));
  await write("b", noise(300_000, 2), { streamed: true });
  await write("a", noise(SLAB + 1, 3), { streamed: true });
  await write("b", noise(10, 4), { durability: "memory" });
  await Promise.all([
    write("a", noise(2 * SLAB, 5), { durability: "memory" }),
    write("c", noise(SLAB, 6)),
    write("d", noise(30_000, 7), { streamed: true }),
  ]);
  await write("a", undefined);
  await write("c", noise(SLAB, 8), { streamed: true });
}

/** Asserts that what is there may be there, and that there is no other file. Twice: recovery must leave what opens. */
async function check(fs: Fs, writes: readonly Write[]): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await using store = await open(DIR, { ...SMALL, fs });
    let large = 0;
    for (const key of new Set(writes.map((write) => write.key))) {
      const ofKey = writes.filter((write) => write.key === key);
      const settled = ofKey.findLastIndex(({ done, durable }) => done && durable);
      const allowed = ofKey.slice(Math.max(0, settled)).map(({ value }) => value);
      if (settled === -1) allowed.push(undefined);
      const found = await store.get(key);
      const lengths = allowed.map((value) => value?.length);
      assert(
        allowed.some((value) => sameBytes(value, found)),
        `${key} has ${found?.length} bytes, not one of ${lengths}`,
      );
      if (found !== undefined && found.length > SLAB - 200) large++;
    }
    const { files, problems } = store.stats().recovery.blobs;
    assert.deepEqual({ files, problems }, { files: large, problems: [] });
    assert.deepEqual((await store.verify()).problems, []);
    const names = fs.list(DIR).filter((name) => name.endsWith(".blob"));
    assert.equal(names.length, large, `${names} for ${large} large values`);
  }
}

Deno.test("power loss at every call of large puts, overwritings and deletes", async () => {
  const report = await testCrashes<Write>({
    async run(fs, promise) {
      await using store = await open(DIR, { ...SMALL, fs });
      await workload(store, promise);
    },
    check,
  }, { statesPerMoment: 8 });
  assert(report.moments > 80, `${report.moments} moments`);
});

const CASES: readonly (readonly [FsOperationKind, Fault])[] = [
  ...([
    "create",
    "open",
    "openDir",
    "list",
    "remove",
    "removeAll",
    "stat",
    "readAt",
    "readAtAsync",
    "writeAt",
    "sync",
    "syncData",
    "fileStat",
    "close",
  ] as const).map((on) => [on, { kind: "error", code: "IO" }] as const),
  ...(["create", "writeAt", "sync"] as const).map(
    (on) => [on, { kind: "error", code: "NO_SPACE" }] as const,
  ),
  ["writeAt", { kind: "shortWrite", bytes: 100 }],
  ["writeAt", { kind: "shortWrite", bytes: 4096, code: "NO_SPACE" }],
  ["sync", { kind: "failedSync" }],
];

const TOLD: readonly ErrorCode[] = ["WRITE_FAILED", "NO_SPACE", "IO", "CORRUPT", "CLOSED"];

function assertTold(error: unknown): void {
  assert(error instanceof FlagstoneError && TOLD.includes(error.code), `${error}`);
}

/** Runs the workload with one failure. Returns false if it never came to it. */
async function runWithFault(on: FsOperationKind, fault: Fault, skip: number): Promise<boolean> {
  const memory = new MemFs();
  const fs = new FaultFs(memory);
  const writes: Write[] = [];
  const rule = fs.arm({ on, skip, times: 1, fault });
  try {
    const store = await open(DIR, { ...SMALL, fs });
    await workload(store, (write) => writes.push(write)).catch(assertTold);
    for (const key of ["a", "b", "c", "d"]) await store.get(key).catch(assertTold);
    await store.close().catch(assertTold);
    const again = await open(DIR, { ...SMALL, fs });
    for (const key of ["a", "b", "c", "d"]) await again.get(key).catch(assertTold);
    await again.close().catch(assertTold);
  } catch (error) {
    assertTold(error);
  }
  fs.clear();
  await check(memory.crashClone({ keep: "all" }), writes);
  await check(memory.crashClone({ keep: "synced" }), writes);
  return rule.strikes > 0;
}

for (const [on, fault] of CASES) {
  const what = "code" in fault ? `${fault.kind} ${fault.code}` : fault.kind;
  Deno.test(`with large values, the n-th ${on} fails (${what}), for every n`, async () => {
    let n = 0;
    for (;; n++) {
      const goesOn = await runWithFault(on, fault, n).catch((cause) => {
        throw new Error(`${on} number ${n}`, { cause });
      });
      if (!goesOn) break;
    }
    assert(n > 0, "there was no such call");
  });
}

Deno.test("a large value that cannot be written is refused, and the store goes on", async () => {
  for (const code of ["NO_SPACE", "IO"] as const) {
    const memory = new MemFs();
    const fs = new FaultFs(memory);
    await using store = await open(DIR, { ...SMALL, fs });
    await store.put("k", "old");
    for (const on of ["create", "writeAt", "sync"] as const) {
      for (const value of [noise(SLAB, 1), streamOf(noise(300_000, 2))]) {
        const path = /\.blob$/;
        fs.arm({ on, path, times: 1, fault: { kind: "error", code } });
        await assert.rejects(store.put("k", value), { code });
        assert.equal(await store.getText("k"), "old");
      }
    }
    assert(!memory.list(DIR).some((name) => name.endsWith(".blob")));
    await store.put("k", noise(SLAB, 3));
    assert(sameBytes(await store.get("k"), noise(SLAB, 3)));
  }
});

Deno.test("a directory that cannot be synced ends writing: no name can be relied on", async () => {
  const memory = new MemFs();
  const fs = new FaultFs(memory);
  const store = await open(DIR, { ...SMALL, fs });
  await store.put("k", "old");
  fs.arm({ on: "sync", path: /store$/, times: 1, fault: { kind: "error", code: "IO" } });
  await assert.rejects(store.put("k", noise(SLAB, 1)));
  await assert.rejects(store.put("k", "new"), { code: "WRITE_FAILED" });
  assert.equal(await store.getText("k"), "old");
  await assert.rejects(store.close(), { code: "WRITE_FAILED" });
  fs.clear();
  await using again = await open(DIR, { ...SMALL, fs: memory });
  assert.equal(await again.getText("k"), "old");
  assert.equal(again.stats().recovery.blobs.swept, 1);
});

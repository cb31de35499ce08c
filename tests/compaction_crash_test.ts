/** Compaction under power losses and failing disks: nothing acknowledged is lost, nothing deleted comes back. */
import assert from "node:assert/strict";
import { type ErrorCode, FlagstoneError, open, type Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import {
  allOperations,
  type Fault,
  FaultFs,
  type Fs,
  type FsOperationKind,
  MemFs,
  nameOperations,
  syncOperations,
  writeOperations,
} from "../vfs/mod.ts";
import { checkHistory, type HistoryEvent, runSpecialWorkload, runWorkload } from "./_history.ts";
import { SMALL } from "./_support.ts";

const DIR = "/store";
const MANUAL = { ...SMALL, compaction: "manual" } as const;

/** Writes values of every kind, compacts in the midst of writing, and once more at rest. */
async function writeAndCompact(
  store: Store,
  seed: number,
  steps: number,
  record: (event: HistoryEvent) => void,
  firstCall = 1,
): Promise<void> {
  await runWorkload(store, seed, steps, record, firstCall);
  const special = firstCall + steps;
  await runSpecialWorkload(store, seed, steps / 4, record, special);
  const compacting = store.compact();
  await runWorkload(store, seed + 1000, steps / 4, record, special + steps / 4);
  await compacting;
  await store.compact();
}

/** Opens what a crash left, checks it, compacts it, and checks it again, opened and reopened. */
async function checkSurvivor(fs: Fs, events: readonly HistoryEvent[]): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await using store = await open(DIR, { ...MANUAL, fs });
    await checkHistory(store, events);
    await store.compact();
    await checkHistory(store, events);
  }
}

for (const seed of [1, 2]) {
  Deno.test(`power loss at every call of a compaction, with some sectors and names kept, seed ${seed}`, async () => {
    const report = await testCrashes<HistoryEvent>({
      async run(fs, promise) {
        await using store = await open(DIR, { ...MANUAL, fs });
        await writeAndCompact(store, seed, 60, promise);
        assert(store.stats().compaction.jobs > 0);
      },
      check: checkSurvivor,
    }, { statesPerMoment: 4, seed: seed * 100_000 });
    assert(report.moments > 80, `${report.moments} moments`);
  });
}

Deno.test("power loss after power loss, each time in the midst of compactions", async () => {
  for (let seed = 1; seed <= 6; seed++) {
    let fs = new MemFs();
    let events: HistoryEvent[] = [];
    for (let crash = 0; crash < 6; crash++) {
      const survivors: [MemFs, HistoryEvent[]][] = [];
      fs.onSync = () => survivors.push([fs.crashClone({ keep: "synced" }), [...events]]);
      const store = await open(DIR, { ...MANUAL, fs });
      await checkHistory(store, events).catch((cause) => {
        throw new Error(`before crash ${crash} of seed ${seed}`, { cause });
      });
      const record = (event: HistoryEvent) => void events.push(event);
      await writeAndCompact(store, seed * 31 + crash, 40, record, crash * 100);
      await store.close();
      // Late in the run, where the files are compacted.
      [fs, events] = survivors[Math.floor(survivors.length * (0.5 + crash / 12))]!;
    }
  }
});

/** What may fail, and which of it must be among what did. */
const FAULTS:
  readonly (readonly [Fault, readonly FsOperationKind[], readonly FsOperationKind[]])[] = [
    [
      { kind: "error", code: "IO" },
      allOperations,
      ["create", "open", "openDir", "remove", "rename", "readAt", "writeAt", "sync", "close"],
    ],
    [
      { kind: "error", code: "NO_SPACE" },
      [...writeOperations, ...syncOperations, ...nameOperations],
      ["create", "writeAt", "rename", "sync"],
    ],
    [{ kind: "failedSync" }, syncOperations, ["sync"]],
  ];

const TOLD: readonly ErrorCode[] = ["WRITE_FAILED", "NO_SPACE", "IO", "CORRUPT", "CLOSED"];

function assertTold(error: unknown): void {
  assert(error instanceof FlagstoneError && TOLD.includes(error.code), `${error}`);
}

/** Compacts with one failure. Returns false if it never came to it. */
async function compactWithFault(on: FsOperationKind, fault: Fault, skip: number): Promise<boolean> {
  const memory = new MemFs();
  const fs = new FaultFs(memory);
  const events: HistoryEvent[] = [];
  const record = (event: HistoryEvent) => void events.push(event);
  const store = await open(DIR, { ...MANUAL, fs });
  await runWorkload(store, 7, 80, record);
  await runSpecialWorkload(store, 7, 20, record, 81);
  const rule = fs.arm({ on, skip, times: 1, fault });
  await store.compact().catch(assertTold);
  // Whatever failed, what is there is read, and it goes on.
  await checkReads(store);
  await runWorkload(store, 8, 20, record, 101).catch(assertTold);
  await store.compact().catch(assertTold);
  const struck = rule.strikes > 0;
  fs.clear();
  const atKill = [memory.crashClone({ keep: "all" }), memory.crashClone({ keep: "synced" })];
  await store.close().catch(assertTold);
  for (const left of [...atKill, memory.crashClone({ keep: "synced" })]) {
    await checkSurvivor(left, events);
  }
  return struck;
}

async function checkReads(store: Store): Promise<void> {
  for (let i = 0; i < 12; i++) await store.get(`key:${i}`).catch(assertTold);
}

for (const [fault, kinds, needed] of FAULTS) {
  const what = "code" in fault ? `${fault.kind} ${fault.code}` : fault.kind;
  Deno.test(`the n-th call of every kind fails while compactions run (${what}), for every n`, async () => {
    const struck = new Set<FsOperationKind>();
    for (const on of kinds) {
      for (let n = 0;; n++) {
        const goesOn = await compactWithFault(on, fault, n).catch((cause) => {
          throw new Error(`${on} number ${n}`, { cause });
        });
        if (!goesOn) break;
        struck.add(on);
      }
    }
    for (const on of needed) assert(struck.has(on), `there was no ${on}`);
  });
}

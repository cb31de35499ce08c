/** Checkpoints of a store that compacts meanwhile, with one call that fails, and with power losses: the copy is whole or none. */
import assert from "node:assert/strict";
import { type ErrorCode, FlagstoneError, open, type Store } from "../mod.ts";
import { testCrashes } from "../testing/mod.ts";
import { allOperations, FaultFs, type Fs, type FsOperationKind, MemFs } from "../vfs/mod.ts";
import { checkHistory, type HistoryEvent, runSpecialWorkload, runWorkload } from "./_history.ts";
import { SMALL } from "./_support.ts";

const DIR = "/parent/store";
const COPY = "/parent/copies/one";
const MANUAL = { ...SMALL, compaction: "manual" } as const;

/** What was called or acknowledged, in the store; `copied`: the checkpoint was called or has resolved. */
type Event = HistoryEvent | { readonly type: "copying" | "copied" };

/** Writes values of every kind, some of which are compacted already, then a checkpoint in the midst of a compaction. */
async function writeAndCopy(store: Store, record: (event: Event) => void): Promise<void> {
  record({ type: "copying" });
  const compacting = store.compact();
  const copying = store.checkpoint(COPY).then(() => record({ type: "copied" }));
  await Promise.all([copying, compacting, runWorkload(store, 12, 10, record, 201)]);
}

async function prepare(store: Store, record: (event: Event) => void): Promise<void> {
  await runWorkload(store, 9, 50, record);
  await store.compact();
  await runWorkload(store, 10, 30, record, 101);
  await runSpecialWorkload(store, 11, 15, record, 151);
}

/** The copy, if there is one, has all that was acknowledged before it was asked for. Returns whether there is one. */
async function checkCopy(fs: Fs, events: readonly Event[]): Promise<boolean> {
  let copy: Store;
  try {
    copy = await open(COPY, { ...MANUAL, fs, create: false });
  } catch (error) {
    const { code } = error as { code: string };
    assert(["NOT_FOUND", "NOT_A_STORE"].includes(code), `cannot be opened: ${error}`);
    return false;
  }
  await using store = copy;
  const copying = events.findIndex(({ type }) => type === "copying");
  await checkHistory(
    store,
    events.filter((event, i): event is HistoryEvent =>
      // Of what came later, anything may be there, or nothing.
      event.type === "called" || (event.type === "acknowledged" && i < copying)
    ),
  );
  return true;
}

async function checkStore(fs: Fs, events: readonly Event[]): Promise<void> {
  const history = events.filter((event): event is HistoryEvent =>
    event.type === "called" || event.type === "acknowledged"
  );
  for (let round = 0; round < 2; round++) {
    await using store = await open(DIR, { ...MANUAL, fs });
    await checkHistory(store, history);
    await store.compact();
  }
}

/** A file system that has hard links, or none. */
function linking(fs: Fs, links: boolean): FaultFs {
  const faults = new FaultFs(fs);
  if (!links) faults.arm({ on: "link", fault: { kind: "error", code: "UNSUPPORTED" } });
  return faults;
}

const TOLD: readonly ErrorCode[] = ["WRITE_FAILED", "NO_SPACE", "IO", "CORRUPT", "CLOSED"];

function assertTold(error: unknown): void {
  assert(error instanceof FlagstoneError && TOLD.includes(error.code), `${error}`);
}

/** One failure in the midst of it all. Returns false if it never came to it. */
async function copyWithFault(on: FsOperationKind, links: boolean, skip: number): Promise<boolean> {
  const memory = new MemFs();
  const fs = linking(memory, links);
  const events: Event[] = [];
  const record = (event: Event) => void events.push(event);
  const store = await open(DIR, { ...MANUAL, fs });
  await prepare(store, record);
  const rule = fs.arm({ on, skip, times: 1, fault: { kind: "error", code: "IO" } });
  await writeAndCopy(store, record).catch(assertTold);
  // What goes on still must end before the copy is looked at.
  await store.close().catch(assertTold);
  const struck = rule.strikes > 0;
  for (const keep of ["all", "synced"] as const) {
    const left = memory.crashClone({ keep });
    const isThere = await checkCopy(left, events);
    if (events.some(({ type }) => type === "copied")) assert(isThere, "the copy is gone");
    await checkStore(left, events);
  }
  return struck;
}

for (const links of [true, false]) {
  const how = links ? "linked" : "copied";
  Deno.test(`the n-th call of every kind fails while a checkpoint is ${how} and a compaction runs, for every n`, async () => {
    const counts = new Map<string, number>();
    for (const on of allOperations) {
      let n = 0;
      for (;; n++) {
        const goesOn = await copyWithFault(on, links, n).catch((cause) => {
          throw new Error(`${on} number ${n}`, { cause });
        });
        if (!goesOn) break;
      }
      counts.set(on, n);
    }
    for (const on of ["create", "rename", "remove", "readAt", "writeAt", "sync", "openDir"]) {
      assert(counts.get(on)! > 0, `there was no ${on}`);
    }
    if (links) assert(counts.get("link")! > 2, `${counts.get("link")} links`);
  });

  Deno.test(`power loss at every call while a checkpoint is ${how} and a compaction runs`, async () => {
    let whole = 0;
    const report = await testCrashes<Event>({
      async run(fs, promise) {
        await using store = await open(DIR, { ...MANUAL, fs: linking(fs, links) });
        await prepare(store, promise);
        await writeAndCopy(store, promise);
      },
      async check(fs, events) {
        const isThere = await checkCopy(fs, events);
        if (events.some(({ type }) => type === "copied")) assert(isThere, "the copy is gone");
        if (isThere) whole++;
        await checkStore(fs, events);
      },
    }, { statesPerMoment: 3, seed: 5 });
    assert(report.moments > 80 && whole > 10, `${report.moments} moments, ${whole} whole`);
  });
}

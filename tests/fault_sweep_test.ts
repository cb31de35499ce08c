/** The n-th call of every kind fails, for every n: each write's promise tells the truth, nothing hangs. */
import assert from "node:assert/strict";
import { type ErrorCode, FlagstoneError, open } from "../mod.ts";
import { type Fault, FaultFs, type FsOperationKind, MemFs } from "../vfs/mod.ts";
import { checkHistory, type HistoryEvent, runWorkload } from "./_history.ts";
import { settled, SMALL } from "./_support.ts";

const DIR = "/store";
const SEED = 11;

const CASES: readonly (readonly [FsOperationKind, Fault])[] = [
  ...([
    "create",
    "open",
    "openReadWrite",
    "openDir",
    "lock",
    "list",
    "remove",
    "rename",
    "mkdirAll",
    "readAt",
    "writeAt",
    "truncate",
    "sync",
    "syncData",
    "fileStat",
    "close",
  ] as const).map((on) => [on, { kind: "error", code: "IO" }] as const),
  ...(["create", "writeAt", "truncate", "rename", "sync", "syncData"] as const).map(
    (on) => [on, { kind: "error", code: "NO_SPACE" }] as const,
  ),
  ["writeAt", { kind: "shortWrite", bytes: 100 }],
  ["writeAt", { kind: "shortWrite", bytes: 4096, code: "NO_SPACE" }],
  ["sync", { kind: "failedSync" }],
  ["syncData", { kind: "failedSync" }],
];

/** What a write, open or close may be told. */
const TOLD: readonly ErrorCode[] = [
  "WRITE_FAILED",
  "NO_SPACE",
  "IO",
  "CORRUPT",
  "CLOSED",
];

function assertTold(error: unknown): void {
  assert(error instanceof FlagstoneError && TOLD.includes(error.code), `${error}`);
}

/** Runs the workload with one failure. Returns false if it never came to it. */
async function runWithFault(on: FsOperationKind, fault: Fault, skip: number): Promise<boolean> {
  const memory = new MemFs();
  const fs = new FaultFs(memory);
  const events: HistoryEvent[] = [];
  let struck = false;
  const rule = fs.arm({ on, skip, times: 1, fault });
  try {
    const store = await open(DIR, { ...SMALL, fs });
    // The workload ends at the first write that fails; what follows has to fail or work, not to hang.
    await runWorkload(store, SEED, 100, (event) => events.push(event)).catch(assertTold);
    await store.flush().catch(assertTold);
    await checkReads(store);
    await store.close().catch(assertTold);
  } catch (error) {
    assertTold(error);
  }
  struck = rule.strikes > 0;
  fs.clear();
  // The process may die here, or the power may fail: then what was only written may be lost.
  await check(memory.crashClone({ keep: "all" }), asDurable(events, fault));
  await check(memory.crashClone({ keep: "synced" }), events);
  return struck;
}

async function checkReads(store: Awaited<ReturnType<typeof open>>): Promise<void> {
  for (let i = 0; i < 12; i++) await store.get(`key:${i}`).catch(assertTold);
}

async function check(fs: MemFs, events: readonly HistoryEvent[]): Promise<void> {
  await using store = await open(DIR, { ...SMALL, fs });
  await checkHistory(store, events);
  await store.put("after", "x");
}

/** Without a power loss, what was written counts; but a failed sync that drops pages is one for them. */
function asDurable(events: readonly HistoryEvent[], fault: Fault): readonly HistoryEvent[] {
  if (fault.kind === "failedSync") return events;
  return events.map((event) => event.type === "acknowledged" ? { ...event, durable: true } : event);
}

for (const [on, fault] of CASES) {
  const what = "code" in fault ? `${fault.kind} ${fault.code}` : fault.kind;
  Deno.test(`the n-th ${on} fails (${what}), for every n`, async () => {
    let n = 0;
    for (;; n++) {
      const goesOn = await settled(runWithFault(on, fault, n)).catch((cause) => {
        throw new Error(`${on} number ${n}, seed ${SEED}`, { cause });
      });
      if (!goesOn) break;
    }
    assert(n > 0, "there was no such call");
  });
}

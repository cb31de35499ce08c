import assert from "node:assert/strict";
import {
  allOperations,
  type ArmedFault,
  CrashFs,
  type Fault,
  FaultFs,
  type FsOperationKind,
  syncOperations,
  writeOperations,
} from "../vfs/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { LogStore } from "../wal/log_store.ts";
import { fails } from "./_log_store_conformance.ts";
import { bytesFrom, contentOf, type FileKind, fileKinds } from "./_log_store_places.ts";

const kinds = fileKinds.filter(({ name }) => !/1048576|segments of 1$/.test(name));

/** A byte that a crash may find old or new. */
const EITHER = -1;

/** What the log must hold, by what its calls returned. */
interface Truth {
  /** The bytes of all writes that returned, from position 0. */
  written: number[];
  /** As of the last sync that returned; cut where a truncate was tried since. */
  durable: number[];
  head: number;
  /** The highest head that was asked for. */
  highestHead: number;
}

type Call = (store: LogStore, truth: Truth) => void;

function write(position: number, count: number): Call {
  return (store, truth) => {
    const bytes = bytesFrom(position, count);
    // Even a write that fails may be seen.
    truth.durable.fill(EITHER, position, position + count);
    store.writeAt(bytes, position);
    while (truth.written.length < position) truth.written.push(0);
    for (const [i, byte] of bytes.entries()) truth.written[position + i] = byte;
  };
}

const sync: Call = (store, truth) => {
  store.sync();
  truth.durable = [...truth.written];
};

function cut(length: number): Call {
  return (store, truth) => {
    truth.durable.length = Math.min(truth.durable.length, length);
    // Gone for readers even if it fails on its way to the disk.
    truth.written.length = length;
    store.truncate(length);
  };
}

function drop(position: number): Call {
  return (store, truth) => {
    truth.highestHead = position;
    truth.head = store.truncateBefore(position);
  };
}

const workload: readonly Call[] = [
  write(0, 10),
  sync,
  write(10, 12),
  write(24, 3),
  sync,
  write(22, 2),
  sync,
  cut(18),
  write(18, 5),
  drop(16),
  write(23, 4),
  sync,
  drop(27),
  write(27, 8),
  sync,
];

/** What a log holds; if the fault strikes the read, the next one succeeds. */
function readAll(store: LogStore, rule: ArmedFault): Uint8Array {
  const { strikes } = rule;
  try {
    return contentOf(store);
  } catch (error) {
    assert(error instanceof FlagstoneError && rule.strikes > strikes, `${error}`);
    return contentOf(store);
  }
}

/** One life with one fault; false if the fault never struck. */
function live(kind: FileKind, on: FsOperationKind, skip: number, fault: Fault): boolean {
  const crash = new CrashFs();
  const fs = new FaultFs(crash);
  const rule = fs.arm({ on, skip, times: 1, fault });
  const truth: Truth = { written: [], durable: [], head: 0, highestHead: 0 };
  let store: LogStore | undefined;
  try {
    store = kind.open(fs, "/d");
  } catch (error) {
    assert(error instanceof FlagstoneError, `${error}`);
    // A failed open leaves nothing behind: no lock, no half-made log.
    store = kind.open(fs, "/d");
  }
  let failure: FlagstoneError | undefined;
  for (const call of workload) {
    const struck = rule.strikes;
    try {
      // What is refused changes nothing, so nothing is noted.
      call(store, failure === undefined ? truth : structuredClone(truth));
      assert(failure === undefined, "a call after a failure succeeded");
    } catch (error) {
      if (!(error instanceof FlagstoneError)) throw error;
      if (failure !== undefined) {
        assert.equal(error, failure, "not the first failure");
      } else {
        assert(rule.strikes > struck, `failed by itself: ${error}`);
        // What had changed nothing is no failure of the log; the call can be made again.
        if (error.code === "WRITE_FAILED") failure = error;
        else call(store, truth);
      }
    }
    const [head, length]: [number, number] = [store.head, store.length];
    assert(head === truth.head || head === truth.highestHead, `the head is ${head}`);
    assert.equal(length, Math.max(head, truth.written.length));
    // Reads go on. The failed write may have reached some of its bytes: those are not in `written`.
    const content = readAll(store, rule);
    if (failure === undefined) assert.deepEqual([...content], truth.written.slice(head));
    else assert.equal(content.length, length - head);
  }
  try {
    store.close();
  } catch (error) {
    assert(error instanceof FlagstoneError && rule.strikes > 0, `${error}`);
  }
  fs.clear();
  assert.equal(crash.openHandles, 0);
  const states = [crash.crashClone({ seed: 1, keepData: 0, keepNames: 0 }), crash];
  for (const seed of [2, 3, 4]) states.push(crash.crashClone({ seed }));
  for (const state of states) {
    using survivor = kind.open(state, "/d");
    const [head, length]: [number, number] = [survivor.head, survivor.length];
    assert(head >= truth.head && head <= truth.highestHead, `the head is ${head}`);
    assert(length >= truth.durable.length);
    const kept = contentOf(survivor).subarray(0, Math.max(0, truth.durable.length - head));
    const expected = truth.durable.slice(head);
    assert.deepEqual([...kept].map((byte, i) => expected[i] === EITHER ? EITHER : byte), expected);
    survivor.writeAt(bytesFrom(0, 3), length);
    survivor.sync();
  }
  return rule.strikes > 0;
}

for (const kind of kinds) {
  const faults: [string, Fault, readonly FsOperationKind[]][] = [
    ["an error", { kind: "error", code: "IO" }, allOperations],
    ["no space", { kind: "error", code: "NO_SPACE" }, ["create", "writeAt", "writeVectorAt"]],
    ["a short write", { kind: "shortWrite", bytes: 2 }, writeOperations],
    ["a sync that drops pages", { kind: "failedSync", reached: 0.5 }, syncOperations],
  ];
  for (const [what, fault, operations] of faults) {
    Deno.test(`LogStore tells the truth whichever call meets ${what}, W9, W10 [${kind.name}]`, () => {
      let lives = 0;
      for (const on of operations) {
        for (let skip = 0;; skip++) {
          let struck: boolean;
          try {
            struck = live(kind, on, skip, fault);
          } catch (cause) {
            throw new Error(`the ${on} after ${skip}, ${what}`, { cause });
          }
          if (!struck) break;
          lives++;
        }
      }
      assert(lives > 3, `${lives} faults`);
    });
  }

  Deno.test(`LogStore, W9: after a failed sync the disk lacks what memory shows, and no sync says otherwise [${kind.name}]`, () => {
    const crash = new CrashFs();
    const fs = new FaultFs(crash);
    const store = kind.open(fs, "/d");
    store.writeAt(bytesFrom(0, 5), 0);
    store.sync();
    store.writeAt(bytesFrom(5, 2), 5);
    fs.arm({ on: "syncData", times: 1, fault: { kind: "failedSync" } });
    const first = fails("WRITE_FAILED", () => store.sync());
    assert(first.cause instanceof FlagstoneError && first.cause.code === "IO", `${first.cause}`);
    for (let again = 0; again < 2; again++) {
      assert.equal(fails("WRITE_FAILED", () => store.sync()), first);
      assert.equal(fails("WRITE_FAILED", () => store.writeAt(bytesFrom(7, 1), 7)), first);
      assert.equal(fails("WRITE_FAILED", () => store.truncate(5)), first);
      assert.equal(fails("WRITE_FAILED", () => store.truncateBefore(7)), first);
    }
    assert.deepEqual(contentOf(store), bytesFrom(0, 7), "reads go on");
    store.close();
  });

  Deno.test(`LogStore, W10: after a failed write nothing is written beyond it [${kind.name}]`, () => {
    const fs = new FaultFs(new CrashFs());
    const store = kind.open(fs, "/d");
    store.writeAt(bytesFrom(0, 5), 0);
    fs.arm({ on: "writeVectorAt", times: 1, fault: { kind: "shortWrite", bytes: 1 } });
    const first = fails("WRITE_FAILED", () => store.writeAt(bytesFrom(5, 2), 5));
    assert.equal(fails("WRITE_FAILED", () => store.writeAt(bytesFrom(7, 1), 7)), first);
    assert.equal(fails("WRITE_FAILED", () => store.sync()), first);
    assert.deepEqual(contentOf(store), bytesFrom(0, 5), "the length did not move");
    store.close();
    using reopened = kind.open(fs, "/d");
    reopened.writeAt(bytesFrom(5, 2), 5);
    reopened.sync();
    assert.deepEqual(contentOf(reopened).subarray(0, 7), bytesFrom(0, 7));
  });
}

Deno.test("LogStore.truncateBefore() on a full disk changes nothing, and the log goes on", () => {
  for (const kind of kinds) {
    const fs = new FaultFs(new CrashFs());
    using store = kind.open(fs, "/d");
    store.writeAt(bytesFrom(0, 20), 0);
    fs.arm({ on: "create", times: 1, fault: { kind: "error", code: "NO_SPACE" } });
    fails("NO_SPACE", () => store.truncateBefore(20));
    assert.equal(store.head, 0);
    store.writeAt(bytesFrom(20, 1), 20);
    store.sync();
    assert.equal(store.truncateBefore(20), 20);
    assert.deepEqual(contentOf(store), bytesFrom(20, 1));
  }
});

Deno.test("LogStore.truncateBefore() that fails when nobody knows the head is the last change", () => {
  for (const kind of kinds) {
    for (const rule of [{ on: "rename" }, { on: "sync", path: /^\/d(\/log)?$/ }] as const) {
      const crash = new CrashFs();
      const fs = new FaultFs(crash);
      const store = kind.open(fs, "/d");
      store.writeAt(bytesFrom(0, 20), 0);
      store.sync();
      fs.arm({ ...rule, times: 1, fault: { kind: "error", code: "IO" } });
      const first = fails("WRITE_FAILED", () => store.truncateBefore(15));
      // Below a head that may be durable by now, a write could be lost although a sync returned.
      assert.equal(fails("WRITE_FAILED", () => store.writeAt(bytesFrom(0, 1), 15)), first);
      assert.deepEqual(contentOf(store), bytesFrom(store.head, 20 - store.head));
      store.close();
    }
  }
});

// Several flush workers, and how log worker and flush workers share the syncing.
import assert from "node:assert/strict";
import { FaultFs, type FsOperation, InterceptFs, MemFs } from "../vfs/mod.ts";
import { LogFileState, logName, segmentName, SlotState, SlotWord } from "../wal/mod.ts";
import { StepResult } from "../workers/mod.ts";
import { Engine, ENGINE_DIR, exhaust, recover } from "./_engine.ts";

/** A file system that calls `during` in the middle of operations. */
function interrupted(inner: MemFs, during: (operation: FsOperation) => void): InterceptFs {
  return new InterceptFs("interrupted", inner, {
    call: (operation, run) => {
      during(operation);
      return run();
    },
    callAsync: (_operation, run) => run(),
  });
}

function names(fs: MemFs): string[] {
  return fs.list(ENGINE_DIR).toSorted();
}

Deno.test("footers are made in any order, names are given in order", () => {
  const disk = new MemFs();
  let busy = true;
  let looked = 0;
  const fs = interrupted(disk, (operation) => {
    if (busy || operation.kind !== "sync" || !operation.path.endsWith(logName(1))) return;
    // The first worker is about to sync the footer of segment 1: the second one does all that it can.
    busy = true;
    exhaust(engine.flush2);
    const [, second] = engine.pool.residents;
    assert(engine.control.get(second!.slot, SlotWord.fileBytes) > 0, "has its footer");
    assert.equal(engine.control.get(second!.slot, SlotWord.state), SlotState.logged);
    assert.deepEqual(names(disk).slice(0, 2), [logName(1), logName(2)]);
    // Were the power to fail now, segment 1 would be lost, and with it all that is newer.
    assert.deepEqual(recover(disk.crashClone({ keep: "synced" })).sequences, []);
    looked++;
    busy = false;
  });
  const engine = new Engine(fs, 4);
  engine.fillUntil(3, false);
  exhaust(engine.log);
  busy = false;
  exhaust(engine.flush);
  assert.equal(looked, 1);
  assert.deepEqual(names(disk).slice(0, 2), [segmentName(1), segmentName(2)]);
});

Deno.test("a slab is zeroed by one worker only", () => {
  const engine = new Engine(new MemFs(), 2);
  engine.fillUntil(2, true);
  exhaust(engine.log);
  exhaust(engine.flush);
  engine.pool.replenish(() => {});
  const slot = [0, 1].find((at) => engine.control.get(at, SlotWord.state) === SlotState.cleaning)!;
  assert(engine.control.claim(slot), "a third worker is at it");
  assert.equal(engine.flush2.step(true), StepResult.idle);
  assert.equal(engine.control.get(slot, SlotWord.state), SlotState.cleaning);
  engine.control.release(slot);
  exhaust(engine.flush2);
  assert.equal(engine.control.get(slot, SlotWord.state), SlotState.free);
});

Deno.test("a large sync is left to a flush worker, and writing goes on meanwhile", () => {
  const disk = new MemFs();
  let written = 0;
  const fs = interrupted(disk, (operation) => {
    if (operation.kind !== "syncData") return;
    const { slab, end } = engine.append(100, true);
    exhaust(engine.log);
    written = engine.control.get(slab.slot, SlotWord.written);
    assert.equal(written, end, "written while the sync is under way");
    assert.equal(engine.control.get(slab.slot, SlotWord.synced), 0);
  });
  const engine = new Engine(fs);
  engine.setFlushing(true);
  const { slab, end } = engine.append(20_000, true);
  exhaust(engine.log);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), 0, "asked for, not done");
  assert.equal(engine.log.rest(false), true, "the log worker stays for the answer");
  assert.equal(engine.flush.step(true), StepResult.worked);
  assert(written > end);
  assert.equal(
    engine.control.get(slab.slot, SlotWord.synced),
    end,
    "and no more than was asked for",
  );
});

Deno.test("a sync that no flush worker is left for is taken back by the log worker", () => {
  const engine = new Engine(new MemFs());
  engine.setFlushing(true);
  const { slab, end } = engine.append(20_000, true);
  exhaust(engine.log);
  assert.equal(engine.control.get(slab.slot, SlotWord.syncAsked), end);
  engine.setFlushing(false);
  exhaust(engine.log);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), end);
  assert.equal(engine.control.get(slab.slot, SlotWord.syncAsked), 0);
});

Deno.test("a sync for which a flush worker finds no space to open the log is asked for again", () => {
  const fs = new FaultFs(new MemFs());
  const engine = new Engine(fs);
  engine.setFlushing(true);
  const { slab, end } = engine.append(20_000, true);
  exhaust(engine.log);
  const fault = { kind: "error", code: "NO_SPACE" } as const;
  const rule = fs.arm({ on: "openReadWrite", times: 1, fault });
  engine.flush.step(true);
  assert.equal(rule.strikes, 1);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), 0);
  engine.flush2.step(true);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), end);
});

Deno.test("a small sync is the log worker's own: asking would take longer", () => {
  const engine = new Engine(new MemFs());
  engine.setFlushing(true);
  const { slab, end } = engine.append(100, true);
  exhaust(engine.log);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), end);
});

Deno.test("the log worker does not end while its log is being created by another: nobody would start it again", () => {
  const engine = new Engine(new MemFs());
  const { slab, end } = engine.append(100, true);
  engine.control.set(slab.slot, SlotWord.file, LogFileState.creating);
  assert.equal(engine.log.step(true), StepResult.idle);
  assert.equal(engine.log.rest(false), true);
  engine.control.set(slab.slot, SlotWord.file, LogFileState.none);
  exhaust(engine.log);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), end);
});

import assert from "node:assert/strict";
import { CrashFs, MemFs } from "../vfs/mod.ts";
import {
  FILE_HEADER_BYTES,
  LogFileState,
  logName,
  parseFileName,
  SlotState,
  SlotWord,
} from "../wal/mod.ts";
import { Engine, ENGINE_DIR, exhaust, recover } from "./_engine.ts";
import { failsWith, readFile, writeFile } from "./_support.ts";

const log = (segment: number) => `${ENGINE_DIR}/${logName(segment)}`;

/** Changes one byte of a record in the middle of the log. */
function damage(fs: MemFs, segment: number): void {
  const content = readFile(fs, log(segment));
  content[FILE_HEADER_BYTES + 9000]! ^= 1;
  writeFile(fs, log(segment), content);
}

Deno.test("a full log for which nobody waits is handed on without a sync, and the next one begun", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.fillUntil(2, false);
  exhaust(engine.log);
  const [first, second] = engine.pool.residents;
  assert.equal(engine.control.get(first!.slot, SlotWord.state), SlotState.logged);
  assert.equal(engine.control.get(first!.slot, SlotWord.synced), 0);
  assert(engine.control.get(second!.slot, SlotWord.written) > FILE_HEADER_BYTES);
  const lost = fs.crashClone({ keep: "synced" });
  assert.deepEqual(recover(lost).sequences, []);
});

Deno.test("a record is durable only once all older segments are", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.fillUntil(2, false);
  exhaust(engine.log);
  const { slab, end } = engine.append(100, true);
  exhaust(engine.log);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), 0, "the first log is not durable");
  exhaust(engine.flush);
  exhaust(engine.log);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), end);
});

Deno.test("an empty log that made room for a larger record does not come back as the end of all", () => {
  // It was removed, but neither that nor its seal was durable when newer records were taken for it:
  // it could come back without its seal, and as the first log without one it ended the others.
  const fs = new CrashFs();
  const engine = new Engine(fs);
  for (let i = 0; i < 2; i++) engine.append(8000, false);
  exhaust(engine.flush);
  engine.append(90_000, false);
  exhaust(engine.log);
  exhaust(engine.flush);
  const { slab, end } = engine.append(100, true);
  exhaust(engine.log);
  assert.equal(slab.segment, 3);
  assert.equal(engine.control.get(slab.slot, SlotWord.synced), end);
  for (let seed = 0; seed < 200; seed++) {
    assert.equal(recover(fs.crashClone({ seed })).active?.segment, 3, `seed ${seed}`);
  }
});

Deno.test("the flush worker syncs a log that somebody waits for before it seals any", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.fillUntil(2, false);
  exhaust(engine.log);
  engine.append(100, true);
  engine.flush.step(true);
  const [first] = engine.pool.residents;
  assert.equal(engine.control.get(first!.slot, SlotWord.state), SlotState.logged);
  assert.equal(
    engine.control.get(first!.slot, SlotWord.synced),
    engine.control.get(first!.slot, SlotWord.end),
  );
});

Deno.test("recovery after a kill takes several logs without any sync", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  const count = engine.fillUntil(3, false);
  exhaust(engine.log);
  const found = recover(fs.crashClone({ keep: "all" }));
  assert.equal(found.sequences.length, count);
  assert.deepEqual(found.completed, [1, 2]);
  assert.equal(found.active?.segment, 3);
  assert.equal(found.tornBytes, 0);
});

Deno.test("recovery cuts at the first torn log and drops what is newer, durably", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.fillUntil(3, false);
  exhaust(engine.log);
  const crashed = fs.crashClone({ keep: "all" });
  damage(crashed, 2);
  const first = recover(crashed);
  assert.deepEqual(first.completed, [1]);
  assert.equal(first.active?.segment, 2);
  assert.deepEqual(first.cut?.path, log(2));
  assert(first.tornBytes > 50_000);
  // A second power loss right after: nothing of what was dropped comes back.
  const again = crashed.crashClone({ keep: "synced" });
  assert.deepEqual(again.list(ENGINE_DIR), [logName(1), logName(2)]);
  assert.deepEqual(recover(again).sequences, first.sequences);
});

Deno.test("recovery refuses a damaged log if a newer one says that it was durable", async () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.fillUntil(2, true);
  exhaust(engine.log);
  engine.append(100, true); // Carries the mark of the sync before.
  exhaust(engine.log);
  const crashed = fs.crashClone({ keep: "all" });
  assert.deepEqual(recover(crashed.crashClone({ keep: "all" })).completed, [1]);
  damage(crashed, 1);
  const before = crashed.crashClone({ keep: "all" });
  const error = await failsWith("CORRUPT", () => recover(crashed));
  assert.equal(error.path, log(1));
  assert.deepEqual(readFile(crashed, log(1)), readFile(before, log(1)), "nothing was changed");
  assert.deepEqual(readFile(crashed, log(2)), readFile(before, log(2)));
});

Deno.test("recovery refuses a log without its end if a newer segment is sealed", async () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.fillUntil(2, true);
  exhaust(engine.log);
  const crashed = fs.crashClone({ keep: "all" });
  crashed.rename(log(2), `${ENGINE_DIR}/0000000002.seg`);
  damage(crashed, 1);
  const error = await failsWith("CORRUPT", () => recover(crashed));
  assert.equal(error.path, log(1));
});

Deno.test("recovery refuses a vanished header if a newer log has records", async () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  engine.fillUntil(2, false);
  exhaust(engine.log);
  const crashed = fs.crashClone({ keep: "all" });
  writeFile(crashed, log(1), new Uint8Array(64 * 1024));
  await failsWith("CORRUPT", () => recover(crashed));
});

Deno.test("the next log is created before it is needed, and removed by recovery if it never was", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  for (let i = 0; i < 5; i++) engine.append(4000, true);
  exhaust(engine.log);
  exhaust(engine.flush);
  assert.deepEqual(fs.list(ENGINE_DIR), [logName(1), logName(2)]);
  assert.equal(engine.control.get(engine.pool.next!.slot, SlotWord.file), LogFileState.ready);
  const lost = fs.crashClone({ keep: "synced" });
  const found = recover(lost);
  assert.equal(found.sequences.length, 5);
  assert.equal(found.tornBytes, 0);
  assert.equal(found.cut, undefined);
  assert.deepEqual(lost.list(ENGINE_DIR), [logName(1)]);
});

Deno.test("a log that the flush worker did not get to is created by the log worker", () => {
  const fs = new MemFs();
  const engine = new Engine(fs);
  const count = engine.fillUntil(3, true);
  exhaust(engine.log);
  assert.equal(recover(fs.crashClone({ keep: "synced" })).sequences.length, count);
});

Deno.test("power loss at any moment, segments synced or not, keeps a prefix of the log", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const fs = new CrashFs();
    const engine = new Engine(fs, 4);
    const all: { sequence: number; segment: number }[] = [];
    let acknowledged = 0;
    for (let i = 0; i < 40; i++) {
      const wanted = (i * 7 + seed) % 11 === 0;
      const { slab, offset, end } = engine.append(3000 + (i * 977 + seed) % 2000, wanted);
      all.push({ sequence: slab.baseSequence + offset, segment: slab.segment });
      if ((i + seed) % 3 > 0) engine.log.step(true);
      if ((i + seed) % 5 === 0) engine.flush.step(true);
      if (wanted) {
        for (let k = 0; k < 3; k++) [engine.log, engine.flush].forEach(exhaust);
        assert(engine.control.get(slab.slot, SlotWord.synced) >= end);
        acknowledged = all.length;
      }
      const state = fs.crashClone({ seed: seed * 1000 + i });
      const segments = state.list(ENGINE_DIR).filter((name) => name.endsWith(".seg"));
      const sealed = new Set(segments.map((name) => parseFileName(name)!.segment));
      const { sequences } = recover(state);
      const where = `seed ${seed}, record ${i}`;
      const unsealed = all.filter(({ segment }) => !sealed.has(segment)).map((r) => r.sequence);
      assert.deepEqual(sequences, unsealed.slice(0, sequences.length), where);
      const lost = unsealed.length - sequences.length;
      assert(all.length - lost >= acknowledged, `${where}: ${lost} lost`);
    }
  }
});

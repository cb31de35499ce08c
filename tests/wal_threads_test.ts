import assert from "node:assert/strict";
import { attachWal, Wal } from "../log/wal_mod.ts";
import { Control, SharedWriter, Word } from "../wal/mod.ts";
import { type AppendOrder, type AppendReport, recordOf } from "./_wal_worker.ts";
import { failsWith, inTempDir, noise } from "./_support.ts";

const WRITERS = 4;

/** Runs writers in Workers until each has appended `count` records. */
async function appendFromWorkers(
  wal: Wal,
  order: Omit<AppendOrder, "handle" | "writer">,
): Promise<void> {
  const handle = await wal.share();
  await Promise.all(Array.from({ length: WRITERS }, async (_, writer) => {
    const worker = new Worker(new URL("./_wal_worker.ts", import.meta.url), { type: "module" });
    const done = Promise.withResolvers<void>();
    worker.onmessage = ({ data }: MessageEvent<AppendReport>) => {
      if ("error" in data) done.reject(new Error(data.error));
      else if (data.acknowledged === order.count) done.resolve();
    };
    worker.postMessage({ ...order, handle, writer } satisfies AppendOrder);
    try {
      await done.promise;
    } finally {
      worker.terminate();
    }
  }));
}

/** Every record is there once, each writer's in its order, LSNs ascending. */
function checkRecords(wal: Wal, count: number): void {
  const next = Array.from({ length: WRITERS }, () => 0);
  let last = -1;
  for (const { lsn, bytes } of wal.iterate()) {
    assert(lsn > last);
    last = lsn;
    const writer = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    const expected = recordOf(writer, next[writer]!++);
    if (Deno.inspect(bytes.length) !== Deno.inspect(expected.length)) assert.fail("wrong length");
    if (!bytes.every((byte, i) => byte === expected[i])) assert.deepEqual(bytes, expected);
  }
  assert.deepEqual(next, Array.from({ length: WRITERS }, () => count));
}

for (
  const [durability, count, window] of [["memory", 100_000, 64], ["synced", 2000, 16]] as const
) {
  Deno.test(`four threads append ${count} records each to one log, ${durability}`, () =>
    inTempDir(async (dir) => {
      {
        await using wal = await Wal.open(`${dir}/wal`, { segmentBytes: 1024 * 1024 });
        await appendFromWorkers(wal, { durability, count, window });
        // The owner hears a moment later of what was made durable for others.
        await wal.sync();
        assert(wal.durable >= wal.end, `${wal.durable} of ${wal.end}`);
        checkRecords(wal, count);
      }
      await using wal = await Wal.open(`${dir}/wal`);
      checkRecords(wal, count);
    }));
}

Deno.test("owner and an attached writer append side by side", () =>
  inTempDir(async (dir) => {
    await using wal = await Wal.open(`${dir}/wal`, { segmentBytes: 64 * 1024 });
    const handle = await wal.share();
    using other = attachWal(handle);
    const lsns: Promise<number>[] = [];
    for (let i = 0; i < 300; i++) {
      lsns.push((i % 2 ? wal : other).append(noise(1000, i)));
      if (i % 10 === 0) await lsns.at(-1);
    }
    const all = await Promise.all(lsns);
    await wal.sync();
    const found = new Map([...wal.iterate()].map(({ lsn, bytes }) => [lsn, bytes]));
    assert.equal(found.size, 300);
    all.forEach((lsn, i) => assert.deepEqual(new Uint8Array(found.get(lsn)!), noise(1000, i)));
  }));

Deno.test("W11: a writer that dies between taking space and publishing is given up on; nobody waits for ever", () =>
  inTempDir(async (dir) => {
    const lsns: number[] = [];
    {
      await using wal = await Wal.open(`${dir}/wal`, { idleWorkerMs: 100 });
      lsns.push(await wal.append(noise(10, 1)));
      const handle = await wal.share();
      // A thread that gets this far and no further.
      const control = new Control(handle.control);
      const dying = SharedWriter.register(control)!;
      const slot = Atomics.load(control.words, Word.activeSlot);
      const slab = handle.slabs[slot]!;
      const image = { bytes: new Uint8Array(slab), words: new Int32Array(slab) };
      assert(dying.aim(slot, image, 48));
      dying.take();
      lsns.push(await wal.append(noise(10, 2)));
      await wal.sync();
      assert.deepEqual([...wal.iterate()].map(({ lsn }) => lsn), lsns);
      assert(!dying.publish(image, 48), "it comes too late");
    }
    await using wal = await Wal.open(`${dir}/wal`);
    assert.deepEqual([...wal.iterate()].map(({ lsn }) => lsn), lsns);
  }));

Deno.test("an attached writer learns of the end of the log", () =>
  inTempDir(async (dir) => {
    const wal = await Wal.open(`${dir}/wal`);
    using other = attachWal(await wal.share());
    await other.append(noise(10, 1));
    await failsWith("TOO_LARGE", other.append(new Uint8Array(16 * 1024 * 1024)));
    await wal.close();
    await failsWith("CLOSED", other.append(noise(10, 1)));
    await failsWith("CLOSED", other.sync());
  }));

Deno.test("fifteen threads can be attached; closing one makes room", () =>
  inTempDir(async (dir) => {
    await using wal = await Wal.open(`${dir}/wal`);
    const handle = await wal.share();
    const attached = Array.from({ length: 15 }, () => attachWal(handle));
    await failsWith("BUSY", () => attachWal(handle));
    attached[7]!.close();
    using one = attachWal(handle);
    await one.appendAndSync(noise(1, 1));
    for (const other of attached) other.close();
  }));

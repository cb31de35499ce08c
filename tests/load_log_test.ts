import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { MemFs } from "../vfs/mod.ts";
import { loadLog } from "../wal/load_log.ts";
import { noise, randomOf } from "./_support.ts";
import { contentOf, openOn } from "./_wal_support.ts";

const MIB = 1024 * 1024;

Deno.test("a log is loaded byte for byte, wherever its zeros are, and where they begin is known", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed);
    const content = new Uint8Array(8 * Math.floor(random() * 5 * MIB / 8) + (seed % 3));
    for (let i = 0; i < 3; i++) {
      const at = Math.floor(random() * random() * content.length);
      const bytes = noise(Math.floor(random() * 5000), seed).map((byte) => byte | 1);
      content.set(bytes.subarray(0, content.length - at), at);
    }
    const fs = new MemFs();
    using file = fs.create("/log");
    file.writeAt(content, 0);
    // Shorter, of the right length, and longer than the log should be.
    const capacity = Math.max(8, 8 * Math.round(content.length / 8) + [-8, 0, MIB][seed % 3]!);
    const { image, dataEnd } = loadLog(file, content.length, capacity);
    const expected = new Uint8Array(capacity);
    expected.set(content.subarray(0, capacity));
    assert.equal(image.bytes.length, capacity);
    assert(Buffer.from(image.bytes).equals(expected), `seed ${seed}`);
    const end = expected.findLastIndex((byte) => byte !== 0) + 1;
    assert(dataEnd >= end && dataEnd < end + 4, `seed ${seed}: ${dataEnd}, not ${end}`);
  }
});

Deno.test("records of nothing but zeros, and what follows them, are replayed", async () => {
  const fs = new MemFs();
  const records = [new Uint8Array(2.5 * MIB), noise(100, 1), new Uint8Array(3 * MIB), noise(9, 2)];
  const options = { segmentBytes: 8 * MIB };
  const killed = await openOn(fs, options);
  for (const record of records) await killed.appendAndSync(record);
  const left = fs.crashClone({ keep: "all" });
  await killed.close();
  await using wal = await openOn(left, options);
  assert.equal(wal.stats().recovery.replayedSegments, 1);
  assert.deepEqual(contentOf(wal.iterate()).map(([, bytes]) => bytes), records);
});

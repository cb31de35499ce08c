import assert from "node:assert/strict";
import { FaultFs, MemFs } from "../vfs/mod.ts";
import { ZeroAhead } from "../workers/zero_ahead.ts";
import { randomOf, readFile } from "./_support.ts";

const LOG_BYTES = 1024 * 1024;

Deno.test("zeros are written ahead of small records, never over one, and no log gets longer", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomOf(seed);
    const fs = new FaultFs(new MemFs());
    using file = fs.create("/log");
    file.truncate(LOG_BYTES);
    const ahead = new ZeroAhead();
    ahead.begin();
    let calls = 0;
    let end = 0;
    for (;;) {
      const bytes = 1 + Math.floor(random() * (random() < 0.1 ? 100_000 : 5000));
      if (end + bytes > LOG_BYTES) break;
      ahead.prepare(file, end, end + bytes, LOG_BYTES);
      file.writeAt(new Uint8Array(bytes).fill(7), end);
      end += bytes;
      calls++;
    }
    const content = readFile(fs, "/log");
    assert.equal(content.length, LOG_BYTES);
    assert(content.subarray(0, end).every((byte) => byte === 7), `seed ${seed}`);
    assert(content.subarray(end).every((byte) => byte === 0), `seed ${seed}`);
    assert(calls > 20);
  }
});

Deno.test("blocks are asked for many at a time, and not for large writes", () => {
  const fs = new MemFs();
  using log = fs.create("/log");
  log.truncate(LOG_BYTES);
  let writes = 0;
  const file = new Proxy(log, {
    get: (target, name) => {
      if (name !== "writeAt") return Reflect.get(target, name);
      return (bytes: Uint8Array, offset: number) => {
        writes++;
        target.writeAt(bytes, offset);
      };
    },
  });
  const ahead = new ZeroAhead();
  for (let at = 0; at < LOG_BYTES; at += 1024) ahead.prepare(file, at, at + 1024, LOG_BYTES);
  assert(writes >= 3 && writes <= 6, `${writes} writes`);
  writes = 0;
  ahead.begin();
  ahead.prepare(file, 0, 200_000, LOG_BYTES);
  assert.equal(writes, 0);
});

Deno.test("a full disk has no room for zeros, but perhaps for records; any other failure is one", () => {
  const fs = new FaultFs(new MemFs());
  using file = fs.create("/log");
  file.truncate(LOG_BYTES);
  const ahead = new ZeroAhead();
  fs.arm({ on: "writeAt", fault: { kind: "error", code: "NO_SPACE" } });
  ahead.prepare(file, 0, 100, LOG_BYTES);
  fs.clear();
  fs.arm({ on: "writeAt", fault: { kind: "error", code: "IO" } });
  // Not tried again in this log.
  ahead.prepare(file, 100, 200, LOG_BYTES);
  ahead.begin();
  assert.throws(() => ahead.prepare(file, 0, 100, LOG_BYTES), { code: "IO" });
});

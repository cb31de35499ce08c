import assert from "node:assert/strict";
import { FlagstoneError, type Wal } from "../log/wal_mod.ts";
import { MemFs } from "../vfs/mod.ts";
import { FILE_HEADER_BYTES, logName, recordSpace } from "../wal/mod.ts";
import { noise, readFile, writeFile } from "./_support.ts";
import { contentOf, openOn } from "./_wal_support.ts";

const LOG = `/wal/${logName(1)}`;
const SIZES = [0, 1, 7, 8, 40, 100, 3, 250];
type Content = [number, Uint8Array][];

/** A small log: as a killed process leaves it (nothing vouched for), or closed. */
async function smallLog(how: "killed" | "closed"): Promise<{ fs: MemFs; records: Content }> {
  const fs = new MemFs();
  const wal = await openOn(fs);
  for (const [i, size] of SIZES.entries()) {
    await wal.append(noise(size, i), { durability: "written" });
  }
  const records = contentOf(wal.iterate());
  const killed = fs.crashClone({ keep: "all" });
  await wal.close();
  return { fs: how === "killed" ? killed : fs, records };
}

/** What comes of a log whose file has this content: its records, or the error that open gives. */
async function outcomeOf(fs: MemFs, content: Uint8Array): Promise<Content | FlagstoneError> {
  const copy = fs.crashClone({ keep: "all" });
  writeFile(copy, LOG, content);
  let wal: Wal | undefined;
  try {
    wal = await openOn(copy);
    return contentOf(wal.iterate());
  } catch (error) {
    assert(error instanceof FlagstoneError, `${error}`);
    assert.equal(error.code, "CORRUPT");
    assert.equal(error.path, LOG);
    assert(error.offset !== undefined && error.offset >= 0);
    return error;
  } finally {
    await wal?.close();
  }
}

/** Asserts that `outcome` is an exact prefix of `records`. Returns its length. */
function assertPrefix(outcome: Content | FlagstoneError, records: Content, where: string): number {
  assert(!(outcome instanceof FlagstoneError), `${where}: ${outcome}`);
  assert.deepEqual(outcome, records.slice(0, outcome.length), where);
  return outcome.length;
}

Deno.test("a log cut at any byte is an exact prefix", async () => {
  const { fs, records } = await smallLog("killed");
  const content = readFile(fs, LOG);
  const ends = records.map(([lsn, bytes]) => lsn + recordSpace(0, bytes.length));
  for (let cut = 0; cut <= ends.at(-1)! + 8; cut++) {
    const outcome = await outcomeOf(fs, content.subarray(0, cut));
    const length = assertPrefix(outcome, records, `cut at ${cut}`);
    // A record is whole even if zeros that end or pad it are cut.
    const whole = ends.filter((end) => content.subarray(cut, end).every((byte) => byte === 0));
    assert.equal(length, whole.length, `cut at ${cut}`);
  }
});

for (const how of ["killed", "closed"] as const) {
  Deno.test(`any flipped bit of a ${how} log: an exact prefix, or an error with its place`, async () => {
    const { fs, records } = await smallLog(how);
    const content = readFile(fs, LOG);
    const last = records.at(-1)!;
    const end = last[0] + recordSpace(0, last[1].length);
    let prefixes = 0;
    for (let at = 0; at < end; at++) {
      const isPadding = records.some(([lsn, bytes]) =>
        at >= lsn + 24 + bytes.length && at < lsn + recordSpace(0, bytes.length)
      );
      for (let bit = 0; bit < 8; bit++) {
        const flipped = content.slice();
        flipped[at]! ^= 1 << bit;
        const outcome = await outcomeOf(fs, flipped);
        const where = `bit ${bit} of byte ${at}`;
        if (outcome instanceof FlagstoneError) {
          assert(!isPadding, where);
          continue;
        }
        const length = assertPrefix(outcome, records, where);
        // What was vouched for is never cut away; what never was, may be.
        if (how === "closed" || isPadding) assert.equal(length, records.length, where);
        else prefixes++;
      }
    }
    assert.equal(prefixes > 0, how === "killed");
  });
}

Deno.test("hostile files: an exact prefix or an error, no memory from an unchecked length", async () => {
  const { fs, records } = await smallLog("killed");
  const content = readFile(fs, LOG);
  const end = records.at(-1)![0] + recordSpace(0, SIZES.at(-1)!);
  const other = readFile((await smallLog("killed")).fs, LOG);
  const put = (at: number, bytes: ArrayLike<number>) => {
    const changed = content.slice();
    changed.set(bytes, at);
    return changed;
  };
  const cases: [string, Uint8Array, number | "error"][] = [
    ["nothing", new Uint8Array(), 0],
    ["a header and nothing else", content.subarray(0, FILE_HEADER_BYTES), 0],
    ["zeros", new Uint8Array(content.length), 0],
    ["a garbage head", put(0, noise(64, 1)), "error"],
    ["garbage only", noise(content.length, 2), "error"],
    ["garbage behind the end", put(end, noise(5000, 3)), SIZES.length],
    ["a length of 0xffffffff", put(end, [255, 255, 255, 255]), SIZES.length],
    ["a length of 0x7fffffff", put(end, [255, 255, 255, 127]), SIZES.length],
    ["a length of 1", put(end, [1, 0, 0, 0]), SIZES.length],
    ["a valid record of another log", put(end, other.subarray(64, 64 + 24)), SIZES.length],
    ["an old record of this log, elsewhere", put(end, content.subarray(64, 64 + 24)), SIZES.length],
    ["a file longer than it may be", new Uint8Array([...content, ...noise(999, 4)]), SIZES.length],
  ];
  for (const [what, bytes, expected] of cases) {
    const outcome = await outcomeOf(fs, bytes);
    if (expected === "error") assert(outcome instanceof FlagstoneError, what);
    else assert.equal(assertPrefix(outcome, records, what), expected, what);
  }
});

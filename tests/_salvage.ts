/** What the tests of a salvage share: a store with files of every kind, and what must be true of it afterwards. */
import assert from "node:assert/strict";
import type { OpenOptions, RecoveryReport, Store } from "../mod.ts";
import type { Fs } from "../vfs/mod.ts";
import { collect, noise, type Place, readFile } from "./_support.ts";

/** Sets aside what is damaged. Nothing else changes files. */
export const SALVAGE: OpenOptions = { onCorruption: "salvage", compaction: "manual" };

/** What the store of `fill` has. */
export type Content = Map<string, Uint8Array>;

/** A store with segments, a compacted one, a log and a large value. Returns what is in it. */
export async function fill(place: Place): Promise<Content> {
  const content: Content = new Map();
  await using store = await place.open({ compaction: "manual", durability: "written" });
  const put = async (key: string, value: Uint8Array) => {
    content.set(key, value);
    await store.put(key, value);
  };
  for (let i = 0; i < 90; i++) await put(`key ${i}`, noise(3000, i));
  for (let i = 0; i < 90; i += 2) {
    content.delete(`key ${i}`);
    await store.delete(`key ${i}`);
  }
  await store.compact();
  await put("large", noise(200_000, 1));
  let i = 0;
  const { rotations } = store.stats();
  while (store.stats().rotations < rotations + 3) await put(`more ${i}`, noise(3000, 1000 + i++));
  // So little stays a log when the store is closed.
  for (let more = 0; more < 3; more++) await put(`more ${i}`, noise(3000, 1000 + i++));
  await store.flush();
  return content;
}

/** Changes a byte of a file. */
export function flip(fs: Fs, path: string, offset: number): void {
  const byte = readFile(fs, path)[offset]!;
  using file = fs.openReadWrite(path);
  file.writeAt(Uint8Array.of(byte ^ 0xff), offset);
}

/**
 * Asserts that the store has what it had, but for what the report says is lost: no value that never
 * was, and whoever is missing was in a file that was set aside.
 */
export async function check(
  store: Store,
  content: Content,
  report: RecoveryReport,
): Promise<string[]> {
  const missing: string[] = [];
  for (const [key, value] of content) {
    const found = await store.get(key);
    if (found === undefined) missing.push(key);
    else assert.deepEqual(found, value, key);
  }
  const keys = (await collect(store.list())).map(({ key }) => key);
  assert.equal(keys.length, content.size - missing.length, "keys that never were");
  if (missing.length > 0) assert(report.salvaged.length > 0 || report.tornBytes > 0);
  assert.deepEqual((await store.verify()).problems, []);
  return missing;
}

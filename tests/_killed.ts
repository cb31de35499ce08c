import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { open } from "../mod.ts";
import { type Fs, MemFs, syncDirectory } from "../vfs/mod.ts";
import { type Place, placeOn, readFile, SMALL, writeFile } from "./_support.ts";

/** True if the loops run on this thread: nothing happens between a promise and what follows it. */
export function isStepwise({ fs }: Place): boolean {
  return fs.spec === undefined;
}

/** As `assert.deepEqual`, which would take minutes to print how two long values differ. */
export function assertBytes(
  found: Uint8Array | undefined,
  expected: Uint8Array | undefined,
  what: string,
): void {
  const same = found !== undefined && expected !== undefined
    ? Buffer.compare(found, expected) === 0
    : found === expected;
  assert(same, `${what}: ${found?.length} bytes, not the ${expected?.length} expected`);
}

/** What a killed process leaves of an open store: all that it had written, synced or not. */
export function killed(place: Place): Place {
  if (place.fs instanceof MemFs) return placeOn(place.fs.crashClone({ keep: "all" }), place.dir);
  return copyOf(place.fs, place.dir);
}

/** What a power loss leaves; on a file system that cannot tell, what a kill leaves. */
export function powerLost(place: Place): Place {
  if (place.fs instanceof MemFs) return placeOn(place.fs.crashClone({ keep: "synced" }), place.dir);
  return copyOf(place.fs, place.dir);
}

let copies = 0;

/** The directory as it is, under another name; once more if a file went or came meanwhile. */
function copyOf(fs: Fs, dir: string): Place {
  for (;;) {
    const copy = `${dir}-copy-${++copies}`;
    fs.mkdirAll(copy);
    const names = fs.list(dir).join();
    try {
      for (const name of fs.list(dir)) {
        writeFile(fs, `${copy}/${name}`, readFile(fs, `${dir}/${name}`));
      }
    } catch (error) {
      if (fs.list(dir).join() === names) throw error;
    }
    const place = {
      fs,
      dir: copy,
      open: (options = {}) => open(copy, { ...SMALL, fs, ...options }),
    };
    if (fs.list(dir).join() === names) return place;
  }
}

/**
 * Makes segments of a closed store logs again: a footer behind a seal is what a crash leaves between
 * the footer's sync and the rename. All of them, or those that `which` picks by their place.
 */
export function unseal(place: Place, which: (nth: number) => boolean = () => true): number {
  const { fs, dir } = place;
  const segments = fs.list(dir).filter((name) => /^\d+\.seg$/.test(name));
  const picked = segments.filter((_, nth) => which(nth));
  for (const name of picked) fs.rename(`${dir}/${name}`, `${dir}/${name.replace(".seg", ".log")}`);
  syncDirectory(fs, dir);
  return picked.length;
}

import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { type ErrorCode, FlagstoneError, open, type OpenOptions, type Store } from "../mod.ts";
import { DenoFs, dirName, type Fs, MemFs, serveFs, syncDirectory, VirtualFs } from "../vfs/mod.ts";

/** A directory of its own for one test, on one file system. */
export interface Place {
  readonly fs: Fs;
  readonly dir: string;
  /** Opens the store in `dir`; small slabs unless told otherwise, so that tests rotate. */
  open(options?: OpenOptions): Promise<Store>;
}

/** Small slabs: a test of a few hundred KiB rotates, flushes and reuses them. */
export const SMALL: OpenOptions = { slabBytes: 64 * 1024, slabs: 3, idleWorkerMs: 100 };

/**
 * Runs a test on every kind of place: in memory and on the real file system, with 16 descriptors at
 * most, the loops stepwise on this thread and in real Workers.
 */
export function testStore(name: string, body: (place: Place) => Promise<void>): void {
  Deno.test(`${name} [memory, stepwise]`, () => body(placeOn(new MemFs(), "/store")));
  Deno.test(`${name} [memory, workers]`, async () => {
    const fs = new MemFs();
    const server = serveFs(fs);
    // The workers reach this thread's file system through the blocking proxy.
    Object.defineProperty(fs, "spec", { value: server.spec });
    try {
      await body(placeOn(fs, "/store"));
    } finally {
      server.close();
    }
  });
  Deno.test(`${name} [real files, workers]`, () =>
    inTempDir((dir) => body(placeOn(new DenoFs(), `${dir}/store`))));
  Deno.test(`${name} [real files, 16 descriptors, stepwise]`, () =>
    inTempDir((dir) =>
      body(placeOn(new VirtualFs(new DenoFs(), { maxOpen: 16 }), `${dir}/store`))
    ));
}

/** Runs `body` with a directory that is removed afterwards. */
export async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A place for stores on `fs`. */
export function placeOn(fs: Fs, dir: string): Place {
  return { fs, dir, open: (options = {}) => open(dir, { ...SMALL, fs, ...options }) };
}

/** Bytes of a text. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Others get a turn of the event loop: whatever is due is done. Nothing waits for time to pass. */
export const turn = (): Promise<void> => setImmediate();

/** So many turns of the event loop end a wait: 7 s here, more on a slower machine. The store itself waits 0.25 s at most, for space. */
const MOST_TURNS = 3_000_000;

/**
 * Waits for `work` while others get their turns. Timers of the store, which keep no program alive, fire
 * meanwhile; and what hangs says so.
 */
export async function settled<T>(work: Promise<T>): Promise<T> {
  let isPending = true;
  const end = () => {
    isPending = false;
  };
  work.then(end, end);
  for (let i = 0; isPending; i++) {
    assert(i < MOST_TURNS, `it hangs: nothing came of it in ${MOST_TURNS} turns`);
    await turn();
  }
  return await work;
}

/** Text of bytes. */
export function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : new TextDecoder().decode(value);
}

/** `size` bytes that depend on `seed`. */
export function noise(size: number, seed: number): Uint8Array<ArrayBuffer> {
  const value = new Uint8Array(size);
  const random = randomOf(seed);
  for (let i = 0; i < size; i++) value[i] = random() * 256;
  return value;
}

/** A random source from a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Asserts that `work` fails with a FlagstoneError of `code`, and returns it. */
export async function failsWith(
  code: ErrorCode,
  work: Promise<unknown> | (() => unknown),
): Promise<FlagstoneError> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    assert(error instanceof FlagstoneError, `expected ${code}, got ${error}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  assert.fail(`expected ${code}, got no error`);
}

/** All of an async iterator. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The whole of a file. */
export function readFile(fs: Fs, path: string): Uint8Array<ArrayBuffer> {
  using file = fs.open(path);
  const content = new Uint8Array(file.stat().size);
  file.readAt(content, 0);
  return content;
}

/** Makes `path` a file with just this content, durably. */
export function writeFile(fs: Fs, path: string, content: Uint8Array): void {
  using file = fs.create(path);
  file.writeAt(content, 0);
  file.sync();
  syncDirectory(fs, dirName(path));
}

/** Names in the store's directory that end with `suffix`. */
export function filesOf(place: Place, suffix: string): string[] {
  return place.fs.list(place.dir).filter((name) => name.endsWith(suffix));
}

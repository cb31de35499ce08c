/** One job of a store, and every state that a power loss can leave at each of its calls to the file system. */
import assert from "node:assert/strict";
import { FlagstoneError, open, type OpenOptions } from "../mod.ts";
import {
  CrashFs,
  type Fs,
  InterceptFs,
  nameOperations,
  printOperation,
  syncOperations,
  writeOperations,
} from "../vfs/mod.ts";
import { allOf } from "./_model_checks.ts";

/** If a moment has more states than this, it gets some of them, by seed. */
const MOST_COMBINATIONS = 128;
const STATES_BY_SEED = 50;

/** A job to be crashed. */
export interface Sweep<Known> {
  /** Brings the file system to the state from which the job starts; all of it is durable. */
  readonly prepare: (fs: CrashFs) => Promise<void>;
  /** Opens the store and calls `sweep` with the job, in which power is lost; `known` tells what users know by now. */
  readonly run: (
    fs: Fs,
    sweep: (job: () => Promise<void>, known: () => Known) => Promise<void>,
  ) => Promise<void>;
  /** Looks at what a power loss left; `known` is what was known by then. */
  readonly check: (fs: CrashFs, known: Known) => Promise<void>;
}

/**
 * Loses power before each call of the job that changes or syncs something, and after the last: in
 * every way there is, where these are few, else in 50, by seed. Resolves to the calls, as they were made.
 */
export async function sweepCrashes<Known>(sweep: Sweep<Known>): Promise<string[]> {
  const prepared = new CrashFs();
  await sweep.prepare(prepared);
  const fs = prepared.crashClone({ seed: 1, keepData: 1, keepNames: 1 });
  const calls: string[] = [];
  const states: { left: CrashFs; where: string; known: Known }[] = [];
  let whatIsKnown: (() => Known) | undefined;
  const lose = (call: string) => {
    if (whatIsKnown === undefined) return;
    const known = whatIsKnown();
    for (const [state, left] of survivors(fs, calls.length).entries()) {
      states.push({ left, where: `state ${state} before call ${calls.length}, ${call}`, known });
    }
    calls.push(call);
  };
  const watched = new InterceptFs("swept", fs, {
    call(operation, run) {
      if (changing.has(operation.kind)) lose(printOperation(operation));
      return run();
    },
    callAsync: (_operation, run) => run(),
  });
  await sweep.run(watched, async (job, known) => {
    whatIsKnown = known;
    await job();
    lose("the end of the job");
    whatIsKnown = undefined;
  });
  for (const { left, where, known } of states) {
    await sweep.check(left, known).catch((cause) => {
      throw new Error(`${where}: ${cause.message}`, { cause });
    });
  }
  return calls;
}

const changing = new Set([...writeOperations, ...nameOperations, ...syncOperations]);

function survivors(fs: CrashFs, call: number): CrashFs[] {
  try {
    return [...fs.everyCrash({ limit: MOST_COMBINATIONS })];
  } catch (error) {
    assert(error instanceof FlagstoneError && error.code === "INVALID", `${error}`);
    return Array.from(
      { length: STATES_BY_SEED },
      (_, i) => fs.crashClone({ seed: call * STATES_BY_SEED + i }),
    );
  }
}

/** Of each key the values that it may have; `undefined`: none. */
export type Allowed = ReadonlyMap<string, readonly (Uint8Array | undefined)[]>;

/** Asserts that the store in `dir` has of each key a value that it may have, no other key, and no damage. Resolves to how many there are. */
export async function checkAllowed(
  dir: string,
  options: OpenOptions,
  allowed: Allowed,
): Promise<number> {
  await using store = await open(dir, options);
  const found = new Map((await allOf(store)).map(({ key, value }) => [key, value]));
  for (const key of found.keys()) assert(allowed.has(key as string), `${key} is back`);
  for (const [key, values] of allowed) {
    const value = found.get(key);
    const isAllowed = values.some((one) =>
      one === undefined || value === undefined ? one === value : Buffer.compare(one, value) === 0
    );
    assert(isAllowed, `${key} has ${value?.length} bytes, of ${values.map((one) => one?.length)}`);
  }
  assert.deepEqual((await store.verify()).problems, []);
  return found.size;
}

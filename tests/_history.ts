import assert from "node:assert/strict";
import type { BatchOperation, Durability, Store } from "../mod.ts";
import { noise, randomOf } from "./_support.ts";

/** Something that a workload did to a key: called a write, or got its promise kept. */
export type HistoryEvent =
  | {
    readonly type: "called";
    readonly call: number;
    readonly keys: readonly string[];
    readonly value: Uint8Array | undefined;
  }
  | { readonly type: "acknowledged"; readonly call: number; readonly durable: boolean };

const KEYS = 12;
const BATCH = ["batch:a", "batch:b", "batch:c"];

/**
 * A seeded workload of puts, deletes and batches (which write one value under three keys), a few
 * under way at a time. Tells `record` of each event in the moment that it happens. `valueOf` makes a
 * value of a size from a seed.
 */
export async function runWorkload(
  store: Store,
  seed: number,
  steps: number,
  record: (event: HistoryEvent) => void,
  firstCall = 1,
  valueOf: (size: number, seed: number) => Uint8Array = noise,
): Promise<void> {
  const random = randomOf(seed);
  const underWay: Promise<void>[] = [];
  for (let call = firstCall; call < firstCall + steps; call++) {
    underWay.push(step(store, random, call, record, valueOf));
    if (underWay.length > random() * 6) await Promise.all(underWay.splice(0));
  }
  await Promise.all(underWay);
}

async function step(
  store: Store,
  random: () => number,
  call: number,
  record: (event: HistoryEvent) => void,
  valueOf: (size: number, seed: number) => Uint8Array,
): Promise<void> {
  const durability: Durability = random() < 0.7 ? "synced" : "written";
  const choice = random();
  const size = choice < 0.05 ? 80_000 : Math.floor(random() * 6000);
  const value = choice < 0.15 ? undefined : valueOf(size, call);
  const keys = choice > 0.8 ? BATCH : [`key:${Math.floor(random() * KEYS)}`];
  record({ type: "called", call, keys, value });
  if (keys === BATCH) {
    const operations: BatchOperation[] = keys.map((key) => ({ type: "put", key, value: value! }));
    await store.batch(operations, { durability });
  } else if (value === undefined) {
    await store.delete(keys[0]!, { durability });
  } else {
    await store.put(keys[0]!, value, { durability });
  }
  record({ type: "acknowledged", call, durable: durability === "synced" });
}

/**
 * As `runWorkload`, of values that are compressed, that expire some day, or whose time is over: a key
 * that gets one of these has no value, as if it were deleted, but no delete is written.
 */
export async function runSpecialWorkload(
  store: Store,
  seed: number,
  steps: number,
  record: (event: HistoryEvent) => void,
  firstCall: number,
): Promise<void> {
  const random = randomOf(seed);
  for (let call = firstCall; call < firstCall + steps; call++) {
    const keys = [`key:${Math.floor(random() * KEYS)}`];
    const choice = random();
    const compression = choice < 0.5 ? "zstd" : "none";
    const value = new Uint8Array(600 + random() * 3000).fill(call);
    const isOver = choice > 0.75;
    record({ type: "called", call, keys, value: isOver ? undefined : value });
    const expiry = choice < 0.3 ? {} : { expireAt: isOver ? 1 : 2 ** 50 };
    await store.put(keys[0]!, value, { compression, ...expiry });
    record({ type: "acknowledged", call, durable: true });
  }
}

/**
 * Asserts that `store` is a state that `events` allow after a crash: of each key, its last durably
 * acknowledged value or one of those called later; batches whole; every checksum right.
 */
export async function checkHistory(store: Store, events: readonly HistoryEvent[]): Promise<void> {
  const durable = new Set<number>();
  for (const event of events) {
    if (event.type === "acknowledged" && event.durable) durable.add(event.call);
  }
  const keys = new Set(events.flatMap((event) => event.type === "called" ? event.keys : []));
  for (const key of keys) {
    let allowed: (Uint8Array | undefined)[] = [undefined];
    for (const event of events) {
      if (event.type !== "called" || !event.keys.includes(key)) continue;
      // A delete of a missing key is not written, so it does not supersede what is under way.
      const settles = durable.has(event.call);
      allowed = settles ? [event.value] : [...allowed, event.value];
    }
    const found = await store.get(key);
    assert(
      allowed.some((value) => sameBytes(value, found)),
      `${key} has ${found?.length} bytes, none of ${allowed.map((value) => value?.length)}`,
    );
  }
  const batch = await store.getMany(BATCH);
  assert(batch.every((value) => sameBytes(value, batch[0])), "a batch is torn");
  assert.deepEqual((await store.verify()).problems, []);
}

/** True if both are missing or have the same bytes. */
export function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

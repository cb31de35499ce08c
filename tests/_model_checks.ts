/** What is asked of a store and of its model, side by side. */
import assert from "node:assert/strict";
import type { Key, Snapshot, Store } from "../mod.ts";
import { compareBytes } from "../segment/mod.ts";
import { assertSame, type FoundEntry, keyBytes, type ModelState } from "./_model.ts";
import { KEYS, type Step } from "./_model_steps.ts";
import { collect } from "./_support.ts";

/** Checks what `store` says of `key`, by every way of reading. */
export async function checkKey(
  store: Store,
  state: ModelState,
  now: number,
  key: Key,
): Promise<void> {
  const expected = state.get(key, now);
  assert.deepEqual(await store.get(key), expected?.value);
  assert.deepEqual(store.getSync(key), expected?.value);
  assert.equal(await store.has(key), expected !== undefined);
  const offset = (expected?.value.length ?? 0) >> 1;
  const part = store.stream(key, { offset });
  const bytes = part && await new Response(part).bytes();
  assert.deepEqual(bytes, expected && new Uint8Array(expected.value.subarray(offset)));
  const entry = await store.getEntry(key);
  assert.equal(entry?.version, expected?.version);
  assert.equal(entry?.expiresAt ?? 0, expected?.expiresAt ?? 0);
  const all = KEYS.map((one) => state.get(one, now)?.value);
  assert.deepEqual(await store.getMany(KEYS), all);
}

/** Checks a listing of `store`. */
export async function checkList(
  store: Store,
  state: ModelState,
  now: number,
  { prefix, start, end, reverse, limit }: Step & { type: "list" },
): Promise<void> {
  const bound = (index: number | undefined) => index === undefined ? undefined : KEYS[index]!;
  const [prefixKey, startKey, endKey] = [bound(prefix), bound(start), bound(end)];
  const found = await collect(store.list({
    ...(prefixKey === undefined ? {} : { prefix: prefixKey }),
    ...(startKey === undefined ? {} : { start: startKey }),
    ...(endKey === undefined ? {} : { end: endKey }),
    ...(limit === undefined ? {} : { limit }),
    reverse,
  }));
  const expected = state.list(now).filter(({ key }) => {
    const bytes = keyBytes(key);
    const from = prefixKey === undefined ? undefined : keyBytes(prefixKey);
    return (from === undefined || from.every((byte, i) => bytes[i] === byte)) &&
      (startKey === undefined || compareBytes(bytes, keyBytes(startKey)) >= 0) &&
      (endKey === undefined || compareBytes(bytes, keyBytes(endKey)) < 0);
  });
  if (reverse) expected.reverse();
  assert.deepEqual(
    found.map(({ key, version, size, expiresAt = 0 }) => ({ key, version, size, expiresAt })),
    expected.slice(0, limit).map(({ key, version, value, expiresAt }) => ({
      key,
      version,
      size: value.length,
      expiresAt,
    })),
  );
}

/** Checks that `snapshot` shows what was there at `now`, when it was made, whatever came since. */
export async function checkSnapshot(
  snapshot: Snapshot,
  state: ModelState,
  now: number,
  where: string,
): Promise<void> {
  const expected = state.list(now);
  assertSame(expected, await allOf(snapshot), where);
  const backwards = await collect(snapshot.list({ reverse: true }));
  assert.deepEqual(backwards.map(({ key }) => key), expected.map(({ key }) => key).reverse());
  for (const key of KEYS) {
    const entry = state.get(key, now);
    assert.deepEqual(snapshot.getSync(key), entry?.value);
    assert.equal(await snapshot.has(key), entry !== undefined);
    assert.equal((await snapshot.getEntry(key))?.version, entry?.version);
  }
}

/** Checks everything that `store` lists, and how much it counts. */
export async function checkEverything(
  store: Store,
  state: ModelState,
  now: number,
  where: string,
): Promise<void> {
  const entries = state.list(now);
  assertSame(entries, await allOf(store), where);
  const { keys, expiry } = store.stats();
  const expiring = entries.filter(({ expiresAt }) => expiresAt !== 0).length;
  assert.deepEqual([keys, expiry.keys], [entries.length, expiring]);
}

/** All that is listed, with its value. */
export async function allOf(store: Store | Snapshot): Promise<FoundEntry[]> {
  const all: FoundEntry[] = [];
  for (const { key, version, expiresAt = 0 } of await collect(store.list())) {
    all.push({ key, version, expiresAt, value: (await store.get(key))! });
  }
  return all;
}

/**
 * Reads an index that another isolate writes, and counts what it sees. Each round ends when the
 * writer's does, or after so many lookups.
 */
import { HashIndex, type IndexHandle, IndexReader, KeyHasher } from "../index/mod.ts";
import { isWhole, keyInto, KEYS, SECRET } from "./_index_support.ts";

/** What the writer sends. */
export type ToReader =
  | { readonly type: "handle"; readonly handle: IndexHandle }
  | { readonly type: "round"; readonly done: Int32Array; readonly round: number }
  | { readonly type: "all"; readonly keys: number }
  | { readonly type: "end" };

/** What the reader answers, once to each message but "end". */
export interface FromReader {
  readonly found: number;
  readonly absent: number;
  readonly behind: number;
  readonly busy: number;
  /** Entries made of two. */
  readonly torn: number;
  /** Found with an older sequence than once before. */
  readonly backwards: number;
}

const MOST_LOOKUPS = 2_000_000;
const hasher = new KeyHasher(SECRET);
const newest = new Float64Array(KEYS);
let reader: IndexReader | undefined;

function look(index: IndexReader, key: number, seen: Record<keyof FromReader, number>): void {
  keyInto(hasher, key);
  const result = index.find(hasher);
  seen[result]++;
  if (result !== "found") return;
  if (!isWhole(key, index)) seen.torn++;
  if (index.sequence < newest[key]!) seen.backwards++;
  newest[key] = index.sequence;
}

self.onmessage = ({ data }: MessageEvent<ToReader>) => {
  const seen = { found: 0, absent: 0, behind: 0, busy: 0, torn: 0, backwards: 0 };
  if (data.type === "end") return self.close();
  if (data.type === "handle") {
    if (reader === undefined) reader = HashIndex.attach(data.handle);
    else reader.refresh(data.handle);
  } else if (data.type === "all") {
    for (let key = 0; key < data.keys; key++) look(reader!, key, seen);
  } else {
    Atomics.store(data.done, 1, data.round);
    Atomics.notify(data.done, 1);
    for (let i = 0; i < MOST_LOOKUPS && Atomics.load(data.done, 0) < data.round; i++) {
      // Few keys that are written all the time, and some of the many that come and go.
      look(reader!, i % 4 === 0 ? Math.imul(i, 0x9e3779b1) >>> 0 & (KEYS - 1) : i & 7, seen);
    }
  }
  self.postMessage(seen satisfies FromReader);
};

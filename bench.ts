/**
 * What the store's calls cost on this machine: `deno bench --allow-read --allow-write bench.ts`.
 *
 * An iteration is one wave of calls, as many as the name says; divide. docs/BENCHMARKS.md has the
 * figures beside other stores, and how they were made.
 */
import { type Durability, open, type OpenOptions, type Store } from "./mod.ts";

const root = Deno.makeTempDirSync();
const stores: Store[] = [];
let directories = 0;

async function openStore(options: OpenOptions = {}): Promise<Store> {
  const store = await open(`${root}/${directories++}`, options);
  stores.push(store);
  return store;
}

addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));

function value(bytes: number): Uint8Array {
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) {
    crypto.getRandomValues(content.subarray(at, at + 65_536));
  }
  return content;
}

let keys = 0;
const nextKey = () => `key:${String(keys++).padStart(10, "0")}`;

for (
  const [writers, bytes, durability] of [
    [1, 100, "synced"],
    [16, 100, "synced"],
    [256, 100, "synced"],
    [256, 1024, "synced"],
    [16, 65_536, "synced"],
    [256, 100, "written"],
    [256, 100, "memory"],
  ] as [number, number, Durability][]
) {
  const content = value(bytes);
  const store = await openStore({ durability });
  Deno.bench(`put, ${durability}, ${writers} writers, ${bytes} B`, { group: "put" }, async () => {
    await Promise.all(Array.from({ length: writers }, () => store.put(nextKey(), content)));
  });
}

const COUNT = 100_000;
const WAVE = 1000;
const MANY = 100;

async function filled(bytes: number, count: number): Promise<string> {
  const store = await openStore({ durability: "written" });
  const content = value(bytes);
  const writes: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    writes.push(store.put(`k${i}`, content));
    if (writes.length === 256) await Promise.all(writes.splice(0));
  }
  await Promise.all(writes);
  await store.close();
  stores.splice(stores.indexOf(store), 1);
  return store.directory;
}

function benchReads(name: string, store: Store, prefix: string, count: number): void {
  let at = 0;
  Deno.bench(`${name}, ${WAVE} of them`, { group: "get" }, () => {
    for (let i = 0; i < WAVE; i++) store.getSync(`${prefix}${at = (at + 7919) % count}`);
  });
}

/** Keys put one after another, and keys from anywhere, by `getMany` and by `get`. */
function benchMany(what: string, store: Store, count: number): void {
  for (const [order, step] of [["neighbours", 1], ["scattered", 7919]] as const) {
    let at = 0;
    const next = () => Array.from({ length: MANY }, () => `k${at = (at + step) % count}`);
    const group = `many ${what} ${order}`;
    Deno.bench(`getMany, ${MANY} ${order}, ${what}`, { group }, async () => {
      await store.getMany(next());
    });
    Deno.bench(`get, ${MANY} ${order}, ${what}`, { group, baseline: true }, async () => {
      await Promise.all(next().map((key) => store.get(key)));
    });
  }
}

const hot = await openStore({ durability: "memory" });
for (let i = 0; i < COUNT; i++) hot.put(`k${i}`, value(100));
await hot.flush();
benchReads("get, in memory, 100 B", hot, "k", COUNT);
benchReads("get, missing", hot, "none", COUNT);

for (const [bytes, count] of [[100, COUNT], [1024, COUNT], [65_536, 2000]] as const) {
  const store = await open(await filled(bytes, count));
  stores.push(store);
  benchReads(`get, from a segment, ${bytes} B`, store, "k", count);
  benchMany(`${bytes} B`, store, count);
}

const directory = await filled(100, 500_000);
Deno.bench("open and close, 500,000 keys", { group: "open" }, async () => {
  await (await open(directory)).close();
});

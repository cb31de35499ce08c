/**
 * What eviction costs writers: puts of new keys by 256 writers at full speed into a store with `maxBytes`,
 * which is full from the start, beside one without, alternating in one run, on real files:
 * `deno run --allow-read --allow-write bench/eviction_bench.ts [rounds] [seconds] [directory]`.
 * 5 rounds of 5 s take seven minutes, and up to 5 GB of disk.
 *
 * One call in eight reads a key that was put before, so that some stay and are copied.
 */
import { cpuUsage } from "node:process";
import { type Durability, open, type OpenOptions, type Store } from "../mod.ts";

const WRITERS = 256;
const MIB = 1024 * 1024;
const MAX_BYTES = 320 * MIB;
/** How many keys before the newest are read, in parts of what fits. */
const READ_PART = 0.5;

interface Load {
  readonly durability: Durability;
  readonly valueBytes: number;
}

const LOADS: Load[] = [
  { durability: "synced", valueBytes: 100 },
  { durability: "synced", valueBytes: 1024 },
  { durability: "memory", valueBytes: 100 },
  { durability: "memory", valueBytes: 1024 },
];

interface Figures {
  readonly putsPerSecond: number;
  /** Of all threads. */
  readonly cpuMicrosPerPut: number;
  readonly evicted: number;
  readonly diskMib: number;
  readonly stalls: number;
}

const keyOf = (i: number) => `key:${String(i).padStart(10, "0")}`;

async function fill(store: Store, count: number, value: Uint8Array): Promise<void> {
  let next = 0;
  const write = async () => {
    while (next < count) await store.put(keyOf(next++), value, { durability: "written" });
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
}

async function run(
  { durability, valueBytes }: Load,
  directory: string,
  options: OpenOptions,
  seconds: number,
): Promise<Figures> {
  await using store = await open(directory, { ...options, durability });
  const value = crypto.getRandomValues(new Uint8Array(valueBytes));
  const fitting = Math.floor(MAX_BYTES / (valueBytes + 80));
  await fill(store, fitting, value);
  const before = cpuUsage();
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1000;
  let next = fitting;
  const write = async () => {
    while (performance.now() < endMs) {
      const i = next++;
      if (i % 8 === 0) store.getSync(keyOf(i - Math.floor(Math.random() * fitting * READ_PART)));
      await store.put(keyOf(i), value);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
  const tookMs = performance.now() - startedMs;
  const used = cpuUsage();
  const { eviction, segmentBytes, stalls } = store.stats();
  const puts = next - fitting;
  return {
    putsPerSecond: puts / tookMs * 1000,
    cpuMicrosPerPut: (used.user + used.system - before.user - before.system) / puts,
    evicted: eviction?.keys ?? 0,
    diskMib: (eviction?.diskBytes ?? segmentBytes) / MIB,
    stalls,
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function print(name: string, all: readonly Figures[]): number {
  const of = (field: keyof Figures) => median(all.map((figures) => figures[field]));
  const rate = of("putsPerSecond");
  console.log(
    `  ${name.padEnd(9)} ${(rate / 1000).toFixed(1)} K/s, ${
      of("cpuMicrosPerPut").toFixed(1)
    } µs of processors a put, ${of("evicted").toFixed(0)} evicted, files ${
      of("diskMib").toFixed(0)
    } MiB, ${of("stalls").toFixed(0)} waits`,
  );
  return rate;
}

const rounds = Number(Deno.args[0] ?? 5);
const seconds = Number(Deno.args[1] ?? 5);
const root = await Deno.makeTempDir(Deno.args[2] === undefined ? {} : { dir: Deno.args[2] });
try {
  for (const load of LOADS) {
    const figures = { without: [] as Figures[], bounded: [] as Figures[] };
    for (let round = 0; round < rounds; round++) {
      // Which one comes first alternates, too.
      for (const nth of [0, 1]) {
        const isBounded = (round + nth) % 2 === 1;
        const options = isBounded ? { maxBytes: MAX_BYTES, slabBytes: 16 * MIB } : {};
        const one = await run(load, `${root}/store`, options, seconds);
        figures[isBounded ? "bounded" : "without"].push(one);
        await Deno.remove(`${root}/store`, { recursive: true });
      }
    }
    const { durability, valueBytes } = load;
    console.log(`${valueBytes} B, ${durability}, ${WRITERS} writers, medians of ${rounds} runs`);
    const without = print("without", figures.without);
    const bounded = print("maxBytes", figures.bounded);
    const each = figures.bounded.map((one, i) =>
      one.putsPerSecond / figures.without[i]!.putsPerSecond
    );
    console.log(
      `  maxBytes / without  ${(bounded / without).toFixed(2)} of medians; of pairs ${
        each.map((ratio) => ratio.toFixed(2)).join(" ")
      }`,
    );
  }
} finally {
  await Deno.remove(root, { recursive: true });
}

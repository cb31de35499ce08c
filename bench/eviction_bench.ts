/**
 * What eviction costs writers: puts of new keys by 256 writers at full speed into a store with `maxBytes`,
 * which is full from the start, beside one without, alternating in one run, on real files:
 * `deno run --allow-read --allow-write bench/eviction_bench.ts [rounds] [seconds] [directory]`.
 * 5 rounds of 5 s take seven minutes, and up to 5 GB of disk.
 *
 * One call in eight reads a key that was put before, so that some stay and are copied.
 */
import { type Durability, open, type OpenOptions } from "../mod.ts";
import { byAllWriters, compare, keyOf, measure, MIB, WRITERS } from "./_pairs.ts";

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

async function run(
  { durability, valueBytes }: Load,
  directory: string,
  options: OpenOptions,
  seconds: number,
): Promise<Figures> {
  await using store = await open(directory, { ...options, durability });
  const value = crypto.getRandomValues(new Uint8Array(valueBytes));
  const fitting = Math.floor(MAX_BYTES / (valueBytes + 80));
  let next = 0;
  await byAllWriters(
    () => next < fitting,
    () => store.put(keyOf(next++), value, { durability: "written" }),
  );
  const endMs = performance.now() + seconds * 1000;
  const write = () => {
    const i = next++;
    if (i % 8 === 0) store.getSync(keyOf(i - Math.floor(Math.random() * fitting * READ_PART)));
    return store.put(keyOf(i), value);
  };
  const filled = next;
  const { tookMs, cpuMicros } = await measure(() =>
    byAllWriters(() => performance.now() < endMs, write)
  );
  const { eviction, segmentBytes, stalls } = store.stats();
  const puts = next - filled;
  return {
    putsPerSecond: puts / tookMs * 1000,
    cpuMicrosPerPut: cpuMicros / puts,
    evicted: eviction?.keys ?? 0,
    diskMib: (eviction?.diskBytes ?? segmentBytes) / MIB,
    stalls,
  };
}

const rounds = Number(Deno.args[0] ?? 5);
const seconds = Number(Deno.args[1] ?? 5);
const root = await Deno.makeTempDir(Deno.args[2] === undefined ? {} : { dir: Deno.args[2] });
const bounded: OpenOptions = { maxBytes: MAX_BYTES, slabBytes: 16 * MIB };
try {
  for (const load of LOADS) {
    const { durability, valueBytes } = load;
    console.log(`${valueBytes} B, ${durability}, ${WRITERS} writers, medians of ${rounds} runs`);
    await compare<Figures>(root, {
      names: ["without", "maxBytes"],
      rounds,
      run: (isBounded, directory) => run(load, directory, isBounded ? bounded : {}, seconds),
      rateOf: ({ putsPerSecond }) => putsPerSecond,
      show: (of) =>
        `${of("cpuMicrosPerPut").toFixed(1)} µs of processors a put, ${
          of("evicted").toFixed(0)
        } evicted, files ${of("diskMib").toFixed(0)} MiB, ${of("stalls").toFixed(0)} waits`,
    });
  }
} finally {
  await Deno.remove(root, { recursive: true });
}

/**
 * Puts at full speed for a while, each awaited, durably: `deno run --allow-read --allow-write
 * bench/sustained_bench.ts [seconds] [directory]`. 60 s take some 20 to 50 GB of disk.
 *
 * Prints for 1 KiB from 256 writers, and for 1 MiB from 8: throughput by sixths of the time, the event
 * loop's delay, memory; and, before and after, what a plain loop of writes and fdatasyncs of 8 MiB into
 * one file does on the same disk in the same time. It comes first because the first gigabytes go
 * faster, on many machines three times as fast: that would look as if the store became slower.
 */
import { open } from "../mod.ts";

const MIB = 1024 * 1024;
/** Throughput is told for so many parts of the time. */
const PARTS = 6;
/** A timer fires no earlier than this. */
const TIMER_MS = 1;

function noise(bytes: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) {
    crypto.getRandomValues(content.subarray(at, at + 65_536));
  }
  return content;
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

/** MB/s, by parts of the time, of writing and syncing 8 MiB at a time into one file. */
function rawRates(path: string, seconds: number): number[] {
  const piece = noise(8 * MIB);
  const bytes = new Array<number>(PARTS).fill(0);
  using file = Deno.openSync(path, { create: true, write: true, truncate: true });
  const startedMs = performance.now();
  for (;;) {
    for (let done = 0; done < piece.length;) done += file.writeSync(piece.subarray(done));
    file.syncDataSync();
    const part = Math.floor((performance.now() - startedMs) / (seconds * 1000 / PARTS));
    if (part >= PARTS) break;
    bytes[part]! += piece.length;
  }
  Deno.removeSync(path);
  return bytes.map((sum) => sum / (seconds * 1000 / PARTS) / 1000);
}

const meanOf = (rates: readonly number[]) => rates.reduce((sum, rate) => sum + rate, 0) / PARTS;
const show = (rates: readonly number[]) => rates.map((rate) => rate.toFixed(0)).join("  ");

interface Figures {
  readonly ratesMbs: readonly number[];
  readonly delaysMs: readonly number[];
  readonly rssMib: readonly number[];
}

async function sustain(
  directory: string,
  valueBytes: number,
  writers: number,
  seconds: number,
): Promise<Figures> {
  const values = Array.from({ length: 16 }, () => noise(valueBytes));
  const bytes = new Array<number>(PARTS).fill(0);
  const delaysMs: number[] = [];
  const rssMib: number[] = [];
  const store = await open(directory);
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1000;
  let next = 0;
  const watch = async () => {
    for (let part = -1; performance.now() < endMs;) {
      const before = performance.now();
      await new Promise((resolve) => setTimeout(resolve, TIMER_MS));
      delaysMs.push(Math.max(0, performance.now() - before - TIMER_MS));
      const now = Math.floor((before - startedMs) / (seconds * 1000 / PARTS));
      if (now > part) rssMib.push(Math.round(Deno.memoryUsage().rss / MIB));
      part = now;
    }
  };
  const write = async () => {
    while (performance.now() < endMs) {
      const i = next++;
      await store.put(`key:${String(i).padStart(10, "0")}`, values[i % values.length]!);
      const part = Math.floor((performance.now() - startedMs) / (seconds * 1000 / PARTS));
      bytes[Math.min(part, PARTS - 1)]! += valueBytes;
    }
  };
  await Promise.all([watch(), ...Array.from({ length: writers }, write)]);
  await store.close();
  const partMs = seconds * 1000 / PARTS;
  return {
    ratesMbs: bytes.map((sum) => sum / partMs / 1000),
    delaysMs: delaysMs.sort((a, b) => a - b),
    rssMib,
  };
}

const seconds = Number(Deno.args[0] ?? 60);
const root = await Deno.makeTempDir(Deno.args[1] === undefined ? {} : { dir: Deno.args[1] });
try {
  const before = rawRates(`${root}/raw`, seconds);
  console.log(`write + fdatasync, ${seconds} s before`);
  console.log(`  MB/s by sixths       ${show(before)}`);
  let mean = 0;
  for (const [valueBytes, writers] of [[1024, 256], [MIB, 8]] as const) {
    const directory = `${root}/store`;
    const { ratesMbs, delaysMs, rssMib } = await sustain(directory, valueBytes, writers, seconds);
    await Deno.remove(directory, { recursive: true });
    mean = meanOf(ratesMbs);
    console.log(`${valueBytes} B, ${writers} writers, ${seconds} s`);
    console.log(`  MB/s by sixths       ${show(ratesMbs)}`);
    console.log(`  last / first         ${(ratesMbs.at(-1)! / ratesMbs[0]!).toFixed(2)}`);
    console.log(`  memory MiB           ${rssMib.join("  ")}`);
    const delays = [0.5, 0.99, 0.999, 1].map((part) => percentile(delaysMs, part).toFixed(1));
    console.log(
      `  event loop delay ms  p50 ${delays[0]}  p99 ${delays[1]}  p99.9 ${delays[2]}  most ${
        delays[3]
      }`,
    );
  }
  const after = rawRates(`${root}/raw`, seconds);
  console.log(`write + fdatasync, ${seconds} s after`);
  console.log(`  MB/s by sixths       ${show(after)}`);
  console.log(`  1 MiB, of that       ${(mean / meanOf(after)).toFixed(2)}`);
} finally {
  await Deno.remove(root, { recursive: true });
}

/**
 * What zstd costs the main thread: durable puts of JSON-like values by 8 writers, with and without,
 * alternating in one run, on real files (Linux, which tells the time of one thread):
 * `deno run --allow-read --allow-write --allow-env bench/codec_bench.ts [rounds] [seconds] [directory]`.
 */
import { pid } from "node:process";
import { open } from "../mod.ts";
import { byAllWriters, compare, measure, MIB } from "./_pairs.ts";

const WRITERS = 8;

/** Records such as a service logs, `bytes` long in all. */
function jsonOf(bytes: number): Uint8Array<ArrayBuffer> {
  let text = "";
  for (let i = 0; text.length < bytes; i++) {
    const id = Math.floor(Math.random() * 1e9);
    const user = `user-${id % 5000}`;
    const tags = ["new", "paid", "sent"].slice(0, id % 4);
    text += JSON.stringify({ id, user, at: 1.7e12 + i * 977, amount: id % 10_007 / 100, tags });
  }
  return new TextEncoder().encode(text.slice(0, bytes));
}

/** Time on a processor of the thread that runs this, in µs. */
function mainMicros(): number {
  return Number(Deno.readTextFileSync(`/proc/self/task/${pid}/schedstat`).split(" ")[0]) / 1000;
}

interface Figures {
  readonly putsPerSecond: number;
  readonly mainMicrosPerPut: number;
  readonly cpuMicrosPerPut: number;
  readonly storedPercent: number;
}

async function run(
  isZstd: boolean,
  directory: string,
  values: readonly Uint8Array[],
  seconds: number,
): Promise<Figures> {
  await using store = await open(directory, isZstd ? { compression: "zstd" } : {});
  let puts = 0;
  const write = () => store.put(`key:${puts}`, values[puts++ % values.length]!);
  await byAllWriters(() => puts < 64, write, WRITERS);
  puts = 0;
  const endMs = performance.now() + seconds * 1000;
  const before = mainMicros();
  const { tookMs, cpuMicros } = await measure(() =>
    byAllWriters(() => performance.now() < endMs, write, WRITERS)
  );
  const { valueBytes, storedValueBytes } = store.stats();
  return {
    putsPerSecond: puts / tookMs * 1000,
    mainMicrosPerPut: (mainMicros() - before) / puts,
    cpuMicrosPerPut: cpuMicros / puts,
    storedPercent: storedValueBytes / valueBytes * 100,
  };
}

const rounds = Number(Deno.args[0] ?? 5);
const seconds = Number(Deno.args[1] ?? 3);
const root = await Deno.makeTempDir(Deno.args[2] === undefined ? {} : { dir: Deno.args[2] });
try {
  for (const valueBytes of [64 * 1024, MIB]) {
    const values = Array.from({ length: 16 }, () => jsonOf(valueBytes));
    console.log(`${valueBytes} B, ${WRITERS} writers, medians of ${rounds} runs of ${seconds} s`);
    await compare<Figures>(root, {
      names: ["none", "zstd"],
      rounds,
      run: (isZstd, directory) => run(isZstd, directory, values, seconds),
      rateOf: ({ putsPerSecond }) => putsPerSecond,
      show: (of) =>
        `${of("mainMicrosPerPut").toFixed(0)} µs of the main thread a put, ${
          of("cpuMicrosPerPut").toFixed(0)
        } of all threads, ${of("storedPercent").toFixed(0)} % stored`,
    });
  }
} finally {
  await Deno.remove(root, { recursive: true });
}

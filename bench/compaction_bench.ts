/**
 * What compaction and expiry cost writers: durable puts of 256 writers at full speed, with compaction in
 * the background beside `compaction: "manual"`, alternating in one run, on real files:
 * `deno run --allow-read --allow-write bench/compaction_bench.ts [rounds] [seconds] [directory]`.
 * 5 rounds of 5 s take four minutes, and up to 5 GB of disk.
 *
 * `overwrites`: keys at random out of a set that is there before, one call in ten a delete, so that
 * each segment slowly becomes sparse and what is alive in it has to be copied. `expiry`: new keys that
 * live for a second, and one in eight for good; manual means no expiry at all there.
 */
import { open, type Store } from "../mod.ts";
import { byAllWriters, compare, keyOf, measure, MIB, WRITERS } from "./_pairs.ts";

/** Bytes of values of the set that is overwritten. */
const SET_BYTES = 64 * MIB;
const LIFE_MS = 1000;

interface Load {
  readonly name: string;
  readonly valueBytes: number;
  /** What there is before. */
  readonly keys: number;
  write(store: Store, i: number, value: Uint8Array, isManual: boolean): Promise<unknown>;
}

const LOADS: Load[] = [];
for (const valueBytes of [100, 1024]) {
  const keys = Math.min(200_000, Math.floor(SET_BYTES / valueBytes));
  LOADS.push({
    name: `overwrites, ${valueBytes} B`,
    valueBytes,
    keys,
    write(store, i, value) {
      const key = keyOf(Math.floor(Math.random() * keys));
      return i % 10 === 0 ? store.delete(key) : store.put(key, value);
    },
  }, {
    name: `expiry, ${valueBytes} B`,
    valueBytes,
    keys: 0,
    write(store, i, value, isManual) {
      const lives = isManual || i % 8 === 0;
      return store.put(keyOf(i), value, lives ? {} : { expireIn: LIFE_MS });
    },
  });
}

interface Figures {
  readonly writesPerSecond: number;
  /** Of all threads. */
  readonly cpuMicrosPerWrite: number;
  readonly jobs: number;
  readonly movedMib: number;
  readonly segmentMib: number;
  readonly liveMib: number;
  readonly lateMs: number;
}

async function run(
  load: Load,
  directory: string,
  isManual: boolean,
  seconds: number,
): Promise<Figures> {
  await using store = await open(directory, isManual ? { compaction: "manual" } : {});
  const value = crypto.getRandomValues(new Uint8Array(load.valueBytes));
  let filled = 0;
  await byAllWriters(() => filled < load.keys, () => store.put(keyOf(filled++), value));
  const endMs = performance.now() + seconds * 1000;
  let next = 0;
  let lateMs = 0;
  const watch = async () => {
    for (let before = performance.now(); before < endMs;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const now = performance.now();
      lateMs = Math.max(lateMs, now - before - 1);
      before = now;
    }
  };
  const goesOn = () => performance.now() < endMs;
  const write = () => load.write(store, next++, value, isManual);
  const { tookMs, cpuMicros } = await measure(() =>
    Promise.all([watch(), byAllWriters(goesOn, write)])
  );
  const { compaction: { jobs, movedBytes }, segmentBytes, liveBytes } = store.stats();
  return {
    writesPerSecond: next / tookMs * 1000,
    cpuMicrosPerWrite: cpuMicros / next,
    jobs,
    movedMib: movedBytes / MIB,
    segmentMib: segmentBytes / MIB,
    liveMib: liveBytes / MIB,
    lateMs,
  };
}

const rounds = Number(Deno.args[0] ?? 5);
const seconds = Number(Deno.args[1] ?? 5);
const root = await Deno.makeTempDir(Deno.args[2] === undefined ? {} : { dir: Deno.args[2] });
try {
  for (const load of LOADS) {
    console.log(`${load.name}, ${WRITERS} writers, medians of ${rounds} runs of ${seconds} s`);
    await compare<Figures>(root, {
      names: ["manual", "background"],
      rounds,
      run: (isBackground, directory) => run(load, directory, !isBackground, seconds),
      rateOf: ({ writesPerSecond }) => writesPerSecond,
      show: (of) =>
        `${of("cpuMicrosPerWrite").toFixed(1)} µs of processors a write, ${
          of("jobs").toFixed(0)
        } jobs, moved ${of("movedMib").toFixed(0)} MiB, files ${
          of("segmentMib").toFixed(0)
        } MiB, alive ${of("liveMib").toFixed(0)} MiB, event loop late by ${
          of("lateMs").toFixed(0)
        } ms at most`,
    });
  }
} finally {
  await Deno.remove(root, { recursive: true });
}

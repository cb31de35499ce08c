// What the log does alone: appends in memory, durable appends beside the disk's own rate, replay.
//   deno run --allow-read --allow-write bench/wal_bench.ts [directory]
import { Wal } from "../log/wal_mod.ts";

const ROUNDS = 5;
const TURNS = 15;
/** In half a second, both threads of a log have found a processor each. */
const TURN_RECORDS = 4000;
const SOLITARY_PUTS = 200;
const PAUSE_MS = 2;
const base = await Deno.makeTempDir({ dir: Deno.args[0] ?? "." });

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function row(what: string, value: string, note = ""): void {
  console.log(`${what.padEnd(44)} ${value.padStart(14)}  ${note}`);
}

const perSecond = (count: number, ms: number) => count / ms * 1000;
const thousands = (rate: number) => `${(rate / 1000).toFixed(1)} K/s`;
const millions = (rate: number) => `${(rate / 1e6).toFixed(2)} M/s`;

/** The disk's own: a file of full length, one small write and one fdatasync at a time, on a thread of its own. */
class RawLoop {
  readonly #worker = new Worker(new URL("./_raw_loop.ts", import.meta.url), { type: "module" });

  async rate(count: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#worker.onmessage = (event) => resolve(event.data);
    this.#worker.postMessage({ path: `${base}/raw`, bytes: 280, count });
    return perSecond(count, await promise);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

async function durableRate(
  wal: Wal,
  writers: number,
  bytes: number,
  each: number,
): Promise<number> {
  const record = new Uint8Array(bytes).fill(7);
  const started = performance.now();
  await Promise.all(Array.from({ length: writers }, async () => {
    for (let i = 0; i < each; i++) await wal.appendAndSync(record);
  }));
  return perSecond(writers * each, performance.now() - started);
}

try {
  {
    await using wal = await Wal.open(`${base}/memory`, { segmentBytes: 64 * 1024 * 1024 });
    const record = new Uint8Array(256).fill(7);
    const rates: number[] = [];
    for (let round = 0; round < 2 * ROUNDS; round++) {
      const count = 200_000;
      const started = performance.now();
      let last: Promise<number> | undefined;
      for (let i = 0; i < count; i++) last = wal.append(record);
      rates.push(perSecond(count, performance.now() - started));
      await last;
      await wal.sync();
    }
    row("append 256 B, in memory, first use of memory", millions(median(rates.slice(0, 3))));
    row("append 256 B, in memory", millions(median(rates.slice(4))), "one thread, no await");
  }
  {
    await using wal = await Wal.open(`${base}/durable`);
    using loop = new RawLoop();
    const [raw, one]: [number[], number[]] = [[], []];
    // The disk has better and worse moments: in turns, and each turn is compared with itself.
    for (let turn = 0; turn < TURNS; turn++) {
      raw.push(await loop.rate(TURN_RECORDS));
      one.push(await durableRate(wal, 1, 256, TURN_RECORDS));
    }
    const share = median(one.map((rate, i) => rate / raw[i]!)).toFixed(2);
    row("write + fdatasync of 280 B, file of full length", thousands(median(raw)));
    row("durable append of 256 B, 1 writer", thousands(median(one)), `${share} of the disk's own`);
    const record = new Uint8Array(256).fill(7);
    const waits: number[] = [];
    for (let i = 0; i < SOLITARY_PUTS; i++) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const started = performance.now();
      await wal.appendAndSync(record);
      waits.push(performance.now() - started);
    }
    const wait = `${(median(waits) * 1000).toFixed(0)} µs`;
    row(`one durable append of 256 B every ${PAUSE_MS} ms`, wait, "median");
    const rates = new Map<number, number[]>([[1, []], [8, []], [64, []], [256, []]]);
    for (let round = 0; round < 2 * ROUNDS - 1; round++) {
      for (const [writers, all] of rates) {
        all.push(await durableRate(wal, writers, 256, writers === 1 ? 1000 : 200));
      }
    }
    const alone = rates.get(1)!;
    for (const writers of [8, 64, 256]) {
      const all = rates.get(writers)!;
      const times = median(all.map((rate, i) => rate / alone[i]!)).toFixed(0);
      row(
        `durable append of 256 B, ${writers} writers`,
        thousands(median(all)),
        `${times} × one writer`,
      );
    }
  }
  for (const [bytes, count] of [[256, 400_000], [64 * 1024, 1900]] as const) {
    const directory = `${base}/replay-${bytes}`;
    const wal = await Wal.open(directory, { segmentBytes: 128 * 1024 * 1024 });
    const record = new Uint8Array(bytes).fill(7);
    for (let i = 0; i < count; i++) await wal.append(record);
    await wal.sync();
    await wal.appendAndSync(record.subarray(1)); // Vouches for the rest.
    // As a killed process leaves it: one log without its end, which open has to scan.
    const killed = Array.from({ length: ROUNDS }, (_, round) => `${directory}-killed-${round}`);
    for (const copy of killed) {
      Deno.mkdirSync(copy);
      for (const { name } of Deno.readDirSync(directory)) {
        if (name === "LOCK") continue;
        Deno.copyFileSync(`${directory}/${name}`, `${copy}/${name}`);
        using file = Deno.openSync(`${copy}/${name}`, { write: true });
        file.syncSync();
      }
    }
    const iterations: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const started = performance.now();
      let found = 0;
      for (const { bytes } of wal.iterate()) found += bytes.length === 0 ? 0 : 1;
      if (found !== count + 1) throw new Error(`${found} of ${count} records`);
      iterations.push(perSecond(count, performance.now() - started));
    }
    await wal.close();
    const recoveries: number[] = [];
    for (const copy of killed) {
      await using wal = await Wal.open(copy, { segmentBytes: 128 * 1024 * 1024 });
      const { durationMs, replayedSegments } = wal.stats().recovery;
      if (replayedSegments === 0) throw new Error("nothing was replayed");
      recoveries.push(perSecond(count, durationMs));
    }
    const show = (rate: number) =>
      bytes > 1000 ? `${(rate * bytes / 1e6).toFixed(0)} MB/s` : millions(rate);
    row(`iterate, records of ${bytes} B`, show(median(iterations)));
    row(
      `recovery after a kill, records of ${bytes} B`,
      show(median(recoveries)),
      `the first one ${show(recoveries[0]!)}`,
    );
  }
} finally {
  await Deno.remove(base, { recursive: true });
}

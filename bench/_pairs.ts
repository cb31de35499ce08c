/** What benchmarks have in common that load a store in two ways, in turns, and compare the two. */
import { cpuUsage } from "node:process";

/** Writers at one time, each of which awaits its call before the next. */
export const WRITERS = 256;
export const MIB = 1024 * 1024;

/** The key with number `i`. */
export const keyOf = (i: number): string => `key:${String(i).padStart(10, "0")}`;

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Each of `writers` does `write` again and again, while `goesOn`. */
export async function byAllWriters(
  goesOn: () => boolean,
  write: () => Promise<unknown>,
  writers = WRITERS,
): Promise<void> {
  const writer = async () => {
    while (goesOn()) await write();
  };
  await Promise.all(Array.from({ length: writers }, writer));
}

/** How long `work` took, and how much all threads used of the processors meanwhile. */
export async function measure(
  work: () => Promise<unknown>,
): Promise<{ tookMs: number; cpuMicros: number }> {
  const before = cpuUsage();
  const startedMs = performance.now();
  await work();
  const tookMs = performance.now() - startedMs;
  const after = cpuUsage();
  return { tookMs, cpuMicros: after.user + after.system - before.user - before.system };
}

/** Two ways to do the same. */
export interface Pair<F> {
  /** Their names: what is compared with, and what is compared. */
  readonly names: readonly [string, string];
  readonly rounds: number;
  /** One of them, in an empty `directory`, which is removed afterwards. */
  readonly run: (isSecond: boolean, directory: string) => Promise<F>;
  readonly rateOf: (figures: F) => number;
  /** Tells of the medians. */
  readonly show: (of: (field: keyof F) => number) => string;
}

/** Runs both in turns, and prints medians and ratios. */
export async function compare<F extends { readonly [K in keyof F]: number }>(
  root: string,
  { names, rounds, run, rateOf, show }: Pair<F>,
): Promise<void> {
  const figures: [F[], F[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    // Which one comes first alternates, too.
    for (const nth of [0, 1]) {
      const isSecond = (round + nth) % 2 === 1;
      figures[isSecond ? 1 : 0].push(await run(isSecond, `${root}/store`));
      await Deno.remove(`${root}/store`, { recursive: true });
    }
  }
  const width = Math.max(...names.map((name) => name.length));
  figures.forEach((all, which) => {
    const rate = median(all.map(rateOf)) / 1000;
    const rest = show((field) => median(all.map((one) => one[field])));
    console.log(`  ${names[which]!.padEnd(width)}  ${rate.toPrecision(3)} K/s, ${rest}`);
  });
  const [first, second] = figures.map((all) => all.map(rateOf)) as [number[], number[]];
  const each = second.map((rate, i) => (rate / first[i]!).toFixed(2));
  const ratio = median(second) / median(first);
  console.log(
    `  ${names[1]} / ${names[0]}  ${ratio.toFixed(2)} of medians; of pairs ${each.join(" ")}`,
  );
}

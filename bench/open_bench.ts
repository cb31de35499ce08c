/**
 * What it takes to open a store of 16-byte keys and 100-byte values, on real files in the page cache:
 * `deno run -RWE --allow-run bench/open_bench.ts [keys] [directory]`. 1 M keys take some 20 s.
 *
 * Medians of rounds, in ms. "killed" is a store that was closed, opened again, and then killed
 * (SIGKILL) with 64 MiB in its last log, whose records overwrite keys of before.
 */
import { open, type OpenOptions, type Store } from "../mod.ts";

const ROUNDS = 5;
const VALUE = new Uint8Array(100).fill(7);
const LARGE: OpenOptions = { slabBytes: 68 * 1024 * 1024, durability: "memory" };
const LOG_RECORDS = Math.floor(64 * 1024 * 1024 / 144);

const keyOf = (i: number) => `key:${String(i).padStart(12, "0")}`;

/** Puts keys in an order without pattern. */
async function fill(store: Store, from: number, to: number, keys: number): Promise<void> {
  for (let i = from; i < to; i++) {
    const put = store.put(keyOf((i * 7_919) % keys), VALUE, { durability: "memory" });
    if (i % 1024 === 0) await put;
  }
  await store.flush();
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

function medianOf(times: number[]): number {
  return Math.round(times.sort((a, b) => a - b)[times.length >> 1]! * 10) / 10;
}

/** In a process of its own, which kills itself. */
async function writeAndDie(dir: string, keys: number): Promise<void> {
  const store = await open(dir, LARGE);
  await fill(store, 0, LOG_RECORDS, keys);
  Deno.kill(Deno.pid, "SIGKILL");
}

/** Copies what a kill left; on the disk, as the original is, so that a sync of it has nothing to do. */
async function copyDir(from: string, to: string): Promise<void> {
  await Deno.remove(to, { recursive: true }).catch(() => {});
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
    using file = await Deno.open(`${to}/${name}`, { read: true, write: true });
    await file.sync();
  }
}

async function main(keys: number, root: string): Promise<void> {
  const dir = `${root}/store`;
  const figures: Record<string, number> = {};
  const store = await open(dir, { durability: "memory" });
  await fill(store, 0, keys, keys);
  figures["close"] = medianOf([await timed(() => store.close())]);

  const opens: number[] = [];
  const closes: number[] = [];
  const recoveries: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let store: Store | undefined;
    opens.push(await timed(async () => void (store = await open(dir))));
    recoveries.push(store!.stats().recovery.durationMs);
    if (store!.stats().keys !== keys) throw new Error(`${store!.stats().keys} keys`);
    closes.push(await timed(() => store!.close()));
  }
  figures["open after close"] = medianOf(opens);
  figures["of which recovery"] = medianOf(recoveries);
  figures["close with nothing written"] = medianOf(closes);

  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-RWE", "--allow-run", import.meta.url, "die", dir, String(keys)],
  });
  await child.output();
  const killed = `${root}/killed`;
  for (const image of [true, false]) {
    const opens: number[] = [];
    const recoveries: number[] = [];
    let records = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await copyDir(dir, killed);
      if (!image) await Deno.remove(`${killed}/INDEX`).catch(() => {});
      let store: Store | undefined;
      opens.push(await timed(async () => void (store = await open(killed, LARGE))));
      recoveries.push(store!.stats().recovery.durationMs);
      records = store!.stats().recovery.records;
      if (store!.stats().keys !== keys) throw new Error(`${store!.stats().keys} keys`);
      await store!.close();
    }
    const what = image ? "killed" : "killed, no image";
    figures[`${what}: open`] = medianOf(opens);
    figures[`${what}: recovery`] = medianOf(recoveries);
    figures[`${what}: records in the log`] = records;
  }
  console.table(figures);
}

if (Deno.args[0] === "die") await writeAndDie(Deno.args[1]!, Number(Deno.args[2]));
else {
  const root = await Deno.makeTempDir(Deno.args[1] === undefined ? {} : { dir: Deno.args[1] });
  try {
    await main(Number(Deno.args[0] ?? 1_000_000), root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

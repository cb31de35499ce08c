/**
 * What a wrapper adds to a small positional call of `DenoFs`, where nothing but the call is done:
 * turns of 1000 calls, each file system once in a round, first another one each time; medians of
 * what it took beside `DenoFs` in the same round. A second `DenoFs` shows what the method can tell.
 * `deno run --allow-read --allow-write bench/wrappers_bench.ts [rounds]`
 */
import {
  DenoFs,
  FaultFs,
  type File,
  type Fs,
  VirtualFs,
  withDiskFull,
  withDiskHealth,
  withMetrics,
  withTracking,
} from "../vfs/mod.ts";
import { median } from "./_pairs.ts";

const CALLS = 1000;
/** Rounds that only warm up. */
const WARM_UP = 20;
const PLACES = 256;
const KIB = 1024;

const rounds = Number(Deno.args[0] ?? 300);
const root = Deno.makeTempDirSync();

const systems: readonly (readonly [name: string, fs: Fs])[] = [
  ["DenoFs", new DenoFs()],
  ["DenoFs again", new DenoFs()],
  ["withMetrics", withMetrics(new DenoFs())],
  ["withDiskHealth", withDiskHealth(new DenoFs())],
  ["withDiskFull", withDiskFull(new DenoFs(), () => {})],
  ["withTracking", withTracking(new DenoFs())],
  ["VirtualFs", new VirtualFs(new DenoFs(), { maxOpen: 16 })],
  ["FaultFs", new FaultFs(new DenoFs())],
];

function compare(what: string, call: (file: File, at: number) => void): void {
  const files = systems.map(([name, fs]) => fs.create(`${root}/${what} ${name}`));
  const nanos: number[][] = files.map(() => []);
  for (const file of files) file.writeAt(new Uint8Array(PLACES * KIB), 0);
  for (let round = -WARM_UP; round < rounds; round++) {
    for (let turn = 0; turn < files.length; turn++) {
      const which = (turn + round + WARM_UP) % files.length;
      const file = files[which]!;
      const startedMs = performance.now();
      for (let i = 0; i < CALLS; i++) call(file, (i % PLACES) * KIB);
      const tookNanos = (performance.now() - startedMs) * 1e6 / CALLS;
      if (round >= 0) nanos[which]!.push(tookNanos);
    }
  }
  console.log(`${what}: DenoFs ${median(nanos[0]!).toFixed(0)} ns`);
  for (const [which, [name]] of systems.entries()) {
    if (which === 0) continue;
    const more = median(nanos[which]!.map((each, round) => each / nanos[0]![round]! - 1)) * 100;
    console.log(`  ${name.padEnd(14)}  ${more < 0 ? "" : "+"}${more.toFixed(1)} %`);
  }
  for (const file of files) file.close();
}

const kib = new Uint8Array(KIB).fill(7);
compare("write of 1 KiB", (file, at) => file.writeAt(kib, at));
compare("read of 1 KiB", (file, at) => file.readAt(kib, at));
Deno.removeSync(root, { recursive: true });

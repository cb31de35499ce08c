// A process to be killed: four Workers append to one log, synced, and their acknowledgements are told
// on stdout, one line each, after the promise was kept.
import { Wal } from "../../log/wal_mod.ts";
import type { AppendOrder, AppendReport } from "../_wal_worker.ts";

const [dir] = Deno.args as [string];
const wal = await Wal.open(dir, { segmentBytes: 1024 * 1024 });
const handle = await wal.share();
const encoder = new TextEncoder();
const tell = (line: string) => Deno.stdout.writeSync(encoder.encode(`${line}\n`));

for (let writer = 0; writer < 4; writer++) {
  const worker = new Worker(new URL("../_wal_worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<AppendReport>) =>
    tell("error" in data ? data.error : `${writer} ${data.acknowledged}`);
  const order: AppendOrder = { handle, writer, count: 1e9, durability: "synced", window: 16 };
  worker.postMessage(order);
}
tell("open");

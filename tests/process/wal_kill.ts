// Needs --allow-run. More rounds: deno test … tests/process/wal_kill.ts -- --rounds=50 --seed=7
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { Wal } from "../../log/wal_mod.ts";
import { sameBytes } from "../_history.ts";
import { inTempDir, randomOf } from "../_support.ts";
import { recordOf } from "../_wal_worker.ts";
import { killAfter } from "./_kill_after.ts";

const { values: flags } = parseArgs({
  args: Deno.args,
  options: { rounds: { type: "string", default: "5" }, seed: { type: "string" } },
});
const ROUNDS = Number(flags.rounds);
const SEED = Number(flags.seed ?? Math.floor(Math.random() * 1e9));

Deno.test(`SIGKILL while four threads append to one log, ${ROUNDS} rounds, seed ${SEED}`, async () => {
  const random = randomOf(SEED);
  let lines = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    await inTempDir(async (dir) => {
      const acknowledged = [0, 0, 0, 0];
      const path = `${dir}/wal`;
      lines += await killAfter("./_wal_writers.ts", [path], 100 + random() * 500, (line) => {
        const [writer, count] = line.split(" ").map(Number);
        acknowledged[writer!] = count!;
      });
      await using wal = await Wal.open(path);
      const next = [0, 0, 0, 0];
      let last = 0;
      for (const { lsn, bytes } of wal.iterate()) {
        assert(lsn > last);
        last = lsn;
        const writer = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
        assert(sameBytes(bytes, recordOf(writer, next[writer]!++)), `round ${round}, LSN ${lsn}`);
      }
      const where = `round ${round}: ${next} found, ${acknowledged} acknowledged`;
      assert(next.every((count, writer) => count >= acknowledged[writer]!), where);
    });
  }
  assert(lines > ROUNDS, `only ${lines} acknowledgements`);
});

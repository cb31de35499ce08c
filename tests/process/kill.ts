// Needs --allow-run. More rounds: deno test … tests/process/kill.ts -- --rounds=50 --seed=7
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { type Durability, open, type Store } from "../../mod.ts";
import { sameBytes } from "../_history.ts";
import { collect, randomOf } from "../_support.ts";
import { killAfter } from "./_kill_after.ts";
import { isDelete, numberOf, valueOf, WRITERS } from "./_values.ts";

const { values: flags } = parseArgs({
  args: Deno.args,
  options: { rounds: { type: "string", default: "6" }, seed: { type: "string" } },
});
const ROUNDS = Number(flags.rounds);
const SEED = Number(flags.seed ?? Math.floor(Math.random() * 1e9));

/** Runs the writers until `killAfterMs` after they opened the store, then SIGKILL. Adds to `acknowledged`. */
function runAndKill(
  dir: string,
  durability: Durability,
  compression: string,
  first: number,
  killAfterMs: number,
  acknowledged: Map<string, number>,
): Promise<number> {
  const args = [dir, durability, String(first), compression];
  return killAfter("./_writer.ts", args, killAfterMs, (line) => {
    const [name, n] = line.split(" ");
    acknowledged.set(name!, Math.max(acknowledged.get(name!) ?? 0, Number(n)));
  });
}

/** Asserts that every acknowledged write is there, or a later one of its writer, byte for byte. */
async function check(store: Store, acknowledged: ReadonlyMap<string, number>): Promise<number> {
  let newest = 0;
  for (let writer = 0; writer < WRITERS; writer++) {
    const parts = await store.getMany(["x", "y", "z"].map((part) => `b${writer}:${part}`));
    assert(parts.every((part) => sameBytes(part, parts[0])), `batch of writer ${writer} is torn`);
    const acked = acknowledged.get(`b${writer}`) ?? 0;
    const found = parts[0] === undefined ? 0 : numberOf(parts[0]);
    assert(found >= acked, `batch ${acked} of writer ${writer} is lost: found ${found}`);
    if (parts[0] !== undefined) assert(sameBytes(parts[0], valueOf(`b${writer}`, found)));
    newest = Math.max(newest, found, checkSingle(store, writer, acknowledged));
  }
  return newest;
}

function checkSingle(
  store: Store,
  writer: number,
  acknowledged: ReadonlyMap<string, number>,
): number {
  const acked = acknowledged.get(`w${writer}`) ?? 0;
  const value = store.getSync(`w${writer}`);
  if (value === undefined) {
    // The last acknowledged write was a delete, or the next one, which was under way, is.
    const next = (acked + 1) % 7 === 3 ? acked + 2 : acked + 1;
    const deleted = acked === 0 || isDelete(acked) || isDelete(next);
    assert(deleted, `write ${acked} of writer ${writer} is lost: there is no value`);
    return acked + 2;
  }
  const found = numberOf(value);
  assert(found >= acked, `write ${acked} of writer ${writer} is lost: found ${found}`);
  assert(sameBytes(value, valueOf(`w${writer}`, found)), `value of writer ${writer} differs`);
  return found;
}

/** Asserts that each large value has its file, and that there is no other. */
function checkFiles(store: Store): void {
  const { files, problems } = store.stats().recovery.blobs;
  assert.deepEqual(problems, []);
  const names = [...Deno.readDirSync(store.directory)].filter(({ name }) => name.endsWith(".blob"));
  assert.equal(names.length, files, "files without a record");
}

for (
  const [durability, compression] of [
    ["synced", "none"],
    ["written", "none"],
    ["synced", "zstd"],
  ] as const
) {
  Deno.test(`SIGKILL under load of ${WRITERS} writers, durability ${durability}, compression ${compression}, ${ROUNDS} rounds, seed ${SEED}`, async () => {
    const random = randomOf(SEED);
    const dir = await Deno.makeTempDir();
    try {
      const acknowledged = new Map<string, number>();
      let first = 1;
      let lines = 0;
      for (let round = 1; round <= ROUNDS; round++) {
        const killAfterMs = random() ** 2 * 1200;
        lines += await runAndKill(
          ...[dir, durability, compression, first, killAfterMs, acknowledged] as const,
        );
        await using store = await open(dir);
        try {
          const newest = await check(store, acknowledged);
          checkFiles(store);
          if (round % 5 === 0) assert.deepEqual((await store.verify()).problems, []);
          first = newest + 10;
        } catch (error) {
          throw new Error(`round ${round}, seed ${SEED}`, { cause: error });
        }
      }
      assert(lines > ROUNDS * 10, `only ${lines} writes were acknowledged`);
      await using store = await open(dir);
      const listed = await collect(store.list());
      const smaller = listed.filter(({ size, storedSize }) => storedSize < size);
      assert.equal(smaller.length > 0, compression !== "none");
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

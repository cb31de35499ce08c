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

/** Runs the writers until `killAfterMs` after they opened the store, or first compacted, then SIGKILL. Adds to `acknowledged`. */
function runAndKill(
  dir: string,
  durability: Durability,
  compression: string,
  first: number,
  killAfterMs: number,
  isCompacting: boolean,
  acknowledged: Map<string, number>,
): Promise<number> {
  const from = isCompacting ? "compacting" : "open";
  const args = [dir, durability, String(first), compression, from];
  return killAfter("./_writer.ts", args, killAfterMs, (line) => {
    const [name, n] = line.split(" ");
    acknowledged.set(name!, Math.max(acknowledged.get(name!) ?? 0, Number(n)));
  });
}

/** Asserts that every acknowledged write is there, or a later one of its writer, byte for byte. */
async function check(
  store: Store,
  acknowledged: ReadonlyMap<string, number>,
  first: number,
  missing: Map<number, number>,
): Promise<number> {
  let newest = 0;
  for (const [name, n] of acknowledged) {
    if (!name.startsWith("s")) continue;
    const value = await store.get(name);
    const expected = valueOf(name.slice(0, name.indexOf(":")), n);
    assert(sameBytes(value, expected), `${name}, written once, has ${value?.length} bytes`);
  }
  for (let writer = 0; writer < WRITERS; writer++) {
    const parts = await store.getMany(["x", "y", "z"].map((part) => `b${writer}:${part}`));
    assert(parts.every((part) => sameBytes(part, parts[0])), `batch of writer ${writer} is torn`);
    const acked = acknowledged.get(`b${writer}`) ?? 0;
    const found = parts[0] === undefined ? 0 : numberOf(parts[0]);
    assert(found >= acked, `batch ${acked} of writer ${writer} is lost: found ${found}`);
    if (parts[0] !== undefined) assert(sameBytes(parts[0], valueOf(`b${writer}`, found)));
    newest = Math.max(newest, found, checkSingle(store, writer, acknowledged, first, missing));
  }
  return newest;
}

function checkSingle(
  store: Store,
  writer: number,
  acknowledged: ReadonlyMap<string, number>,
  first: number,
  missing: Map<number, number>,
): number {
  const acked = acknowledged.get(`w${writer}`) ?? 0;
  const value = store.getSync(`w${writer}`);
  if (value === undefined) {
    // The last acknowledged write was a delete, or the next one, which was under way, is; or it was so
    // in an earlier round, and no other write was acknowledged since.
    const after = Math.max(acked + 1, first);
    const next = after % 7 === 3 ? after + 1 : after;
    const deleted = acked === 0 || isDelete(acked) || isDelete(next) ||
      missing.get(writer) === acked;
    assert(deleted, `write ${acked} of writer ${writer} is lost: there is no value`);
    missing.set(writer, acked);
    return acked + 2;
  }
  const found = numberOf(value);
  assert(found >= acked, `write ${acked} of writer ${writer} is lost: found ${found}`);
  assert(sameBytes(value, valueOf(`w${writer}`, found)), `value of writer ${writer} differs`);
  return found;
}

/** Files that compactions have made. */
function compactedFiles(dir: string): number {
  return [...Deno.readDirSync(dir)].filter(({ name }) => /^\d+-\d+\.seg$/.test(name)).length;
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
      /** Writers whose key was found missing, and their last acknowledged write at that time. */
      const missing = new Map<number, number>();
      let first = 1;
      let lines = 0;
      let compacted = 0;
      for (let round = 1; round <= ROUNDS; round++) {
        const killAfterMs = random() ** 2 * 1200;
        const isCompacting = round % 2 === 0;
        lines += await runAndKill(
          ...[
            dir,
            durability,
            compression,
            first,
            killAfterMs,
            isCompacting,
            acknowledged,
          ] as const,
        );
        compacted += compactedFiles(dir);
        await using store = await open(dir);
        try {
          const newest = await check(store, acknowledged, first, missing);
          checkFiles(store);
          if (round % 5 === 0) assert.deepEqual((await store.verify()).problems, []);
          first = newest + 10;
        } catch (error) {
          throw new Error(`round ${round}, seed ${SEED}`, { cause: error });
        }
      }
      assert(lines > ROUNDS * 10, `only ${lines} writes were acknowledged`);
      assert(compacted > 0, "nothing was compacted");
      await using store = await open(dir);
      const listed = await collect(store.list());
      const smaller = listed.filter(({ size, storedSize }) => storedSize < size);
      assert.equal(smaller.length > 0, compression !== "none");
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

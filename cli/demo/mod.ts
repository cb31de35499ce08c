/**
 * The kill-round engine: a child process imports files, is killed with SIGKILL again and again, and
 * at the end everything that it had acknowledged is read back.
 *
 * ```ts ignore
 * import { open } from "../../mod.ts";
 * import { checkStore, killRounds } from "./mod.ts";
 *
 * const store = await Deno.makeTempDir();
 * const files = [{ key: "a", path: "deno.json", size: 1000 }];
 * const { ledger } = await killRounds({
 *   store,
 *   files,
 *   rounds: 3,
 *   seed: 1,
 *   concurrency: 64,
 *   durability: "synced",
 *   maxDelayMs: 300,
 *   maxWrittenBytes: 1e9,
 * });
 * await using opened = await open(store);
 * console.log((await checkStore(opened, files, ledger)).lost); // []
 * ```
 * @module
 */
export { type CheckReport, checkStore } from "./check.ts";
export {
  type ChildEnd,
  type ChildRun,
  type KillPlan,
  type Mark,
  runChild,
} from "./child_process.ts";
export {
  ChildFailedError,
  killRounds,
  type KillRoundsOptions,
  type KillRoundsReport,
  type Round,
} from "./kill_rounds.ts";
export { type AckedPut, Ledger } from "./ledger.ts";
export type { SourceFile } from "./protocol.ts";
export { SeededRandom } from "./random.ts";

import type { Durability, RecoveryReport } from "../../mod.ts";
import { type ChildEnd, type KillPlan, runChild } from "./child_process.ts";
import { Ledger } from "./ledger.ts";
import { type ChildJob, parseLine, type SourceFile } from "./protocol.ts";
import { SeededRandom } from "./random.ts";

/** One kill in so many comes while the store is being opened. */
const OPENING_KILL_PART = 6;
/** After `maxWrittenBytes`, only files up to this size are imported again. */
const SMALL_FILE_BYTES = 256 * 1024;

/** What {@linkcode killRounds} does. */
export interface KillRoundsOptions {
  /** Directory of the store; it may be missing. */
  readonly store: string;
  /** What to import. */
  readonly files: readonly SourceFile[];
  /** How often to kill. */
  readonly rounds: number;
  /** Decides on the moments, and on the order of files. */
  readonly seed: number;
  /** Puts under way at once. */
  readonly concurrency: number;
  /** What each put waits for: `synced` or `written`, whose promise a kill does not break. */
  readonly durability: Exclude<Durability, "memory">;
  /** Latest moment of a kill, in milliseconds after the store was opened. */
  readonly maxDelayMs: number;
  /** Once so much was acknowledged, only small files are imported again: nothing frees old versions. */
  readonly maxWrittenBytes: number;
  /** Is told of each round. */
  readonly onRound?: (round: Round) => void;
  /** Ends it all. */
  readonly signal?: AbortSignal;
}

/** One life of a child. */
export interface Round {
  /** Its number, from 1. */
  readonly number: number;
  /** What the child was doing when it was killed; `finishing` if it was left to end by itself. */
  readonly hit: "opening" | "writing" | "reading" | "finishing";
  /** When it was to be killed. */
  readonly plan: KillPlan | undefined;
  /** Milliseconds from the opened store to the end. */
  readonly workedMs: number;
  /** Puts acknowledged, and their bytes. */
  readonly acks: number;
  /** Bytes of those. */
  readonly ackedBytes: number;
  /** Puts that had begun and were not acknowledged. */
  readonly interrupted: number;
  /** What opening found; `undefined` if the kill came first. */
  readonly recovery: RecoveryReport | undefined;
}

/** What came of it. */
export interface KillRoundsReport {
  /** All rounds. */
  readonly rounds: readonly Round[];
  /** What was acknowledged. */
  readonly ledger: Ledger;
  /** Why files could not be read, by their path. */
  readonly skipped: ReadonlyMap<string, string>;
}

/** A child ended in a way that it should not. */
export class ChildFailedError extends Error {
  /** Always `ChildFailedError`. */
  override readonly name = "ChildFailedError";
}

/**
 * Imports files in a child process that is killed with SIGKILL at a random moment, `rounds` times,
 * reopening each time; then, if files are missing, in one that is left to finish. Each child begins
 * with what no put is acknowledged of, and goes on with overwrites until it is killed, so that every
 * kill meets writes. Leaves the store closed: see `checkStore`.
 */
export async function killRounds(options: KillRoundsOptions): Promise<KillRoundsReport> {
  const run = new KillRounds(options);
  for (let round = 1; round <= options.rounds; round++) await run.killOnce(round);
  if (run.ledger.missing.length > 0) await run.finish(options.rounds + 1);
  return { rounds: run.rounds, ledger: run.ledger, skipped: run.skipped };
}

class KillRounds {
  readonly ledger: Ledger;
  readonly rounds: Round[] = [];
  readonly skipped = new Map<string, string>();
  readonly #options: KillRoundsOptions;
  readonly #random: SeededRandom;
  /** How long the last child took to open the store. */
  #openingMs = 10;

  constructor(options: KillRoundsOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.ledger = new Ledger(options.files.length);
  }

  async killOnce(number: number): Promise<void> {
    const { maxDelayMs } = this.#options;
    const since = this.#random.next() * OPENING_KILL_PART < 1 ? "opening" : "open";
    const afterMs = this.#random.next() * (since === "opening" ? this.#openingMs : maxDelayMs);
    await this.#round(number, { since, afterMs }, this.#order());
  }

  async finish(number: number): Promise<void> {
    await this.#round(number, undefined, this.ledger.missing);
  }

  /** What is missing first, then all others. */
  #order(): number[] {
    const { files, maxWrittenBytes } = this.#options;
    const { missing } = this.ledger;
    const onlySmall = this.ledger.ackedBytes >= maxWrittenBytes;
    const again = files.flatMap(({ size }, index) =>
      this.ledger.acked(index) === undefined || (onlySmall && size > SMALL_FILE_BYTES)
        ? []
        : [index]
    );
    return [...this.#random.shuffled(missing), ...this.#random.shuffled(again)];
  }

  async #round(number: number, plan: KillPlan | undefined, order: number[]): Promise<void> {
    const { store, files, concurrency, durability, signal, onRound } = this.#options;
    const { ledger } = this;
    const job: ChildJob = {
      store,
      concurrency,
      durability,
      endless: plan !== undefined,
      files: order.flatMap((index) => {
        const file = files[index];
        return file === undefined ? [] : [{ ...file, index }];
      }),
    };
    const before = { acks: ledger.acks, ackedBytes: ledger.ackedBytes };
    let recovery: RecoveryReport | undefined;
    const end = await runChild({
      script: new URL("./child.ts", import.meta.url),
      flags: ["--allow-read", `--allow-write=${store}`],
      input: JSON.stringify(job),
      markOf: (line) => {
        const { type } = parseLine(line);
        return type === "opening" || type === "open" ? type : undefined;
      },
      onLine: (text) => {
        const line = parseLine(text);
        if (line.type === "open") recovery = line.recovery;
        else if (line.type === "put") ledger.begin(line.put, line.index, line.size, line.sha256);
        else if (line.type === "ack") ledger.ack(line.put, line.version);
        else if (line.type === "skip") this.skipped.set(files[line.index]?.path ?? "", line.reason);
      },
      ...(plan === undefined ? {} : { kill: plan }),
      ...(signal === undefined ? {} : { signal }),
    });
    const interrupted = ledger.endRound();
    expectEnd(number, plan, end);
    if (end.openingMs !== undefined) this.#openingMs = end.openingMs;
    const round: Round = {
      number,
      plan,
      hit: hitOf(plan, end, interrupted),
      workedMs: end.workedMs,
      acks: ledger.acks - before.acks,
      ackedBytes: ledger.ackedBytes - before.ackedBytes,
      interrupted,
      recovery,
    };
    this.rounds.push(round);
    onRound?.(round);
  }
}

function hitOf(plan: KillPlan | undefined, end: ChildEnd, interrupted: number): Round["hit"] {
  if (plan === undefined) return "finishing";
  if (end.openingMs === undefined) return "opening";
  return interrupted > 0 ? "writing" : "reading";
}

/** A child may end by itself only where that was the plan, or where it had nothing to read. */
function expectEnd(number: number, plan: KillPlan | undefined, end: ChildEnd): void {
  if (end.killed ? plan !== undefined : end.code === 0) return;
  const how = end.killed ? "was killed by somebody else" : `ended with exit code ${end.code}`;
  throw new ChildFailedError(`The child of round ${number} ${how}.`);
}

/**
 * `deno task demo`: imports real folders in a child process that is killed with SIGKILL again and
 * again, then reads back everything that was acknowledged.
 */
import { open } from "../../mod.ts";
import { parseCommand, parseCount } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { describeFailure, UsageError } from "../failures.ts";
import { checkStore } from "./check.ts";
import { ChildFailedError, killRounds } from "./kill_rounds.ts";
import {
  type DemoResult,
  lossesOf,
  problemLines,
  resultText,
  ROUND_HEAD,
  roundText,
  sourcesText,
} from "./report.ts";
import { collectFiles, defaultFolders } from "./sources.ts";

const HELP = `deno task demo [DIR] [OPTIONS]

Imports the files of DIR into a store, in a child process that is killed with SIGKILL at random
moments, reopening the store each time. At the end every acknowledged file is read back and compared
by SHA-256. Without DIR: this checkout, npm's cache and Deno's cache. DIR is only read.

Options:
  --rounds N       Kills; 25 by default.
  --seed S         Decides on the moments of the kills; random by default, and printed.
  --concurrency N  Puts under way at once; 48 by default.
  --durability W   synced (default) or written: what a put waits for.
  --max-mb N       Import at most N megabytes of files; 1000 by default. The store needs some times
                   as much room for overwrites.
  --max-delay N    Kill at the latest N milliseconds after the store was opened; 1500 by default.
  --keep           Keep the store's directory.

Exit codes: 0 nothing was lost; 1 something was lost, differs or failed; 2 wrong usage.
`;

/** Of what is acknowledged, large files are imported again up to this multiple of the source … */
const OVERWRITE_FACTOR = 4;
/** … and in any case up to so many bytes. */
const LEAST_WRITTEN_BYTES = 1e9;

interface DemoOptions {
  readonly folder: string | undefined;
  readonly rounds: number;
  readonly seed: number;
  readonly concurrency: number;
  readonly durability: "synced" | "written";
  readonly maxBytes: number;
  readonly maxDelayMs: number;
  readonly keep: boolean;
}

function parseOptions(args: readonly string[]): DemoOptions {
  const { values, argument } = parseCommand(args, ["[DIR]"], {
    rounds: { type: "string", default: "25" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
    concurrency: { type: "string", default: "48" },
    durability: { type: "string", default: "synced" },
    "max-mb": { type: "string", default: "1000" },
    "max-delay": { type: "string", default: "1500" },
    keep: { type: "boolean", default: false },
  });
  const { durability } = values;
  if (durability !== "synced" && durability !== "written") {
    throw new UsageError("--durability must be synced or written.");
  }
  return {
    folder: argument(0) === "" ? undefined : argument(0),
    rounds: parseCount(values.rounds, "--rounds", 0),
    seed: parseCount(values.seed, "--seed", 0),
    concurrency: parseCount(values.concurrency, "--concurrency", 1),
    durability,
    maxBytes: parseCount(values["max-mb"], "--max-mb", 1) * 1e6,
    maxDelayMs: parseCount(values["max-delay"], "--max-delay", 1),
    keep: values.keep,
  };
}

/** A task runs in the checkout's root; a relative DIR is meant from where it was called. */
function folderOf(path: string): string {
  const calledFrom = Deno.env.get("INIT_CWD");
  const isAbsolute = path.startsWith("/") || /^[A-Za-z]:|^\\\\/.test(path);
  return isAbsolute || calledFrom === undefined ? path : `${calledFrom}/${path}`;
}

async function demo(options: DemoOptions, signal: AbortSignal): Promise<ExitCode> {
  const { folder, rounds, seed, concurrency, durability, maxBytes, maxDelayMs } = options;
  const folders = folder === undefined
    ? defaultFolders()
    : [{ name: "files", path: folderOf(folder) }];
  // Walked before the store is made, which might lie in the folder.
  const sources = collectFiles(folders, maxBytes);
  console.log(sourcesText(sources));
  if (sources.files.length === 0) throw new UsageError("There is no file to import.");

  const store = await Deno.makeTempDir({ prefix: "flagstone-demo-" });
  try {
    console.log(
      `into ${store}, ${concurrency} puts at once, durability ${durability}, seed ${seed}`,
    );
    console.log(`\n${ROUND_HEAD}`);
    const run = await killRounds({
      store,
      files: sources.files,
      rounds,
      seed,
      concurrency,
      durability,
      maxDelayMs,
      maxWrittenBytes: Math.max(sources.bytes * OVERWRITE_FACTOR, LEAST_WRITTEN_BYTES),
      onRound: (round) => console.log(roundText(round)),
      signal,
    });
    await using opened = await open(store, { create: false });
    const { recovery, segmentBytes } = opened.stats();
    const result: DemoResult = {
      sources,
      run,
      check: await checkStore(opened, sources.files, run.ledger),
      verify: await opened.verify(),
      lastRecoveryMs: recovery.durationMs,
      lastTornBytes: recovery.tornBytes,
      segmentBytes,
    };
    console.log(`\n${resultText(result)}`);
    for (const line of problemLines(result)) console.error(line);
    const holds = lossesOf(result) === 0 && result.verify.problems.length === 0;
    return holds ? ExitCode.ok : ExitCode.failed;
  } finally {
    if (options.keep) console.log(`kept ${store}`);
    else await Deno.remove(store, { recursive: true });
  }
}

async function main(args: readonly string[]): Promise<ExitCode> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP.trimEnd());
    return ExitCode.ok;
  }
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    return await demo(parseOptions(args), interrupt.signal);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\nTry: deno task demo --help`);
      return ExitCode.usage;
    }
    if (interrupt.signal.aborted) {
      console.error("interrupted");
      return ExitCode.failed;
    }
    const failure = error instanceof ChildFailedError
      ? { code: "CHILD_FAILED", message: error.message }
      : describeFailure(error);
    if (failure === undefined) throw error;
    console.error(`${failure.code}: ${failure.message}`);
    return ExitCode.failed;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);

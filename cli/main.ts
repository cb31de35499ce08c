/**
 * The command line of Flagstone: `flagstone COMMAND STORE …`. Run it with
 * `deno run --allow-read --allow-write cli/main.ts --help`, or call {@linkcode main} from a program:
 *
 * ```ts
 * import { ExitCode, main } from "@flagstone/flagstone/cli";
 *
 * const dir = await Deno.makeTempDir();
 * const exitCode = await main(["stats", dir]);
 * console.assert(exitCode === ExitCode.failed); // NOT_FOUND: there is no store
 * ```
 * @module
 */
import { ArgumentError } from "../mod.ts";
import { type Command, commandHelp } from "./command.ts";
import { compact } from "./commands/compact.ts";
import { exportFolder } from "./commands/export.ts";
import { get } from "./commands/get.ts";
import { importFolder } from "./commands/import.ts";
import { ls } from "./commands/ls.ts";
import { put } from "./commands/put.ts";
import { salvage } from "./commands/salvage.ts";
import { stats } from "./commands/stats.ts";
import { verify } from "./commands/verify.ts";
import { ExitCode } from "./exit_codes.ts";
import { describeFailure, OutputClosedError, UsageError } from "./failures.ts";
import { alignRows } from "./format.ts";
import { type Io, printLine, processIo } from "./io.ts";

export { ExitCode, type Io, OutputClosedError };

const COMMANDS: readonly Command[] = [
  importFolder,
  exportFolder,
  put,
  get,
  ls,
  stats,
  verify,
  salvage,
  compact,
];

/**
 * Runs one command. Resolves to the exit code, whatever happens to the store or to files; rejects
 * only for a mistake of this program.
 */
export async function main(args: readonly string[], io: Io = processIo()): Promise<ExitCode> {
  try {
    return await dispatch(args, io);
  } catch (error) {
    if (error instanceof OutputClosedError) return ExitCode.ok;
    if (error instanceof UsageError) {
      io.warn(`${error.message}\nTry: flagstone --help\n`);
      return ExitCode.usage;
    }
    const failure = describeFailure(error);
    if (failure === undefined) throw error;
    io.warn(`${failure.code}: ${failure.message}\n`);
    return error instanceof ArgumentError ? ExitCode.usage : ExitCode.failed;
  }
}

async function dispatch(args: readonly string[], io: Io): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === "--help" || name === "-h" || name === "help") {
    const topic = COMMANDS.find((command) => command.name === rest[0]);
    await printLine(io, (topic === undefined ? programHelp() : commandHelp(topic)).trimEnd());
    return ExitCode.ok;
  }
  if (name === undefined) throw new UsageError("A command is missing.");
  const command = COMMANDS.find((command) => command.name === name);
  if (command === undefined) throw new UsageError(`There is no command ${JSON.stringify(name)}.`);
  if (asksForHelp(rest)) {
    await printLine(io, commandHelp(command).trimEnd());
    return ExitCode.ok;
  }
  try {
    return await command.run(rest, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.warn(`${error.message}\nUsage: flagstone ${command.name} ${command.synopsis}\n`);
    return ExitCode.usage;
  }
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end === -1 ? args : args.slice(0, end);
  return options.includes("--help") || options.includes("-h");
}

function programHelp(): string {
  const commands = alignRows(COMMANDS.map(({ name, summary }) => [`  ${name}`, summary]));
  return `flagstone: an embedded, crash-safe key/blob store

Usage: flagstone COMMAND STORE [ARGUMENTS] [OPTIONS]

STORE, the directory of the store, is always the first argument. Only import and put create one.

${commands}

Options of every command:
  --help  Say more about the command.
  --json  Print JSON to standard output.
  --      End of options: needed before a key that begins with "-".

Exit codes:
  0  done (also if the reader of standard output has gone)
  1  failed; standard error has "code: message"
  2  wrong usage; nothing was touched
  3  get: no such key
  4  verify, salvage: found problems
  5  import, export: some files or keys were left out; standard error names them
`;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);

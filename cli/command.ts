import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import type { Durability } from "../mod.ts";
import type { ExitCode } from "./exit_codes.ts";
import { UsageError } from "./failures.ts";
import type { Io } from "./io.ts";

/** One command of the program. */
export interface Command {
  /** What is typed. */
  readonly name: string;
  /** Its arguments: `STORE KEY [FILE|-]`. */
  readonly synopsis: string;
  /** What it does, on one line. */
  readonly summary: string;
  /** The rest of its help: options, what is printed, exit codes. */
  readonly details: string;
  /** Does it. Throws {@linkcode UsageError}, and errors of the store and of the operating system. */
  run(args: readonly string[], io: Io): Promise<ExitCode>;
}

/** The help of a command. */
export function commandHelp(command: Command): string {
  return `flagstone ${command.name}: ${command.summary}

Usage: flagstone ${command.name} ${command.synopsis}

${command.details.trim()}
`;
}

/** Every command has these. */
const COMMON = { json: { type: "boolean", default: false } } as const;

/**
 * Takes a command's arguments apart: options, and as many positional arguments as `names` says,
 * those in brackets optional. Throws {@linkcode UsageError}.
 */
export function parseCommand<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  names: readonly string[],
  options: Options,
) {
  const parsed = parse(args, { ...COMMON, ...options });
  const { positionals } = parsed;
  const missing = names.find((name, i) => i >= positionals.length && !name.startsWith("["));
  if (missing !== undefined) throw new UsageError(`${missing} is missing.`);
  const extra = positionals[names.length];
  if (extra !== undefined) throw new UsageError(`Too many arguments: ${JSON.stringify(extra)}.`);
  return { values: parsed.values, argument: (i: number): string => positionals[i] ?? "" };
}

function parse<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

/** A whole number from `least` on. Throws {@linkcode UsageError}. */
export function parseCount(text: string, option: string, least: number): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(count) && count >= least) return count;
  throw new UsageError(
    `${option} must be a whole number from ${least} on: ${JSON.stringify(text)}`,
  );
}

/** A durability. Throws {@linkcode UsageError}. */
export function parseDurability(text: string): Durability {
  if (text === "synced" || text === "written" || text === "memory") return text;
  throw new UsageError(
    `--durability must be synced, written or memory: ${JSON.stringify(text)}`,
  );
}

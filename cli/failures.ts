import { ArgumentError, FlagstoneError } from "../mod.ts";

/** The command line is wrong; the message says what would be right. */
export class UsageError extends Error {
  /** Always `UsageError`. */
  override readonly name = "UsageError";
}

/** Nobody reads standard output any more: the command stops, and that is no failure. */
export class OutputClosedError extends Error {
  /** Always `OutputClosedError`. */
  override readonly name = "OutputClosedError";

  /** Makes one. */
  constructor() {
    super("Standard output was closed.");
  }
}

/** A failure as standard error shows it: `code: message`. */
export interface Failure {
  /** A stable word: one of `ErrorCode`. */
  readonly code: string;
  /** For a person. */
  readonly message: string;
}

/** The words that the store uses for what Deno reports about files. */
const CODES: Readonly<Record<string, string>> = {
  NotFound: "NOT_FOUND",
  PermissionDenied: "PERMISSION",
  NotCapable: "PERMISSION",
  AlreadyExists: "EXISTS",
  NotADirectory: "NOT_A_DIRECTORY",
  IsADirectory: "IS_A_DIRECTORY",
  FilesystemLoop: "INVALID",
  Busy: "BUSY",
  InvalidFilename: "INVALID",
  FileTooLarge: "TOO_LARGE",
  StorageFull: "NO_SPACE",
  ReadOnlyFilesystem: "READ_ONLY",
};

/**
 * What there is to tell about an error of the store or of the operating system; `undefined` for
 * anything else, which is a mistake of this program and deserves its stack trace.
 */
export function describeFailure(error: unknown): Failure | undefined {
  if (error instanceof FlagstoneError || error instanceof ArgumentError) {
    return { code: error.code, message: error.message };
  }
  if (!(error instanceof Error)) return undefined;
  const code = CODES[error.name];
  if (code !== undefined) return { code, message: error.message };
  // Other failures of the operating system carry their errno's name.
  const errno: unknown = "code" in error ? error.code : undefined;
  const isSystem = typeof errno === "string" && /^E[A-Z0-9]+$/.test(errno);
  return isSystem || error.message.includes("(os error")
    ? { code: "IO", message: error.message }
    : undefined;
}

/** As {@linkcode describeFailure}, for one file of many; throws what is a mistake of this program. */
export function failureOf(error: unknown): Failure {
  const failure = describeFailure(error);
  if (failure === undefined) throw error;
  return failure;
}

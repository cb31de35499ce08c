import { type ErrorCode, FlagstoneError } from "../errors/mod.ts";
import { fsError } from "./_check.ts";

/** What the system's own names for failures mean to us. The rest is `IO`. */
const BY_SYSTEM_CODE: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ["ENOENT", "NOT_FOUND"],
  ["EEXIST", "EXISTS"],
  ["ENOTEMPTY", "NOT_EMPTY"],
  ["ENOTDIR", "NOT_A_DIRECTORY"],
  ["EISDIR", "IS_A_DIRECTORY"],
  ["ENOSPC", "NO_SPACE"],
  ["EDQUOT", "NO_SPACE"],
  ["EACCES", "PERMISSION"],
  ["EPERM", "PERMISSION"],
  ["EROFS", "READ_ONLY"],
  ["EBUSY", "BUSY"],
  ["ETXTBSY", "BUSY"],
  ["EINVAL", "INVALID"],
  ["EFBIG", "INVALID"],
  ["ENAMETOOLONG", "INVALID"],
  ["ELOOP", "INVALID"],
  ["EXDEV", "UNSUPPORTED"],
  ["EMLINK", "UNSUPPORTED"],
  ["ENOSYS", "UNSUPPORTED"],
  ["EOPNOTSUPP", "UNSUPPORTED"],
  ["ENOTSUP", "UNSUPPORTED"],
]);

/** The system's name for a failure ("ENOENT"), where Deno tells it. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

function codeOf(error: unknown): ErrorCode {
  const known = BY_SYSTEM_CODE.get(systemCode(error) ?? "");
  if (known !== undefined) return known;
  // Refusals by Deno itself carry a class only.
  if (error instanceof Deno.errors.NotCapable) return "PERMISSION";
  if (error instanceof Deno.errors.BadResource) return "CLOSED";
  if (error instanceof Deno.errors.NotFound) return "NOT_FOUND";
  if (error instanceof Deno.errors.AlreadyExists) return "EXISTS";
  if (error instanceof Deno.errors.NotADirectory) return "NOT_A_DIRECTORY";
  if (error instanceof Deno.errors.IsADirectory) return "IS_A_DIRECTORY";
  if (error instanceof Deno.errors.PermissionDenied) return "PERMISSION";
  if (error instanceof Deno.errors.NotSupported) return "UNSUPPORTED";
  if (error instanceof Deno.errors.Busy) return "BUSY";
  return "IO";
}

/** Wraps what Deno threw; an error that is ours already passes through. */
export function denoError(error: unknown, operation: string, path: string): FlagstoneError {
  if (error instanceof FlagstoneError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return fsError(codeOf(error), operation, path, reason, { cause: error });
}

/** True where a system call was cut short by a signal before it did anything: do it again. */
export function isInterrupted(error: unknown): boolean {
  return error instanceof Deno.errors.Interrupted || systemCode(error) === "EINTR";
}

/** True where a path leads to nothing. */
export function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

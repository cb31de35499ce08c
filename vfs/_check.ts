import { type ErrorCode, type ErrorDetails, FlagstoneError } from "../errors/mod.ts";

/** True for what can be an offset or a length: an integer from 0 up, exactly representable. */
export function isExtent(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** The error for an offset or length that {@linkcode isExtent} refuses. */
export function badExtent(operation: string, path: string, value: number): FlagstoneError {
  return new FlagstoneError(
    "INVALID",
    `Cannot ${operation}: ${value} is no offset or length: ${path}`,
    { operation, path },
  );
}

/** Throws `INVALID` unless `value` is an offset or length. */
export function checkExtent(operation: string, path: string, value: number): void {
  if (!isExtent(value)) throw badExtent(operation, path, value);
}

/** A file-system error in the one form that all of this folder uses. */
export function fsError(
  code: ErrorCode,
  operation: string,
  path: string,
  reason: string,
  more: Omit<ErrorDetails, "path" | "operation"> = {},
): FlagstoneError {
  return new FlagstoneError(code, `Cannot ${operation}: ${reason}: ${path}`, {
    ...more,
    operation,
    path,
  });
}

/** The error of a call on a handle that is closed. */
export function closedError(operation: string, path: string): FlagstoneError {
  return fsError("CLOSED", operation, path, "the handle is closed");
}

/** Throws `INVALID` for a path that no file system can use. */
export function checkPath(operation: string, path: string): void {
  if (path === "") throw fsError("INVALID", operation, path, "the path is empty");
  if (path.includes("\0")) {
    throw fsError("INVALID", operation, path.replaceAll("\0", "\\0"), "the path contains NUL");
  }
}

import { ArgumentError } from "../errors/mod.ts";
import { MAX_LOG_LENGTH } from "./log_store.ts";

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** Throws unless `value` is an integer from `least` to `most`. */
export function checkInteger(argument: string, value: unknown, least: number, most: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) {
    return;
  }
  throw new ArgumentError(
    argument,
    `${argument} must be an integer from ${least} to ${most}: ${show(value)}`,
  );
}

/** Throws unless `value` is a string with something in it. */
export function checkPathArgument(argument: string, value: unknown): void {
  if (typeof value === "string" && value !== "") return;
  throw new ArgumentError(argument, `${argument} must be a path: ${show(value)}`);
}

/** Throws unless `value` is bytes. */
export function checkBytes(argument: string, value: unknown): asserts value is Uint8Array {
  if (value instanceof Uint8Array) return;
  throw new ArgumentError(argument, `${argument} must be a Uint8Array: ${show(value)}`);
}

/** Throws unless `parts` can be written at `position`; returns how many bytes they are. */
export function checkWrite(parts: readonly Uint8Array[], position: number, head: number): number {
  if (!Array.isArray(parts)) {
    throw new ArgumentError("parts", `parts must be an array of Uint8Array: ${show(parts)}`);
  }
  let total = 0;
  for (const part of parts) {
    checkBytes("parts", part);
    total += part.length;
  }
  checkPosition(position, head);
  if (total <= MAX_LOG_LENGTH - position) return total;
  throw new ArgumentError(
    "position",
    `Cannot write ${total} bytes at ${position}: a log ends at ${MAX_LOG_LENGTH} at the latest.`,
  );
}

/** Throws unless `position` is a position, and not one that was dropped. */
export function checkPosition(position: number, head: number): void {
  checkInteger("position", position, 0, MAX_LOG_LENGTH);
  if (position >= head) return;
  throw new ArgumentError(
    "position",
    `Position ${position} lies before the head of the log, ${head}: what was there is dropped.`,
  );
}

/** Throws unless a log from `head` to `end` can be cut at `length`. */
export function checkTruncate(length: number, head: number, end: number): void {
  checkInteger("length", length, 0, MAX_LOG_LENGTH);
  if (length >= head && length <= end) return;
  throw new ArgumentError(
    "length",
    `Cannot cut the log at ${length}: it lies from ${head} to ${end}. A cut never makes it longer.`,
  );
}

/** Throws unless what lies before `position` can be dropped of a log that ends at `end`. */
export function checkTruncateBefore(position: number, end: number): void {
  checkInteger("position", position, 0, MAX_LOG_LENGTH);
  if (position <= end) return;
  throw new ArgumentError(
    "position",
    `Cannot drop what lies before ${position}: the log ends at ${end}.`,
  );
}

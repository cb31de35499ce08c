import { ArgumentError, integer, refuseUnknown, show } from "../errors/mod.ts";
import type { StreamOptions } from "./types.ts";
import type { Part } from "./value_stream.ts";

/** The part that `options` ask for of a value of `size` bytes. Throws {@linkcode ArgumentError} if it is not within it. */
export function partOf(options: StreamOptions = {}, size: number): Part {
  refuseUnknown(options, ["offset", "length", "signal"], "options");
  const { signal } = options;
  const most = Math.min(size, Number.MAX_SAFE_INTEGER);
  const offset = integer(options.offset, "options.offset", { least: 0, most, fallback: 0 });
  const left = most - offset;
  const length = integer(options.length, "options.length", {
    least: 0,
    most: left,
    fallback: left,
  });
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    const message = `options.signal must be an AbortSignal: ${show(signal)}`;
    throw new ArgumentError("options.signal", message);
  }
  return { offset, end: offset + length, signal };
}

import { ArgumentError } from "./errors.ts";

/** Shows an argument in a message, short. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "object" && value !== null) {
    return `an object of type ${value.constructor?.name ?? "null prototype"}`;
  }
  return String(value);
}

/** Throws {@linkcode ArgumentError} unless `options` is an object with none but `known` properties. */
export function refuseUnknown(
  options: unknown,
  known: readonly string[],
  argument: string,
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ArgumentError(argument, `${argument} must be an object: ${show(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new ArgumentError(
      `${argument}.${name}`,
      `Unknown option "${name}"; there are: ${known.join(", ")}`,
    );
  }
}

/** A whole number within a range, or `fallback` if it is not given. Throws {@linkcode ArgumentError}. */
export function integer(
  value: unknown,
  argument: string,
  range: { least: number; most: number; fallback: number },
): number {
  if (value === undefined) return range.fallback;
  if (
    typeof value === "number" && Number.isInteger(value) && value >= range.least &&
    value <= range.most
  ) return value;
  throw new ArgumentError(
    argument,
    `${argument} must be a whole number from ${range.least} to ${range.most}: ${show(value)}`,
  );
}

/** One of `choices`, or `fallback` if it is not given. Throws {@linkcode ArgumentError}. */
export function oneOf<T>(value: unknown, argument: string, choices: readonly T[], fallback: T): T {
  if (value === undefined) return fallback;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new ArgumentError(
    argument,
    `${argument} must be one of ${choices.join(", ")}: ${show(value)}`,
  );
}

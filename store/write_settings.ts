import type { Codecs } from "../codec/mod.ts";
import { ArgumentError, refuseUnknown, show } from "../errors/mod.ts";
import { type CompressionSettings, resolveCompression } from "./compression.ts";
import { expiryOf } from "./expiry.ts";
import { resolveDurability } from "./options.ts";
import type {
  DeleteOptions,
  Durability,
  PutOptions,
  UpdateOptions,
  ValueOptions,
  WriteOptions,
} from "./types.ts";

/** Of a write that does not ask what was there before. */
export const NO_CONDITION = -1;

const PUT_OPTIONS = [
  "durability",
  "signal",
  "compression",
  "expireIn",
  "expireAt",
  "ifVersion",
  "ifAbsent",
];
const UPDATE_OPTIONS = ["durability", "signal", "compression", "expireIn", "expireAt"];

/** The options of one write, checked, with every default filled in. */
export interface WriteSettings {
  /** When the promise resolves. */
  readonly durability: Durability;
  /** Version that the key must have, 0 for no value at all; `NO_CONDITION`: whatever it has. */
  readonly condition: number;
  /** Ends the wait for a place in the log. */
  readonly signal: AbortSignal | undefined;
  /** How values are compressed; `undefined`: not at all. */
  readonly compression: CompressionSettings | undefined;
  /** When the value ends, in ms since the epoch; 0: it does not. */
  readonly expiresAt: number;
}

/** Settings of a write that gives no options. */
export function defaultSettings(
  durability: Durability,
  compression: CompressionSettings | undefined,
): WriteSettings {
  return { durability, condition: NO_CONDITION, signal: undefined, compression, expiresAt: 0 };
}

/** Settings of a put. Throws {@linkcode ArgumentError}. */
export function putSettings(
  options: PutOptions,
  defaults: WriteSettings,
  codecs: Codecs,
  now: () => number,
): WriteSettings {
  refuseUnknown(options, PUT_OPTIONS, "options");
  const condition = conditionOf(options, "options");
  const expiresAt = expiryOf(options, "options", now);
  return {
    ...settings(options, defaults),
    condition,
    expiresAt,
    ...compressionOf(options, codecs),
  };
}

/** Settings of an update. Throws {@linkcode ArgumentError}. */
export function updateSettings(
  options: UpdateOptions,
  defaults: WriteSettings,
  codecs: Codecs,
  now: () => number,
): WriteSettings {
  refuseUnknown(options, UPDATE_OPTIONS, "options");
  const expiresAt = expiryOf(options, "options", now);
  return { ...settings(options, defaults), expiresAt, ...compressionOf(options, codecs) };
}

/** Settings of a delete. Throws {@linkcode ArgumentError}. */
export function deleteSettings(options: DeleteOptions, defaults: WriteSettings): WriteSettings {
  refuseUnknown(options, ["durability", "signal", "ifVersion"], "options");
  return { ...settings(options, defaults), condition: conditionOf(options, "options") };
}

/** Settings of a batch. Throws {@linkcode ArgumentError}. */
export function batchSettings(
  options: ValueOptions,
  defaults: WriteSettings,
  codecs: Codecs,
): WriteSettings {
  refuseUnknown(options, ["durability", "signal", "compression"], "options");
  return { ...settings(options, defaults), ...compressionOf(options, codecs) };
}

/** The condition that `options` state, which are those of a write or of an operation of a batch. */
export function conditionOf(
  options: { readonly ifVersion?: number; readonly ifAbsent?: boolean },
  argument: string,
): number {
  const ifAbsent: unknown = options.ifAbsent ?? false;
  if (typeof ifAbsent !== "boolean") {
    throw new ArgumentError(
      `${argument}.ifAbsent`,
      `${argument}.ifAbsent must be a boolean: ${show(ifAbsent)}`,
    );
  }
  // A version that is not there must not make a write unconditional: `ifVersion: entry?.version`.
  if (!("ifVersion" in options)) return ifAbsent ? 0 : NO_CONDITION;
  const ifVersion: unknown = options.ifVersion;
  if (!Number.isSafeInteger(ifVersion) || (ifVersion as number) < 0) {
    throw new ArgumentError(
      `${argument}.ifVersion`,
      `${argument}.ifVersion must be a version, or 0 for a key without a value: ${show(ifVersion)}`,
    );
  }
  if (ifAbsent && ifVersion !== 0) {
    throw new ArgumentError(
      `${argument}.ifAbsent`,
      `${argument} cannot have both ifAbsent and ifVersion ${ifVersion}`,
    );
  }
  return ifVersion as number;
}

function settings(options: WriteOptions, defaults: WriteSettings): WriteSettings {
  const { signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new ArgumentError(
      "options.signal",
      `options.signal must be an AbortSignal: ${show(signal)}`,
    );
  }
  const durability = resolveDurability(options.durability, "options.durability") ??
    defaults.durability;
  return { ...defaults, durability, signal };
}

function compressionOf(
  options: ValueOptions,
  codecs: Codecs,
): { compression?: CompressionSettings | undefined } {
  if (options.compression === undefined) return {};
  return { compression: resolveCompression(options.compression, codecs) };
}

import { ArgumentError, integer, oneOf, refuseUnknown, show } from "../errors/mod.ts";
import { DenoFs } from "../vfs/mod.ts";
import type { Durability } from "./log_parts.ts";
import { checkSlabs } from "./slab_limits.ts";
import type { Codec, CorruptionPolicy, WalOptions } from "./wal_types.ts";

/** {@linkcode WalOptions} with every default filled in. */
export interface ResolvedWalOptions<T> extends Required<Omit<WalOptions<T>, "segmentBytes">> {
  readonly slabBytes: number;
}

const DURABILITIES: readonly Durability[] = ["synced", "written", "memory"];
const MAX_RECORD_BYTES = 1024 * 1024 * 1024;
const PAGE_BYTES = 4096;
const KNOWN = [
  "durability",
  "create",
  "fs",
  "codec",
  "segmentBytes",
  "slabs",
  "maxRecordBytes",
  "syncIntervalMs",
  "idleWorkerMs",
  "stallTimeoutMs",
];

/** Values that are bytes already. */
export const BYTES: Codec<unknown> = {
  encode(value) {
    if (value instanceof Uint8Array) return value;
    throw new ArgumentError("value", `Without a codec, a record is a Uint8Array: ${show(value)}`);
  },
  decode: (bytes) => bytes,
};

/** Checks options and fills in defaults. Throws {@linkcode ArgumentError}. */
export function resolveWalOptions<T>(options: WalOptions<T> = {}): ResolvedWalOptions<T> {
  refuseUnknown(options, KNOWN, "options");
  const fs = options.fs ?? new DenoFs();
  if (typeof fs !== "object" || typeof fs.openReadWrite !== "function") {
    throw new ArgumentError("options.fs", `options.fs must be a file system: ${show(fs)}`);
  }
  const codec = options.codec ?? BYTES as Codec<T>;
  if (typeof codec?.encode !== "function" || typeof codec.decode !== "function") {
    throw new ArgumentError("options.codec", "options.codec must have encode() and decode()");
  }
  const number = (name: keyof WalOptions, least: number, most: number, fallback: number) =>
    integer(options[name], `options.${name}`, { least, most, fallback });
  const segmentBytes = number("segmentBytes", 64 * 1024, MAX_RECORD_BYTES, 16 * 1024 * 1024);
  const slabs = number("slabs", 2, 64, 3);
  checkSlabs(slabs, segmentBytes, "options.segmentBytes");
  return {
    durability: writeDurability(options, "memory"),
    create: oneOf(options.create, "options.create", [true, false], true),
    fs,
    codec,
    slabBytes: Math.ceil(segmentBytes / PAGE_BYTES) * PAGE_BYTES,
    slabs,
    maxRecordBytes: number("maxRecordBytes", 1, MAX_RECORD_BYTES, 64 * 1024 * 1024),
    syncIntervalMs: number("syncIntervalMs", 0, 60_000, 0),
    idleWorkerMs: number("idleWorkerMs", 50, 2000, 1000),
    stallTimeoutMs: number("stallTimeoutMs", 1000, 600_000, 60_000),
  };
}

/** The bytes of a value. Throws `ArgumentError` if the codec gives anything else. */
export function encodeWith<T>(codec: Codec<T>, value: T): Uint8Array {
  const bytes: unknown = codec.encode(value);
  if (bytes instanceof Uint8Array) return bytes;
  throw new ArgumentError("value", `A codec's encode() must give a Uint8Array: ${show(bytes)}`);
}

/** Throws `ArgumentError` for what cannot be an LSN. */
export function checkLsn(lsn: number): void {
  if (Number.isSafeInteger(lsn) && lsn >= 0) return;
  throw new ArgumentError("lsn", `An LSN is a whole number from 0 on: ${show(lsn)}`);
}

/** The policy that an iteration asks for. */
export function checkPolicy(policy: CorruptionPolicy | undefined): CorruptionPolicy {
  return oneOf(policy, "options.onCorruption", ["throw", "stop", "skip"], "throw");
}

/** The durability that options ask for, or `fallback`. */
export function writeDurability(
  options: { readonly durability?: Durability },
  fallback: Durability,
): Durability {
  return oneOf(options.durability, "options.durability", DURABILITIES, fallback);
}

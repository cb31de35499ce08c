import type { Codecs } from "../codec/mod.ts";
import { ArgumentError, FlagstoneError, refuseUnknown, show } from "../errors/mod.ts";
import { EXPIRY_BYTES, RecordFlag, RecordKind, recordSpace } from "../wal/mod.ts";
import { type CompressionSettings, type Compressor, resolveCompression } from "./compression.ts";
import { expiryOf } from "./expiry.ts";
import type { KeyBuffer } from "./keys.ts";
import { MAX_BATCH_BYTES } from "./limits.ts";
import { fingerprintOf, type PreparedWrite } from "./pending_writes.ts";
import type { BatchOperation, Value } from "./types.ts";
import { conditionOf, NO_CONDITION } from "./write_settings.ts";

const PUT_FIELDS = [
  "type",
  "key",
  "value",
  "compression",
  "expireIn",
  "expireAt",
  "ifVersion",
  "ifAbsent",
];
const DELETE_FIELDS = ["type", "key", "ifVersion"];

const encoder = new TextEncoder();

/** The bytes of a value. One whose buffer was transferred away has none, and is refused. */
export function valueBytes(value: Value): Uint8Array {
  if (value instanceof Uint8Array) {
    if (value.length > 0 || !isDetached(value.buffer)) return value;
  } else if (typeof value === "string") {
    return encoder.encode(value);
  } else if (value instanceof ArrayBuffer && !value.detached) {
    return new Uint8Array(value);
  }
  throw new ArgumentError(
    "value",
    `A value must be a Uint8Array, an ArrayBuffer (not detached) or a string: ${show(value)}`,
  );
}

/** Throws `TOO_LARGE` for more than a batch may have. */
export function checkSize(bytes: number): void {
  if (bytes <= MAX_BATCH_BYTES) return;
  throw new FlagstoneError(
    "TOO_LARGE",
    `Cannot write ${bytes} bytes at once: a batch may have ${MAX_BATCH_BYTES}.`,
  );
}

/** What an operation of a batch is taken apart with. */
export interface OperationParts {
  readonly keys: KeyBuffer;
  readonly codecs: Codecs;
  /** How values are compressed unless the operation says otherwise. */
  readonly compression: CompressionSettings | undefined;
  readonly now: () => number;
}

/** Takes operation `index` of a batch apart, leaving its key in `keys`. The value is still the caller's. */
export function prepareOperation(
  { keys, codecs, compression: usual, now }: OperationParts,
  operation: BatchOperation,
  index: number,
): PreparedWrite {
  const argument = `operations[${index}]`;
  const type: unknown = operation?.type;
  if (type !== "put" && type !== "delete") {
    throw new ArgumentError(
      `${argument}.type`,
      `${argument}.type must be "put" or "delete": ${show(type)}`,
    );
  }
  refuseUnknown(operation, type === "put" ? PUT_FIELDS : DELETE_FIELDS, argument);
  const condition = conditionOf(operation, argument);
  keys.set(operation.key);
  if (operation.type === "delete") return prepareWrite(keys, undefined, { condition, index });
  const bytes = valueBytes(operation.value);
  checkSize(bytes.length);
  const expiresAt = expiryOf(operation, argument, now);
  const compression = operation.compression === undefined
    ? usual
    : resolveCompression(operation.compression, codecs, `${argument}.compression`);
  return prepareWrite(keys, bytes, { condition, index, expiresAt, compression });
}

/** What a write has beside key and value. */
export interface WriteTraits {
  /** See `WriteSettings.condition`. */
  readonly condition?: number;
  /** Which operation of a batch it is. */
  readonly index?: number;
  /** When the value ends; 0: it does not. Of no meaning to a delete. */
  readonly expiresAt?: number;
  /** See `PreparedWrite.compression`. */
  readonly compression?: CompressionSettings | undefined;
}

/** Space of a record whose value ends at `expiresAt`, 0 for never. */
export function spaceOf(keyBytes: number, valueBytes: number, expiresAt: number): number {
  return recordSpace(keyBytes, valueBytes + (expiresAt === 0 ? 0 : EXPIRY_BYTES));
}

/** A put of `value` to the key in `keys`, or its deletion. The value is still the caller's. */
export function prepareWrite(
  keys: KeyBuffer,
  value: Uint8Array | undefined,
  { condition = NO_CONDITION, index, expiresAt = 0, compression }: WriteTraits = {},
): PreparedWrite {
  const isOfTime = value !== undefined && expiresAt !== 0;
  return {
    kind: value === undefined ? RecordKind.delete : RecordKind.put,
    key: keys.copy(),
    flags: isOfTime ? keys.flags | RecordFlag.expires : keys.flags,
    expiresAt: isOfTime ? expiresAt : 0,
    value,
    lent: undefined,
    space: spaceOf(
      keys.length,
      Math.min(value?.length ?? 0, MAX_BATCH_BYTES),
      isOfTime ? expiresAt : 0,
    ),
    lock: keys.lock,
    fingerprint: fingerprintOf(keys),
    condition,
    index,
    compression,
  };
}

/** `write` with its value compressed if it is worth it, or lent to the thread that does that. */
export function compressWrite(
  write: PreparedWrite,
  compressor: Compressor,
  settings: CompressionSettings | undefined,
): PreparedWrite {
  const { value } = write;
  if (settings === undefined || value === undefined || value.length < settings.minBytes) {
    return write;
  }
  if (value.length > MAX_BATCH_BYTES) return write;
  if (compressor.isLarge(value, settings)) {
    const lent = compressor.lend(value, settings);
    return { ...write, value: lent.raw, lent };
  }
  const stored = compressor.compress(value, settings);
  return stored === undefined ? write : storedWrite(write, stored);
}

/** `write` with `stored` as its compressed value. */
export function storedWrite(write: PreparedWrite, stored: Uint8Array): PreparedWrite {
  return {
    ...write,
    value: stored,
    flags: write.flags | RecordFlag.compressed,
    space: spaceOf(write.key.length, stored.length, write.expiresAt),
  };
}

function isDetached(buffer: ArrayBufferLike): boolean {
  return buffer instanceof ArrayBuffer && buffer.detached;
}

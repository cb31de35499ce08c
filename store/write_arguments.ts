import { ArgumentError, FlagstoneError } from "../errors/mod.ts";
import { RecordKind, recordSpace } from "../wal/mod.ts";
import type { KeyBuffer } from "./keys.ts";
import { refuseUnknown, show } from "./options.ts";
import { fingerprintOf, type PreparedWrite } from "./pending_writes.ts";
import type { BatchOperation, Value } from "./types.ts";
import { conditionOf, NO_CONDITION } from "./write_settings.ts";

/** Longest value, in bytes: 1 GiB. A batch may hold that much in all. */
export const MAX_VALUE_BYTES = 1024 * 1024 * 1024;

const PUT_FIELDS = ["type", "key", "value", "ifVersion", "ifAbsent"];
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

/** Throws `TOO_LARGE` for more than may be written at once. */
export function checkSize(bytes: number): void {
  if (bytes <= MAX_VALUE_BYTES) return;
  throw new FlagstoneError(
    "TOO_LARGE",
    `Cannot write ${bytes} bytes at once: a value, or a batch, may have ${MAX_VALUE_BYTES}.`,
  );
}

/** Takes operation `index` of a batch apart, leaving its key in `keys`. The value is still the caller's. */
export function prepareOperation(
  keys: KeyBuffer,
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
  if (operation.type === "delete") return prepareWrite(keys, undefined, condition, index);
  const bytes = valueBytes(operation.value);
  checkSize(bytes.length);
  return prepareWrite(keys, bytes, condition, index);
}

/** A put of `value` to the key in `keys`, or its deletion. The value is still the caller's. */
export function prepareWrite(
  keys: KeyBuffer,
  value: Uint8Array | undefined,
  condition: number = NO_CONDITION,
  index?: number,
): PreparedWrite {
  return {
    kind: value === undefined ? RecordKind.delete : RecordKind.put,
    key: keys.copy(),
    flags: keys.flags,
    value,
    space: recordSpace(keys.length, value?.length ?? 0),
    lock: keys.lock,
    fingerprint: fingerprintOf(keys),
    condition,
    index,
  };
}

function isDetached(buffer: ArrayBufferLike): boolean {
  return buffer instanceof ArrayBuffer && buffer.detached;
}

import { randomOf } from "../_support.ts";

/** Writers at once. */
export const WRITERS = 64;

/** Length of a slab of the writers. */
export const SLAB_BYTES = 1024 * 1024;
/** Few writers write large values: they take long. */
const LARGE_WRITERS = 4;

/** The value of write `n` of a writer: `n` in front, then bytes that depend on both. 0 to some 20,000 bytes, or larger than a slab. */
export function valueOf(name: string, n: number): Uint8Array {
  const random = randomOf(n * 1009 + Number(name.slice(1)) + name.charCodeAt(0) * 65_537);
  const small = 8 + Math.floor(random() ** 4 * 20_000);
  const size = isLarge(name, n) ? SLAB_BYTES + small : small;
  const value = new Uint8Array(size);
  const fill = Math.floor(random() * 256);
  for (let i = 8; i < size; i++) value[i] = (fill + i * 31) & 0xff;
  new DataView(value.buffer).setFloat64(0, n);
  return value;
}

/** True if write `n` of a writer is of a value that is larger than a slab. */
export function isLarge(name: string, n: number): boolean {
  return name.startsWith("w") && Number(name.slice(1)) < LARGE_WRITERS && n % 2 === 1;
}

/** The `n` that a value says it is of. */
export function numberOf(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset).getFloat64(0);
}

/** True if write `n` of a single-key writer is a delete. */
export function isDelete(n: number): boolean {
  return n % 7 !== 3 && n % 11 === 5;
}

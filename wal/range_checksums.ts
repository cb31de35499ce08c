import { crc32 } from "node:zlib";

/** CRC-32's polynomial, bit-reversed. */
const POLYNOMIAL = 0xedb88320;
const ONE = 1 << 31;
const STEP_BYTES = 4096;

/** x^(2^n) modulo the polynomial, for n from 0 to 31. */
const POWERS = new Int32Array(32);
POWERS[0] = ONE >>> 1;
for (let n = 1; n < 32; n++) POWERS[n] = multiply(POWERS[n - 1]!, POWERS[n - 1]!);

/**
 * CRC-32 of any range of `bytes` in constant time, after one pass over all of them: the checksum of
 * a range follows from those of two prefixes, multiplied modulo the polynomial (Mark Adler's
 * crc32_combine, turned round). For a search that has to checksum overlapping ranges, which would
 * otherwise cost the square of their length.
 */
export class RangeChecksums {
  readonly #bytes: Uint8Array;
  readonly #from: number;
  /** Checksums of `[from, from + i × 4096)`. */
  readonly #prefixes: Int32Array;

  /** Prepares for ranges that begin at or after `from`. */
  constructor(bytes: Uint8Array, from: number) {
    this.#bytes = bytes;
    this.#from = from;
    const steps = Math.floor((bytes.length - from) / STEP_BYTES);
    this.#prefixes = new Int32Array(steps + 1);
    for (let i = 0; i < steps; i++) {
      const start = from + i * STEP_BYTES;
      const step = bytes.subarray(start, start + STEP_BYTES);
      this.#prefixes[i + 1] = crc32(step, this.#prefixes[i]! >>> 0);
    }
  }

  /** The same as `crc32(bytes.subarray(start, end), seed)`, as a signed word. */
  checksum(start: number, end: number, seed: number): number {
    const before = this.#prefix(start) ^ seed;
    return multiply(powerOfBytes(end - start), before) ^ this.#prefix(end);
  }

  #prefix(end: number): number {
    const step = Math.floor((end - this.#from) / STEP_BYTES);
    const rest = this.#bytes.subarray(this.#from + step * STEP_BYTES, end);
    return crc32(rest, this.#prefixes[step]! >>> 0) | 0;
  }
}

/** x^(8 × bytes) modulo the polynomial. */
function powerOfBytes(bytes: number): number {
  let power = ONE;
  for (let n = 3, rest = bytes; rest > 0; n++, rest >>>= 1) {
    if ((rest & 1) !== 0) power = multiply(POWERS[n & 31]!, power);
  }
  return power;
}

/** The product of two polynomials modulo the polynomial, all bit-reversed. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor;
    factor = (factor & 1) !== 0 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product;
}

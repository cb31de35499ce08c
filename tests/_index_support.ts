/** What the tests of the index and their Worker share. */
import type { KeyHasher } from "../index/mod.ts";

/** The secret of the tests' hashes. */
export const SECRET: Uint8Array = new Uint8Array(16).map((_, i) => i);
/** Number of keys that the concurrency test writes. */
export const KEYS = 1 << 17;

const words = new Int32Array(2);

/** Hashes key number `key`. */
export function keyInto<T extends KeyHasher>(hasher: T, key: number): T {
  words[0] = key;
  hasher.hash(words, 5);
  return hasher;
}

/** What an entry holds. */
export interface Fields {
  readonly sequence: number;
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
}

/** The entry of `key` at `sequence`: each field follows from the two, so that a mixture shows. */
export function fieldsOf(key: number, sequence: number): Fields {
  const mixed = Math.imul(sequence % 0xffff_fff1, 0x85ebca6b) ^ key;
  return {
    sequence,
    segment: mixed & 0x7fff_ffff,
    offset: Math.imul(mixed, 0x9e3779b1) >>> 1,
    length: 100 + (mixed >>> 8 & 0xffff),
    flags: mixed >>> 24,
  };
}

/** True if all fields are of one entry. */
export function isWhole(key: number, found: Fields): boolean {
  const { segment, offset, length, flags } = fieldsOf(key, found.sequence);
  return found.segment === segment && found.offset === offset && found.length === length &&
    found.flags === flags;
}

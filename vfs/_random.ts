/** A stream of numbers from 0 up to, not including, 1. */
export type Random = () => number;

/** The stream that a seed determines: the same on every machine and in every version. (SplitMix32.) */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) / 2 ** 32;
  };
}

/** A seed for a part of something seeded: the parts differ, and a text always gives the same. */
export function seedFor(seed: number, part: string): number {
  let hash = seed >>> 0;
  for (let at = 0; at < part.length; at++) {
    hash = Math.imul(hash ^ part.charCodeAt(at), 0x01000193) >>> 0;
  }
  return hash;
}

/** Bytes of the secret that a {@linkcode KeyHasher} is made with. */
export const HASH_SECRET_BYTES = 16;

/**
 * A 128-bit keyed hash of a key: HalfSipHash-2-4 (Aumasson, Bernstein), twice, with two halves of a
 * secret. Without the secret nobody can choose keys that meet. The result is left in `h0` to `h3`,
 * so that hashing allocates nothing.
 *
 * The rounds are written out, both lanes side by side: calls would have to pass eight words, and this
 * is on the way of every put and get.
 */
export class KeyHasher {
  /** First lane, first word of the last hash; the index does not keep it. */
  h0 = 0;
  /** First lane, second word. */
  h1 = 0;
  /** Second lane, first word. */
  h2 = 0;
  /** Second lane, second word: chooses the shard (low byte) and the place in it. */
  h3 = 0;
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;

  /** Makes a hasher with a secret of 16 bytes. */
  constructor(secret: Uint8Array) {
    const words = new Int32Array(secret.slice(0, HASH_SECRET_BYTES).buffer);
    this.#k0 = words[0]!;
    this.#k1 = words[1]!;
    this.#k2 = words[2]!;
    this.#k3 = words[3]!;
  }

  /**
   * Hashes the first `bytes` bytes of `words`; those that follow, up to the next multiple of four,
   * must be zero.
   */
  hash(words: Int32Array, bytes: number): void {
    const k0 = this.#k0;
    const k1 = this.#k1;
    const k2 = this.#k2;
    const k3 = this.#k3;
    let a0 = k0, a1 = k1, a2 = k0 ^ 0x6c796765, a3 = k1 ^ 0x74656462;
    let b0 = k2, b1 = k3, b2 = k2 ^ 0x6c796765, b3 = k3 ^ 0x74656462;
    a1 ^= 0xee; // the 64-bit output of HalfSipHash
    b1 ^= 0xee;
    const whole = bytes >> 2;
    for (let i = 0; i <= whole; i++) {
      // The last word holds what is left of the key, and its length in the top byte.
      const m = i < whole ? words[i]! : ((bytes & 3) === 0 ? 0 : words[i]!) | (bytes << 24);
      a3 ^= m;
      b3 ^= m;
      for (let round = 0; round < 2; round++) {
        a0 = (a0 + a1) | 0;
        b0 = (b0 + b1) | 0;
        a1 = (a1 << 5 | a1 >>> 27) ^ a0;
        b1 = (b1 << 5 | b1 >>> 27) ^ b0;
        a0 = a0 << 16 | a0 >>> 16;
        b0 = b0 << 16 | b0 >>> 16;
        a2 = (a2 + a3) | 0;
        b2 = (b2 + b3) | 0;
        a3 = (a3 << 8 | a3 >>> 24) ^ a2;
        b3 = (b3 << 8 | b3 >>> 24) ^ b2;
        a0 = (a0 + a3) | 0;
        b0 = (b0 + b3) | 0;
        a3 = (a3 << 7 | a3 >>> 25) ^ a0;
        b3 = (b3 << 7 | b3 >>> 25) ^ b0;
        a2 = (a2 + a1) | 0;
        b2 = (b2 + b1) | 0;
        a1 = (a1 << 13 | a1 >>> 19) ^ a2;
        b1 = (b1 << 13 | b1 >>> 19) ^ b2;
        a2 = a2 << 16 | a2 >>> 16;
        b2 = b2 << 16 | b2 >>> 16;
      }
      a0 ^= m;
      b0 ^= m;
    }
    a2 ^= 0xee;
    b2 ^= 0xee;
    for (let round = 0; round < 8; round++) {
      if (round === 4) {
        this.h0 = a1 ^ a3;
        this.h2 = b1 ^ b3;
        a1 ^= 0xdd;
        b1 ^= 0xdd;
      }
      a0 = (a0 + a1) | 0;
      b0 = (b0 + b1) | 0;
      a1 = (a1 << 5 | a1 >>> 27) ^ a0;
      b1 = (b1 << 5 | b1 >>> 27) ^ b0;
      a0 = a0 << 16 | a0 >>> 16;
      b0 = b0 << 16 | b0 >>> 16;
      a2 = (a2 + a3) | 0;
      b2 = (b2 + b3) | 0;
      a3 = (a3 << 8 | a3 >>> 24) ^ a2;
      b3 = (b3 << 8 | b3 >>> 24) ^ b2;
      a0 = (a0 + a3) | 0;
      b0 = (b0 + b3) | 0;
      a3 = (a3 << 7 | a3 >>> 25) ^ a0;
      b3 = (b3 << 7 | b3 >>> 25) ^ b0;
      a2 = (a2 + a1) | 0;
      b2 = (b2 + b1) | 0;
      a1 = (a1 << 13 | a1 >>> 19) ^ a2;
      b1 = (b1 << 13 | b1 >>> 19) ^ b2;
      a2 = a2 << 16 | a2 >>> 16;
      b2 = b2 << 16 | b2 >>> 16;
    }
    this.h1 = a1 ^ a3;
    this.h3 = b1 ^ b3;
  }
}

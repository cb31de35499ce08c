import { Buffer } from "node:buffer";
import { ArgumentError, show } from "../errors/mod.ts";
import { KeyHasher } from "../index/mod.ts";
import {
  MAX_KEY_BYTES,
  RECORD_HEADER_BYTES,
  RecordFlag,
  recordKeyBytes,
  type SegmentImage,
} from "../wal/mod.ts";
import type { Key } from "./types.ts";

/** Flags that say something of the key or of its value, and so belong in the index too. */
const LASTING_FLAGS = RecordFlag.bytesKey | RecordFlag.compressed | RecordFlag.expires |
  RecordFlag.external;

const encoder = new TextEncoder();
/** Strings up to this length are encoded by a loop, which is faster than a call into the runtime. */
const SHORT_KEY_LENGTH = 64;

/**
 * One key at a time, as bytes: encoded, measured and hashed without allocating. `words` holds it,
 * padded with zeros to a multiple of four.
 */
export class KeyBuffer {
  /** Hash of the key. */
  readonly hash: KeyHasher;
  /** Memory of the key, as words. */
  readonly words: Int32Array = new Int32Array((MAX_KEY_BYTES + 1) / 4 + 1);
  /** Length of the key. */
  length = 0;
  /** `RecordFlag.bytesKey` if the key was given as bytes; a write adds what its value is. */
  flags = 0;
  readonly #bytes = new Uint8Array(this.words.buffer);
  readonly #buffer = Buffer.from(this.words.buffer);

  /** Makes a buffer that hashes with `secret`. */
  constructor(secret: Uint8Array) {
    this.hash = new KeyHasher(secret);
  }

  /** Takes a key in. Throws {@linkcode ArgumentError} if it is none. */
  set(key: Key): void {
    if (typeof key === "string") {
      this.#setString(key);
      this.flags = 0;
    } else if (key instanceof Uint8Array) {
      this.#setBytes(key);
      this.flags = RecordFlag.bytesKey;
    } else {
      throw new ArgumentError("key", `A key must be a string or a Uint8Array: ${show(key)}`);
    }
    if (this.length === 0) throw new ArgumentError("key", "A key must not be empty.");
    this.hash.hash(this.words, this.length);
  }

  /** Throws as `set` does; what the buffer holds then counts for nothing. */
  check(key: Key): void {
    const isShort = typeof key === "string" && key.length > 0 && key.length <= SHORT_KEY_LENGTH;
    if (!isShort || !key.isWellFormed()) this.set(key);
  }

  /** Takes in bytes that are known to be a key, and hashes them. */
  load(bytes: Uint8Array, flags: number): void {
    this.#setBytes(bytes);
    this.flags = flags & LASTING_FLAGS;
    this.hash.hash(this.words, this.length);
  }

  /**
   * Takes in a key that is the last one, cut to `sharedBytes`, and then the `bytes` bytes of
   * `source` from `start` on; hashes it. For recovery: no view, no call for a few bytes.
   */
  extend(
    sharedBytes: number,
    source: Uint8Array,
    start: number,
    bytes: number,
    flags: number,
  ): void {
    const key = this.#bytes;
    if (bytes <= SHORT_KEY_LENGTH) {
      for (let i = 0; i < bytes; i++) key[sharedBytes + i] = source[start + i]!;
    } else {
      key.set(source.subarray(start, start + bytes), sharedBytes);
    }
    this.flags = flags & LASTING_FLAGS;
    this.#end(sharedBytes + bytes);
    this.hash.hash(this.words, this.length);
  }

  /** The key as the caller gave it: a string, or a copy of its bytes if `flags` say so. */
  key(flags: number): Key {
    if ((flags & RecordFlag.bytesKey) !== 0) return this.copy();
    // A third of the time that a TextDecoder takes for a short key.
    return this.#buffer.toString("utf8", 0, this.length);
  }

  /** A copy of the key. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  /** The lock of the key. */
  get lock(): number {
    return this.hash.h3 & 0xff;
  }

  /** True if the record at `offset` of `image` is of this key. */
  matches(image: SegmentImage, offset: number): boolean {
    const { length, words } = this;
    if (recordKeyBytes(image, offset) !== length) return false;
    const start = offset + RECORD_HEADER_BYTES;
    const from = start >> 2;
    const whole = length >> 2;
    for (let i = 0; i < whole; i++) if (image.words[from + i] !== words[i]) return false;
    for (let i = whole * 4; i < length; i++) {
      if (image.bytes[start + i] !== this.#bytes[i]) return false;
    }
    return true;
  }

  #setString(key: string): void {
    const bytes = this.#bytes;
    if (key.length <= SHORT_KEY_LENGTH) {
      let i = 0;
      for (; i < key.length; i++) {
        const unit = key.charCodeAt(i);
        if (unit > 0x7f) break;
        bytes[i] = unit;
      }
      if (i === key.length) {
        this.#end(i);
        return;
      }
    }
    if (!key.isWellFormed()) {
      throw new ArgumentError(
        "key",
        `A key must be well-formed Unicode, this string has a lone surrogate: ${show(key)}`,
      );
    }
    const { read, written } = encoder.encodeInto(key, bytes.subarray(0, MAX_KEY_BYTES));
    if (read < key.length) throw tooLong();
    this.#end(written);
  }

  #setBytes(key: Uint8Array): void {
    if (key.length > MAX_KEY_BYTES) throw tooLong();
    this.#bytes.set(key);
    this.#end(key.length);
  }

  #end(length: number): void {
    this.length = length;
    const bytes = this.#bytes;
    bytes[length] = 0;
    bytes[length + 1] = 0;
    bytes[length + 2] = 0;
  }
}

/** The bytes of a bound or prefix of a listing, which may be empty; a copy. */
export function boundBytes(key: Key | undefined, argument: string): Uint8Array | undefined {
  if (key === undefined) return undefined;
  if (key instanceof Uint8Array) return new Uint8Array(key);
  if (typeof key !== "string") {
    throw new ArgumentError(argument, `${argument} must be a string or a Uint8Array: ${show(key)}`);
  }
  return encoder.encode(key);
}

function tooLong(): ArgumentError {
  return new ArgumentError("key", `A key must not be longer than ${MAX_KEY_BYTES} bytes.`);
}

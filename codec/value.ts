import { FlagstoneError } from "../errors/mod.ts";
import type { Codec } from "./codec.ts";

/** In front of a compressed value: codec u8, three zeros, length of the raw value u32. */
export const VALUE_HEADER_BYTES = 1 + 3 + 4;

/** What a value must save, as a part of its raw length, to be stored compressed. */
const LEAST_SAVED_PART = 8;

/** Codecs by the number that records have for them. */
export type Codecs = ReadonlyMap<number, Codec>;

/** Most bytes that a compressed value may have, without its header. */
export function maxCompressedBytes(rawBytes: number): number {
  return rawBytes - Math.ceil(rawBytes / LEAST_SAVED_PART) - VALUE_HEADER_BYTES;
}

/** Writes the header of a value that `codec` compressed to the beginning of `into`. */
export function writeValueHeader(into: Uint8Array, codec: number, rawBytes: number): void {
  into[0] = codec;
  into[1] = into[2] = into[3] = 0;
  for (let i = 0; i < 4; i++) into[4 + i] = rawBytes >>> (8 * i);
}

/** The stored form of `raw`, header and all, or `undefined` if too little would be saved. */
export function compressValue(
  codec: Codec,
  raw: Uint8Array,
  level: number,
): Uint8Array | undefined {
  const compressed = codec.compress(raw, level, maxCompressedBytes(raw.length));
  if (compressed === undefined || compressed.length > maxCompressedBytes(raw.length)) {
    return undefined;
  }
  const stored = new Uint8Array(VALUE_HEADER_BYTES + compressed.length);
  writeValueHeader(stored, codec.id, raw.length);
  stored.set(compressed, VALUE_HEADER_BYTES);
  return stored;
}

/** Codec and raw length that a stored value tells of, which is `storedBytes` long in all. Throws a RangeError if they cannot be. */
export function valueHeader(
  stored: Uint8Array,
  storedBytes: number = stored.length,
): { codec: number; rawBytes: number } {
  if (stored.length < VALUE_HEADER_BYTES) throw new RangeError("a value without its header");
  const [codec, a, b, c] = stored as unknown as [number, number, number, number];
  let rawBytes = 0;
  for (let i = 3; i >= 0; i--) rawBytes = rawBytes * 256 + stored[4 + i]!;
  if ((a | b | c) !== 0 || storedBytes - VALUE_HEADER_BYTES > maxCompressedBytes(rawBytes)) {
    throw new RangeError(`a value header that says ${rawBytes} bytes of codec ${codec}`);
  }
  return { codec, rawBytes };
}

/** Where a value was read from, for errors. */
export interface ValuePlace {
  /** The file, as far as it is known. */
  readonly path: string;
  /** Offset of the record. */
  readonly offset: number;
}

/** The codec and raw length of a stored value. Throws `CORRUPT` or `UNKNOWN_CODEC`. */
export function openValue(
  codecs: Codecs,
  stored: Uint8Array,
  maxBytes: number,
  place: ValuePlace,
): { codec: Codec; rawBytes: number } {
  let header: { codec: number; rawBytes: number };
  try {
    header = valueHeader(stored);
    if (header.rawBytes > maxBytes) throw new RangeError(`a value of ${header.rawBytes} bytes`);
  } catch (cause) {
    throw corruptValue(place, cause);
  }
  const codec = codecs.get(header.codec);
  if (codec !== undefined) return { codec, rawBytes: header.rawBytes };
  const known = header.codec === 2 ? " (deflate)" : "";
  throw new FlagstoneError(
    "UNKNOWN_CODEC",
    `Cannot read the value at offset ${place.offset} of ${place.path}: codec ${header.codec}` +
      `${known} compressed it. Open the store with the option "codecs", and that codec in it.`,
    place,
  );
}

/** A value that its codec cannot read, though its checksum holds. */
export function corruptValue(place: ValuePlace, cause: unknown): FlagstoneError {
  return new FlagstoneError(
    "CORRUPT",
    `Cannot read the value at offset ${place.offset} of ${place.path}: it does not decompress: ` +
      `${cause instanceof Error ? cause.message : cause}. Restore the file from a copy.`,
    { ...place, cause },
  );
}

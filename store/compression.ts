import {
  type Codec,
  type Codecs,
  CodecWorker,
  compressValue,
  corruptValue,
  type LentValue,
  maxCompressedBytes,
  openValue,
  VALUE_HEADER_BYTES,
  type ValuePlace,
  zstd,
} from "../codec/mod.ts";
import { ArgumentError, refuseUnknown, show } from "../errors/mod.ts";
import { MAX_BATCH_BYTES } from "./limits.ts";
import type { Compression } from "./types.ts";

/** Smallest value that is compressed, unless told: below, the call costs more than the bytes. */
const DEFAULT_MIN_BYTES = 512;
/** From here on a value is compressed on another thread: the way there costs less than the work. */
const COMPRESS_AWAY_BYTES = 64 * 1024;
/** From here on, in raw bytes, a value that is read without blocking is decompressed on another thread. */
const DECOMPRESS_AWAY_BYTES = 256 * 1024;

/** How values of one write are compressed. */
export interface CompressionSettings {
  readonly codec: Codec;
  readonly level: number;
  readonly minBytes: number;
}

/** The codecs of a store: zstd, and those that the user gave. Throws {@linkcode ArgumentError}. */
export function resolveCodecs(codecs: readonly Codec[] | undefined): Codecs {
  const known = new Map<number, Codec>([[zstd.id, zstd]]);
  if (codecs !== undefined && !Array.isArray(codecs)) {
    throw new ArgumentError(
      "options.codecs",
      `options.codecs must be an array: ${show(codecs)}`,
    );
  }
  for (const [i, codec] of (codecs ?? []).entries()) {
    const argument = `options.codecs[${i}]`;
    const whole = typeof codec?.name === "string" && typeof codec.compress === "function" &&
      typeof codec.decompress === "function" && typeof codec.levels === "object";
    if (!whole) throw new ArgumentError(argument, `${argument} must be a codec: ${show(codec)}`);
    const { id, name } = codec;
    if (!Number.isInteger(id) || id < 2 || id > 255) {
      throw new ArgumentError(
        `${argument}.id`,
        `${argument}.id must be from 2 to 255: ${show(id)}`,
      );
    }
    const taken = [...known.values()].some((other) => other.name === name);
    if (known.has(id) || taken || name === "none" || name === "") {
      throw new ArgumentError(
        argument,
        `${argument} has the id or name of another: ${id}, ${name}`,
      );
    }
    known.set(id, codec);
  }
  return known;
}

/** What a `compression` option means; `undefined` for none. Throws {@linkcode ArgumentError}. */
export function resolveCompression(
  compression: Compression | undefined,
  codecs: Codecs,
  argument = "options.compression",
): CompressionSettings | undefined {
  if (compression === undefined || compression === "none") return undefined;
  const given = typeof compression === "string" ? { codec: compression } : compression;
  refuseUnknown(given, ["codec", "level", "minBytes"], argument);
  const codec = [...codecs.values()].find(({ name }) => name === given.codec);
  if (codec === undefined) {
    const names = ["none", ...Array.from(codecs.values(), ({ name }) => name)];
    throw new ArgumentError(
      typeof compression === "string" ? argument : `${argument}.codec`,
      `${argument} must be one of ${names.join(", ")}: ${show(given.codec)}. Others are to be ` +
        `registered with the option "codecs" of open.`,
    );
  }
  const { least, most, usual } = codec.levels;
  const { level = usual, minBytes = DEFAULT_MIN_BYTES } = given;
  if (!Number.isInteger(level) || level < least || level > most) {
    throw new ArgumentError(
      `${argument}.level`,
      `${argument}.level of ${codec.name} must be from ${least} to ${most}: ${show(level)}`,
    );
  }
  if (!Number.isInteger(minBytes) || minBytes < 0) {
    throw new ArgumentError(
      `${argument}.minBytes`,
      `${argument}.minBytes must be a whole number, 0 or more: ${show(minBytes)}`,
    );
  }
  return { codec, level, minBytes };
}

/** Compresses and decompresses the values of a store, on this thread or on one of its own. */
export class Compressor {
  readonly #codecs: Codecs;
  readonly #worker: CodecWorker | undefined;

  /** Uses `codecs`, and a thread that ends when idle; without `idleMs` none, so that all happens in order. */
  constructor(codecs: Codecs, idleMs: number | undefined) {
    this.#codecs = codecs;
    this.#worker = idleMs === undefined ? undefined : new CodecWorker(idleMs);
  }

  /** Threads running: 0 or 1. */
  get threads(): number {
    return this.#worker?.threads ?? 0;
  }

  /** True if `raw` should not be compressed on this thread. */
  isLarge(raw: Uint8Array, { codec }: CompressionSettings): boolean {
    return raw.length >= COMPRESS_AWAY_BYTES && codec === zstd && this.#worker?.usable === true;
  }

  /** Copies `raw` and has it compressed on the other thread. Only if `isLarge`. */
  lend(raw: Uint8Array, { level }: CompressionSettings): LentValue {
    return this.#worker!.compress(raw, level);
  }

  /** The stored form of `raw`; `undefined` if it is to be stored as it is. */
  compress(raw: Uint8Array, settings: CompressionSettings): Uint8Array | undefined {
    const { codec, level, minBytes } = settings;
    if (raw.length < minBytes || maxCompressedBytes(raw.length) < 1) return undefined;
    return compressValue(codec, raw, level);
  }

  /** The raw form of what `compress` made. Throws `CORRUPT` or `UNKNOWN_CODEC`. */
  decompress(stored: Uint8Array, place: ValuePlace): Uint8Array<ArrayBuffer> {
    const { codec, rawBytes } = openValue(this.#codecs, stored, MAX_BATCH_BYTES, place);
    try {
      return codec.decompress(stored.subarray(VALUE_HEADER_BYTES), rawBytes);
    } catch (cause) {
      throw corruptValue(place, cause);
    }
  }

  /** As `decompress`; a large value does not block this thread. `stored` may change after the call. */
  async decompressAsync(stored: Uint8Array, place: ValuePlace): Promise<Uint8Array<ArrayBuffer>> {
    const { codec, rawBytes } = openValue(this.#codecs, stored, MAX_BATCH_BYTES, place);
    const away = rawBytes >= DECOMPRESS_AWAY_BYTES && codec === zstd && this.#worker?.usable;
    if (away !== true) return this.decompress(stored, place);
    const own = new Uint8Array(stored);
    try {
      const raw = await this.#worker!.decompress(own.slice(VALUE_HEADER_BYTES), rawBytes);
      if (raw !== undefined) return raw;
    } catch (cause) {
      throw corruptValue(place, cause);
    }
    return this.decompress(own, place);
  }

  /** Ends the thread. */
  close(): void {
    this.#worker?.close();
  }
}

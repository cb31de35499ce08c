/**
 * Deflate by `npm:@hazae41/foras` (WebAssembly), for stores that share values with programs that know
 * nothing newer. zstd, which the core has, is three to four times as fast and makes values smaller.
 *
 * ```ts
 * import { open } from "@flagstone/flagstone";
 * import { deflate } from "@flagstone/flagstone/deflate";
 * const options = { codecs: [deflate()], compression: "deflate" };
 * await using store = await open(await Deno.makeTempDir(), options);
 * await store.put("text", "again and ".repeat(100));
 * console.assert((await store.getText("text"))!.length === 1000);
 * ```
 * @module
 */
import {
  deflate as deflateOnce,
  DeflateDecoder,
  initBundledOnce,
  Memory,
} from "npm:@hazae41/foras@^2.1.4";
import type { Codec } from "./codec.ts";

export type { Codec } from "./codec.ts";

/** Input that is inflated at once: it becomes 1032 times as long at most. */
const PIECE_BYTES = 4096;

/** A codec for `open(directory, { codecs: [deflate()], compression: "deflate" })`: raw deflate, levels 1 to 9, 1 unless told. */
export function deflate(): Codec {
  return {
    name: "deflate",
    id: 2,
    levels: { least: 1, most: 9, usual: 1 },
    async init() {
      await initBundledOnce();
    },
    compress(raw, level, maxBytes) {
      const input = new Memory(raw);
      try {
        const output = deflateOnce(input, level);
        const fits = output.bytes.length <= maxBytes;
        const compressed = fits ? new Uint8Array(output.bytes) : undefined;
        output.free();
        return compressed;
      } finally {
        input.free();
      }
    },
    decompress(compressed, rawBytes) {
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      let length = 0;
      const take = (memory: Memory) => {
        length += memory.bytes.length;
        if (length <= rawBytes) pieces.push(new Uint8Array(memory.bytes));
        memory.free();
        if (length > rawBytes) throw new RangeError(`more than ${rawBytes} bytes of content`);
      };
      const decoder = new DeflateDecoder();
      let finished = false;
      try {
        for (let at = 0; at < compressed.length; at += PIECE_BYTES) {
          const input = new Memory(compressed.subarray(at, at + PIECE_BYTES));
          try {
            decoder.write(input);
          } finally {
            input.free();
          }
          decoder.flush();
          take(decoder.read());
        }
        finished = true;
        take(decoder.finish());
      } finally {
        if (!finished) decoder.free();
      }
      if (length !== rawBytes) throw new RangeError(`${length} bytes of content, not ${rawBytes}`);
      const raw = new Uint8Array(rawBytes);
      let at = 0;
      for (const piece of pieces) {
        raw.set(piece, at);
        at += piece.length;
      }
      return raw;
    },
  };
}

import { type BlobReader, type BlobReference, PIECE_BYTES } from "../blobs/mod.ts";
import { FlagstoneError } from "../errors/mod.ts";
import type { BlobFiles } from "./blob_files.ts";

/** So much of a large value is read and verified at a time, in whole pieces. */
const BLOCK_BYTES = 4 * PIECE_BYTES;

const NONE = new Uint8Array(0);

/** Where the bytes of a stream come from. */
export interface ByteSource {
  /** The bytes from `at` on, one or more, verified; the caller may keep and change them. */
  read(at: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Called once, when nothing more will be read. */
  close(): void;
}

/** Which part of a value, and until when. */
export interface Part {
  readonly offset: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
}

/** Streams that are open: the end of the store ends them. */
export class OpenStreams {
  readonly #open = new Set<(error: FlagstoneError) => void>();

  /** How many there are. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * A byte stream of a part of a value. Nothing is read before somebody asks, and no more than that;
   * who reads into memory of its own ("byob") gets as much as fits.
   */
  stream(
    source: ByteSource,
    { offset, end, signal }: Part,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    let at = offset;
    /** Read, and not handed out yet. */
    let rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
    let ended = false;
    let controller: ReadableByteStreamController;
    const close = () => {
      if (ended) return;
      ended = true;
      this.#open.delete(fail);
      signal?.removeEventListener("abort", abort);
      source.close();
    };
    const fail = (error: unknown) => {
      if (ended) return;
      close();
      controller.error(error);
    };
    const abort = () => {
      fail(new FlagstoneError("ABORTED", "The stream was aborted.", { cause: signal!.reason }));
    };
    return new ReadableStream({
      type: "bytes",
      start: (own) => {
        controller = own;
        this.#open.add(fail);
        if (signal?.aborted === true) abort();
        else signal?.addEventListener("abort", abort, { once: true });
      },
      pull: async () => {
        try {
          if (rest.length === 0 && at < end) {
            const read = await source.read(at);
            if (ended) return;
            // Only a record of another key, of equal hash: as good as none.
            if (read.length === 0) at = end;
            rest = read.subarray(0, end - at);
            at += rest.length;
          }
          if (rest.length > 0) rest = handOut(controller, rest);
          if (rest.length > 0 || at < end || ended) return;
          close();
          controller.close();
          // Who waits with memory of its own gets it back.
          controller.byobRequest?.respond(0);
        } catch (error) {
          fail(error);
        }
      },
      cancel: close,
    }, { highWaterMark: 0 });
  }

  /** Ends all of them with an error. */
  close(error: FlagstoneError): void {
    for (const fail of [...this.#open]) fail(error);
  }
}

/** Gives `bytes`, or as much as is asked for, to who reads. Returns what is left. */
function handOut(
  controller: ReadableByteStreamController,
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const request = controller.byobRequest;
  const view = request?.view;
  if (request === null || view === null || view === undefined) {
    controller.enqueue(bytes);
    return new Uint8Array(0);
  }
  const into = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const part = bytes.subarray(0, into.length);
  into.set(part);
  request.respond(part.length);
  return bytes.subarray(part.length);
}

/** A value in memory, or on its way there. */
export function bytesOf(value: Promise<Uint8Array | undefined>): ByteSource {
  // Who reads hears of a failure; if nobody does, it is none.
  value.catch(() => {});
  return {
    read: async (at) => new Uint8Array((await value ?? NONE).subarray(at, at + BLOCK_BYTES)),
    close: () => {},
  };
}

/** A value in a file of its own, which stays until the stream ends. */
export function blobBytes(blobs: BlobFiles, reference: BlobReference): ByteSource {
  const unpin = blobs.pin(reference);
  let reader: BlobReader | undefined;
  return {
    read: async (at) => {
      reader ??= blobs.open(reference);
      const start = at - at % PIECE_BYTES;
      const block = new Uint8Array(Math.min(BLOCK_BYTES, reference.length - start));
      await reader.readAtAsync(block, start);
      return block.subarray(at - start);
    },
    close: () => {
      reader?.close();
      unpin();
    },
  };
}

import { type BlobFile, blobFileBytes, type BlobReference } from "../blobs/mod.ts";
import { ArgumentError, show } from "../errors/mod.ts";
import { orAborted } from "./aborting.ts";
import { appendLocked, type WriteParts } from "./append_locked.ts";
import { checkCondition } from "./conditions.ts";
import type { StoreCore } from "./core.ts";
import type { RoomClaim } from "./disk_room.ts";
import { fingerprintOf } from "./pending_writes.ts";
import { prepareWrite } from "./write_arguments.ts";
import { pointTo } from "./write_queue.ts";
import { NO_CONDITION, type WriteSettings } from "./write_settings.ts";

/** Memory for a stream is taken in pieces, the first so large, each twice the last, up to the most. */
const LEAST_PIECE_BYTES = 64 * 1024;
const MOST_PIECE_BYTES = 4 * 1024 * 1024;
/** So many pieces are on their way to the file while the next one fills. */
const PIECES_UNDER_WAY = 4;

/** What a stream brought: a value that is short, or the file that it is in. */
type Received = { readonly value: Uint8Array } | { readonly file: BlobReference };

/**
 * Puts what `source` brings to the key in `core.keys`, which stays locked all the while: see
 * `Store.put`. Nobody waits for a source: flush does not, and a close takes the lock away.
 */
export async function putSource(
  parts: WriteParts,
  source: ReadableStream<Uint8Array> | Blob,
  settings: WriteSettings,
): Promise<number> {
  const { core } = parts;
  const reader = readerOf(source);
  const { flags, lock } = core.keys;
  const key = core.keys.copy();
  const fingerprint = fingerprintOf(core.keys);
  const ended = new AbortController();
  const signals = settings.signal === undefined ? [ended.signal] : [ended.signal, settings.signal];
  const signal = AbortSignal.any(signals);
  const claim = core.eviction?.room.claim();
  // Until the key is granted there is nothing to give up: others may have it.
  let held = false;
  const giveUp = () => {
    if (held) core.locks.releaseKey(lock, fingerprint);
    held = false;
    ended.abort();
  };
  try {
    const granted = core.locks.acquire(lock, fingerprint);
    await orAborted(granted, settings.signal, () => core.locks.releaseKey(lock, fingerprint));
    held = true;
    core.updates.add(giveUp);
    core.assertWritable();
    core.keys.load(key, flags);
    if (settings.condition !== NO_CONDITION) checkCondition(core, settings.condition);
    const received = await new Reception(core, key.length, reader, signal, claim).run();
    reader.releaseLock();
    core.updates.delete(giveUp);
    core.keys.load(key, flags);
    const value = "file" in received ? new Uint8Array(0) : received.value;
    const write = prepareWrite(core.keys, value, { expiresAt: settings.expiresAt });
    if ("file" in received) {
      write.value = undefined;
      pointTo(write, received.file);
    }
    const appended = await appendLocked(parts, write, settings);
    giveUp();
    return await appended.acknowledged;
  } catch (error) {
    // Whoever makes the values learns that nobody wants them; what comes of that is not for this write.
    reader.cancel(error).catch(() => {});
    core.assertOpen();
    throw error;
  } finally {
    core.updates.delete(giveUp);
    giveUp();
    claim?.end();
  }
}

/** A put of `value` was refused with `error` before it began: if that is a stream, it is cancelled, unless the call was wrong. */
export function cancelUnwanted(value: unknown, error: unknown): void {
  if (!(value instanceof ReadableStream) || error instanceof ArgumentError) return;
  // One that is locked is somebody else's.
  value.cancel(error).catch(() => {});
}

/** Takes the source for this call alone. Throws {@linkcode ArgumentError} if it is another's already. */
function readerOf(
  source: ReadableStream<Uint8Array> | Blob,
): ReadableStreamDefaultReader<Uint8Array> {
  if (source instanceof Blob) return source.stream().getReader();
  if (!source.locked) return source.getReader();
  throw new ArgumentError("value", "The stream is locked: somebody else reads it.");
}

/** Receives one stream: in memory as long as it is short, then piece by piece into a file. */
class Reception {
  readonly #core: StoreCore;
  readonly #keyBytes: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #signal: AbortSignal;
  readonly #claim: RoomClaim | undefined;
  /** Pieces that are full. */
  #full: Uint8Array[] = [];
  #piece: Uint8Array = new Uint8Array(0);
  #used = 0;
  #length = 0;
  /** Bytes of the file for which there is room. */
  #claimed = 0;
  #file: BlobFile | undefined;
  readonly #underWay: Promise<void>[] = [];

  constructor(
    core: StoreCore,
    keyBytes: number,
    reader: ReadableStreamDefaultReader<Uint8Array>,
    signal: AbortSignal,
    claim: RoomClaim | undefined,
  ) {
    this.#core = core;
    this.#keyBytes = keyBytes;
    this.#reader = reader;
    this.#signal = signal;
    this.#claim = claim;
  }

  async run(): Promise<Received> {
    try {
      for (;;) {
        const { done, value } = await orAborted(this.#reader.read(), this.#signal, () => {});
        if (done) break;
        await this.#take(value);
      }
      if (this.#file === undefined) return { value: this.#join() };
      await this.#write(0);
      const file = await this.#file.finish();
      this.#claim?.complete();
      this.#core.blobs.writer.free(this.#piece);
      return { file };
    } catch (error) {
      await this.#file?.abort();
      throw error;
    }
  }

  async #take(bytes: unknown): Promise<void> {
    if (!(bytes instanceof Uint8Array)) {
      throw new ArgumentError("value", `A stream must bring Uint8Arrays: ${show(bytes)}`);
    }
    this.#length += bytes.length;
    for (let at = 0; at < bytes.length;) {
      if (this.#used === this.#piece.length) this.#nextPiece();
      const part = bytes.subarray(at, at + this.#piece.length - this.#used);
      this.#piece.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
    if (this.#core.isLarge(this.#keyBytes, this.#length)) {
      await this.#makeRoom();
      this.#file ??= this.#core.blobs.begin();
      await this.#write(PIECES_UNDER_WAY);
    }
  }

  async #makeRoom(): Promise<void> {
    const bytes = blobFileBytes(this.#length) - this.#claimed;
    await this.#claim?.take(bytes, this.#signal);
    this.#claimed += bytes;
  }

  #nextPiece(): void {
    const { length } = this.#piece;
    if (length > 0) this.#full.push(this.#piece);
    const bytes = Math.max(LEAST_PIECE_BYTES, Math.min(2 * length, MOST_PIECE_BYTES));
    this.#piece = this.#core.blobs.writer.allocate(bytes);
    this.#used = 0;
  }

  /** Sends what is full on its way, and waits until no more than `underWay` pieces are; with 0, all that there is. */
  async #write(underWay: number): Promise<void> {
    if (underWay === 0) this.#full.push(this.#piece.subarray(0, this.#used));
    const { writer } = this.#core.blobs;
    for (const piece of this.#full.splice(0)) {
      const written = this.#file!.append(piece);
      // Awaited in order; whoever fails first ends the others.
      written.catch(() => {});
      this.#underWay.push(written.then(() => writer.free(piece)));
      this.#underWay.at(-1)!.catch(() => {});
      while (this.#underWay.length > underWay) await this.#underWay.shift();
    }
  }

  /** The whole value, which is short. */
  #join(): Uint8Array {
    const value = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of [...this.#full, this.#piece.subarray(0, this.#used)]) {
      value.set(piece, at);
      at += piece.length;
    }
    return value;
  }
}

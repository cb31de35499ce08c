import { CODEC_WORKER_URL } from "./entry.ts";
import { CODEC_WORKER_NAME, type CodecJob, type CodecResult } from "./protocol.ts";
import { maxCompressedBytes, VALUE_HEADER_BYTES } from "./value.ts";

/** Memory is lent in blocks of powers of two, from this on. */
const LEAST_BLOCK_BYTES = 128 * 1024;
/** Memory that is kept for the next values; touching fresh memory would cost more than the copy. */
const KEPT_BYTES = 32 * 1024 * 1024;

/** A value on its way through the thread, in memory that both threads see. */
export interface LentValue {
  /** A copy of the value, good until `giveBack`. */
  readonly raw: Uint8Array;
  /** The stored form, good until `giveBack`; `undefined` if the value is to be stored as it is. Never rejects. */
  readonly stored: Promise<Uint8Array | undefined>;
  /** Ends the use of the memory. Call it once `stored` has resolved. */
  giveBack(): void;
}

/**
 * A thread that compresses and decompresses with zstd, for values so large that it would be felt on
 * this one (the runtime's own asynchronous zlib calls do their work on the calling thread). It starts
 * with the first job, and ends after `idleMs` without one: a Worker would keep the program alive. If
 * it cannot be started, or dies, values are stored as they are and read on this thread.
 */
export class CodecWorker {
  readonly #idleMs: number;
  readonly #waiting = new Map<number, (result: CodecResult | undefined) => void>();
  readonly #free = new Map<number, SharedArrayBuffer[]>();
  #freeBytes = 0;
  #worker: Worker | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #broken = false;
  #jobs = 0;

  /** Will start a thread when it is needed. */
  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  /** False once a thread could not be had: then callers do the work themselves. */
  get usable(): boolean {
    return !this.#broken;
  }

  /** Threads running: 0 or 1. */
  get threads(): number {
    return this.#worker === undefined ? 0 : 1;
  }

  /** Copies `value`, and has the copy compressed. */
  compress(value: Uint8Array, level: number): LentValue {
    const rawBytes = value.length;
    const storedAt = (rawBytes + 7) & -8;
    const memory = this.#take(storedAt + VALUE_HEADER_BYTES + maxCompressedBytes(rawBytes));
    const raw = new Uint8Array(memory, 0, rawBytes);
    raw.set(value);
    const job = this.#jobs++;
    const done = this.#send({ type: "compress", job, memory, rawBytes, storedAt, level }, []);
    const stored = done.then((result) =>
      result?.type === "compressed" && result.storedBytes > 0
        ? new Uint8Array(memory, storedAt, result.storedBytes)
        : undefined
    );
    return { raw, stored, giveBack: () => this.#give(memory) };
  }

  /** The raw value. `compressed` is transferred to the thread. Throws if it cannot be read; `undefined` if there is no thread. */
  async decompress(
    compressed: Uint8Array<ArrayBuffer>,
    rawBytes: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const job = this.#jobs++;
    const result = await this.#send(
      { type: "decompress", job, compressed, rawBytes },
      [compressed.buffer],
    );
    if (result?.type === "failed") throw new RangeError(result.message);
    return result?.type === "raw" ? result.raw : undefined;
  }

  /** Ends the thread; what is under way is given up. */
  close(): void {
    this.#broken = true;
    this.#end();
  }

  #send(job: CodecJob, transfer: Transferable[]): Promise<CodecResult | undefined> {
    const { promise, resolve } = Promise.withResolvers<CodecResult | undefined>();
    if (this.#broken) return Promise.resolve(undefined);
    clearTimeout(this.#timer);
    this.#waiting.set(job.job, resolve);
    this.#worker ??= this.#start();
    this.#worker.postMessage(job, transfer);
    return promise;
  }

  #start(): Worker {
    const worker = new Worker(CODEC_WORKER_URL, { type: "module", name: CODEC_WORKER_NAME });
    worker.onmessage = ({ data }: MessageEvent<CodecResult>) => {
      const resolve = this.#waiting.get(data.job);
      this.#waiting.delete(data.job);
      resolve?.(data);
      if (this.#waiting.size === 0) this.#rest();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.close();
    };
    worker.onmessageerror = () => this.close();
    return worker;
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(), this.#idleMs);
    Deno.unrefTimer(this.#timer);
  }

  #end(): void {
    clearTimeout(this.#timer);
    // It waits for messages, not on shared memory, so it can be terminated.
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#free.clear();
    this.#freeBytes = 0;
    for (const resolve of this.#waiting.values()) resolve(undefined);
    this.#waiting.clear();
  }

  #take(bytes: number): SharedArrayBuffer {
    let size = LEAST_BLOCK_BYTES;
    while (size < bytes) size *= 2;
    const memory = this.#free.get(size)?.pop();
    if (memory === undefined) return new SharedArrayBuffer(size);
    this.#freeBytes -= size;
    return memory;
  }

  #give(memory: SharedArrayBuffer): void {
    const size = memory.byteLength;
    if (this.#broken || this.#freeBytes + size > KEPT_BYTES) return;
    this.#freeBytes += size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [memory]);
    else free.push(memory);
  }
}

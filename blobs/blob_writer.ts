import { FlagstoneError } from "../errors/mod.ts";
import { diskHealthMemory, type Fs } from "../vfs/mod.ts";
import { BlobDesk } from "./blob_desk.ts";
import type { BlobReference } from "./blob_reference.ts";
import { BLOB_WORKER_URL } from "./entry.ts";
import { BLOB_WORKER_NAME, type BlobJob, type BlobResult } from "./protocol.ts";

/** Pieces of memory of this size are kept for the next values; touching fresh memory costs more than the copy. */
const KEPT_PIECE_BYTES = 4 * 1024 * 1024;
/** So many of them. */
const KEPT_PIECES = 8;

/** Parts of a {@linkcode BlobWriter}. */
export interface BlobWriterParts {
  readonly fs: Fs;
  readonly directory: string;
  readonly storeId: Uint8Array;
  /** The thread ends after so many milliseconds without work. */
  readonly idleMs: number;
  /** After so many milliseconds without any result, what is under way is rejected with `STALLED`. */
  readonly stallTimeoutMs: number;
  /** Told when nothing can be relied on any more: names in doubt, a dead or hanging thread. */
  readonly onFailure?: (error: FlagstoneError) => void;
}

/** A file that is being written. After a failure nothing is left of it, and every call rejects. */
export interface BlobFile {
  /** Writes more of the value; `bytes` must stay as they are until the promise has settled. */
  append(bytes: Uint8Array): Promise<void>;
  /** Makes content and name durable. */
  finish(): Promise<BlobReference>;
  /** Gives the file up, and removes what there is of it. Never rejects. */
  abort(): Promise<void>;
}

type JobParts = BlobJob extends infer Job ? Job extends BlobJob ? Omit<Job, "job"> : never : never;

/**
 * Writes and removes blob files in a thread of its own, so that neither a write nor a sync of many
 * megabytes is felt on this one. It starts with the first job, and ends after `idleMs` without one: a
 * Worker would keep the program alive. A file system that only this thread can reach is used here.
 */
export class BlobWriter {
  readonly #parts: BlobWriterParts;
  readonly #desk: BlobDesk | undefined;
  readonly #waiting = new Map<number, (result: BlobResult) => void>();
  readonly #free: Uint8Array[] = [];
  #worker: Worker | undefined;
  #disk: SharedArrayBuffer | undefined;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #stallTimer: ReturnType<typeof setTimeout> | undefined;
  #failure: FlagstoneError | undefined;
  #jobs = 0;
  /** Files begun and not ended: the thread has them open. */
  #open = 0;

  /** Will start a thread when it is needed. */
  constructor(parts: BlobWriterParts) {
    const { fs, directory, storeId } = parts;
    this.#parts = parts;
    this.#desk = fs.spec === undefined ? new BlobDesk(fs, directory, storeId) : undefined;
  }

  /** Threads running: 0 or 1. */
  get threads(): number {
    return this.#worker === undefined ? 0 : 1;
  }

  /** Where the thread notes its calls of the file system, if it runs. */
  get disks(): readonly SharedArrayBuffer[] {
    return this.#worker === undefined ? [] : [this.#disk!];
  }

  /** Memory that the thread sees too: what is put there is not copied once more. */
  allocate(bytes: number): Uint8Array {
    if (bytes === KEPT_PIECE_BYTES && this.#free.length > 0) return this.#free.pop()!;
    try {
      return this.#desk === undefined
        ? new Uint8Array(new SharedArrayBuffer(bytes))
        : new Uint8Array(bytes);
    } catch (cause) {
      throw new FlagstoneError(
        "TOO_LARGE",
        `Cannot write: there is no memory for ${bytes} bytes. Put a ReadableStream instead.`,
        { cause },
      );
    }
  }

  /** Gives memory back that no job uses any more. */
  free(memory: Uint8Array): void {
    if (memory.length === KEPT_PIECE_BYTES && this.#free.length < KEPT_PIECES) {
      this.#free.push(memory);
    }
  }

  /** Begins file `number`, which must never have been begun before. */
  begin(number: number): BlobFile {
    this.#open++;
    let ended = false;
    let failure: unknown;
    const end = () => {
      if (!ended) this.#open--;
      ended = true;
      this.#rest();
    };
    const send = async (job: JobParts): Promise<BlobResult> => {
      try {
        return await this.#send(job);
      } catch (error) {
        // The first failure is the cause of all others.
        failure ??= error;
        end();
        throw failure;
      }
    };
    send({ type: "create", number }).catch(() => {});
    return {
      append: async (bytes) => void await send({ type: "append", number, bytes }),
      finish: async () => {
        const { reference } = await send({ type: "finish", number });
        end();
        return reference!;
      },
      abort: async () => {
        await send({ type: "abort", number }).catch(() => {});
        end();
      },
    };
  }

  /** Removes a finished file, not durably. */
  async remove(number: number): Promise<void> {
    await this.#send({ type: "remove", number });
  }

  /** Ends the thread; what is under way is rejected. */
  close(): void {
    this.#fail(
      new FlagstoneError("CLOSED", "The store was closed while a large value was written."),
    );
  }

  async #send(parts: JobParts): Promise<BlobResult> {
    if (this.#failure !== undefined) throw this.#failure;
    const job = { ...parts, job: this.#jobs++ } as BlobJob;
    const result = this.#desk === undefined ? await this.#post(job) : this.#desk.work(job);
    if (result.error === undefined) return result;
    const { code, message, path, offset, operation } = result.error;
    const attempted = parts.type === "remove" || parts.type === "abort"
      ? "remove the file of a large value"
      : "write a large value";
    const error = new FlagstoneError(code, `Cannot ${attempted}: ${message}`, {
      ...(path === undefined ? {} : { path }),
      ...(offset === undefined ? {} : { offset }),
      ...(operation === undefined ? {} : { operation }),
    });
    if (result.namesInDoubt === true) {
      this.#parts.onFailure?.(namesInDoubt(this.#parts.directory, error));
    }
    throw error;
  }

  #post(job: BlobJob): Promise<BlobResult> {
    const { promise, resolve } = Promise.withResolvers<BlobResult>();
    clearTimeout(this.#idleTimer);
    this.#waiting.set(job.job, resolve);
    if (this.#waiting.size === 1) this.#watch();
    this.#worker ??= this.#start();
    this.#worker.postMessage(job);
    return promise;
  }

  #start(): Worker {
    const worker = new Worker(BLOB_WORKER_URL, { type: "module", name: BLOB_WORKER_NAME });
    const { directory, fs, storeId } = this.#parts;
    worker.onmessage = ({ data }: MessageEvent<BlobResult>) => {
      const resolve = this.#waiting.get(data.job);
      this.#waiting.delete(data.job);
      this.#watch();
      resolve?.(data);
      this.#rest();
    };
    const died = (reason: string) => {
      const message = `The thread that writes large values to ${directory} died: ${reason}. The ` +
        `store takes no more writes; reopen it.`;
      this.#fail(new FlagstoneError("WORKER_DIED", message, { path: directory }));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      died(event.message);
    };
    worker.onmessageerror = () => died("a message could not be read");
    const disk = this.#disk = diskHealthMemory();
    const known = { fs: fs.spec!, directory, storeId, disk };
    const start: BlobJob = { type: "start", job: -1, number: 0, ...known };
    worker.postMessage(start);
    return worker;
  }

  /** From now on there has to be a result within the time that counts as a stall. */
  #watch(): void {
    clearTimeout(this.#stallTimer);
    if (this.#waiting.size === 0) return;
    const { directory, stallTimeoutMs } = this.#parts;
    this.#stallTimer = setTimeout(() => {
      const message = `Writing a large value to ${directory} made no progress for ` +
        `${stallTimeoutMs} ms. The store takes no more writes; see to the disk, then reopen it.`;
      this.#fail(new FlagstoneError("STALLED", message, { path: directory }));
    }, stallTimeoutMs);
    Deno.unrefTimer(this.#stallTimer);
  }

  #rest(): void {
    clearTimeout(this.#idleTimer);
    if (this.#worker === undefined || this.#waiting.size > 0 || this.#open > 0) return;
    this.#idleTimer = setTimeout(() => this.#end(), this.#parts.idleMs);
    Deno.unrefTimer(this.#idleTimer);
  }

  #end(): void {
    clearTimeout(this.#idleTimer);
    clearTimeout(this.#stallTimer);
    // It waits for messages, not on shared memory, so it can be terminated.
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#free.length = 0;
  }

  #fail(error: FlagstoneError): void {
    if (this.#failure === undefined && error.code !== "CLOSED") this.#parts.onFailure?.(error);
    this.#failure ??= error;
    this.#end();
    const { code, message, path, operation } = this.#failure;
    const sent = { code, message, path, offset: undefined, operation };
    for (const [job, resolve] of this.#waiting) resolve({ job, error: sent });
    this.#waiting.clear();
  }
}

function namesInDoubt(directory: string, cause: FlagstoneError): FlagstoneError {
  return new FlagstoneError(
    "WRITE_FAILED",
    `Cannot rely on the names in ${directory}: ${cause.message} The store takes no more writes; see ` +
      `to the disk, then reopen it.`,
    { path: directory, cause },
  );
}

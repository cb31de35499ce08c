import { FlagstoneError } from "../errors/mod.ts";
import { diskHealthMemory, type FsSpec } from "../vfs/mod.ts";
import { type Control, Word, WorkerLife } from "../wal/mod.ts";
import { workerWords } from "./driver.ts";
import { WORKER_URL } from "./entry.ts";
import type { FinishMode } from "./flush_loop.ts";
import { type Host, Role } from "./host.ts";
import { ENDED, READY, type StartMessage, type ToWorker, WORKER_NAME_PREFIX } from "./protocol.ts";

const ROLES = [Role.log, Role.flush] as const;

/** Options of a {@linkcode WorkerHost}. */
export interface WorkerHostOptions {
  /** Directory of the store. */
  readonly directory: string;
  /** How the workers make their file system. */
  readonly fs: FsSpec;
  /** What becomes of full logs. */
  readonly finish: FinishMode;
  /** How many flush workers there may be; the first is started at once, others when there is work for them. */
  readonly flushWorkers: number;
  /** After how many milliseconds without work a worker ends; the next write starts one again. */
  readonly idleMs: number;
  /** Sends every slab's memory to a new worker, through `sendBuffer`'s shape. */
  readonly describe: (
    send: (slot: number, generation: number, buffer: SharedArrayBuffer) => void,
  ) => void;
}

/**
 * Runs each role in a Worker. A Worker cannot be unreferenced and would keep a program alive that
 * forgot to close its store, so idle ones end by themselves and are started again on demand. A
 * Worker that dies of an error becomes the store's failure.
 */
export class WorkerHost implements Host {
  readonly #control: Control;
  readonly #options: WorkerHostOptions;
  /** The threads, and where they note their calls of the file system. */
  readonly #workers = new Map<Worker, SharedArrayBuffer>();
  readonly #started = Promise.withResolvers<void>();
  #answered = 0;
  #allEnded: (() => void) | undefined;

  /** Makes a host; no thread runs until `start` or the first ring. */
  constructor(control: Control, options: WorkerHostOptions) {
    this.#control = control;
    this.#options = options;
  }

  /** See {@linkcode Host.threads}. */
  get threads(): number {
    return this.#workers.size;
  }

  /** See {@linkcode Host.disks}. */
  get disks(): readonly SharedArrayBuffer[] {
    return [...this.#workers.values()];
  }

  /** See {@linkcode Host.start}. */
  async start(timeoutMs: number): Promise<void> {
    for (const role of ROLES) this.ring(role);
    const timer = setTimeout(() => {
      this.#control.fail(
        new FlagstoneError(
          "STALLED",
          `Cannot start the store's workers: they have not answered for ${timeoutMs / 1000} s.`,
        ),
      );
      this.#started.resolve();
    }, timeoutMs);
    await this.#started.promise;
    clearTimeout(timer);
    const failure = this.#control.failure();
    if (failure !== undefined) throw failure;
  }

  /** See {@linkcode Host.ring}. */
  ring(role: Role, workers = 1): void {
    const { doorbell, parked } = workerWords(this.#control, role, 0);
    this.#control.ring(doorbell, parked);
    this.keep(role, workers);
  }

  /** See {@linkcode Host.keep}. */
  keep(role: Role, workers: number): void {
    const most = role === Role.log ? 1 : Math.min(workers, this.#options.flushWorkers);
    for (let worker = 0; worker < most; worker++) this.#ensure(role, worker);
  }

  /** Starts a worker unless it runs. */
  #ensure(role: Role, worker: number): void {
    const { words } = this.#control;
    const { life } = workerWords(this.#control, role, worker);
    const { running, leaving, absent } = WorkerLife;
    if (Atomics.load(words, life) === running || this.#control.failed) return;
    // Nobody starts work for a log that is being closed: it might go on after that.
    if (Atomics.load(words, Word.stop) !== 0) return;
    // In this order: a worker that was leaving may be absent by the second look, never the reverse.
    const taken = Atomics.compareExchange(words, life, leaving, running) === leaving ||
      Atomics.compareExchange(words, life, absent, running) === absent;
    if (taken) this.#start(role, worker);
  }

  /** See {@linkcode Host.sendBuffer}. */
  sendBuffer(slot: number, generation: number, buffer: SharedArrayBuffer): void {
    const message: ToWorker = { type: "buffer", slot, generation, buffer };
    for (const worker of this.#workers.keys()) worker.postMessage(message);
  }

  /** See {@linkcode Host.onceProgress}. */
  onceProgress(seen: number, listener: () => void): void {
    const waiting = Atomics.waitAsync(this.#control.words, Word.progress, seen);
    if (waiting.async) waiting.value.then(listener);
    else queueMicrotask(listener);
  }

  /** See {@linkcode Host.stop}. */
  async stop(timeoutMs: number): Promise<boolean> {
    const { words } = this.#control;
    Atomics.store(words, Word.stop, 1);
    for (const role of ROLES) {
      const { doorbell, parked } = workerWords(this.#control, role, 0);
      this.#control.ring(doorbell, parked);
    }
    if (this.#workers.size === 0) return true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#allEnded = resolve;
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
    // Whatever is left hangs in a system call, where it cannot be terminated.
    return this.#workers.size === 0;
  }

  /** See {@linkcode Host.onceEnded}. */
  onceEnded(listener: () => void): void {
    this.#allEnded = listener;
  }

  #start(role: Role, number: number): void {
    const worker = new Worker(WORKER_URL, {
      type: "module",
      name: `${WORKER_NAME_PREFIX}${role}-${number}`,
    });
    const disk = diskHealthMemory();
    this.#workers.set(worker, disk);
    worker.onmessage = (event) => {
      if (event.data === READY && ++this.#answered === ROLES.length) this.#started.resolve();
      if (event.data === ENDED) this.#ended(worker);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#died(worker, role, number, event.message);
    };
    worker.onmessageerror = () => this.#died(worker, role, number, "a message could not be read");
    const { directory, fs, finish, idleMs } = this.#options;
    const start: StartMessage = {
      type: "start",
      role,
      worker: number,
      control: this.#control.buffer,
      directory,
      fs,
      disk,
      finish,
      idleMs,
    };
    worker.postMessage(start);
    this.#options.describe((slot, generation, buffer) => {
      const message: ToWorker = { type: "buffer", slot, generation, buffer };
      worker.postMessage(message);
    });
  }

  #died(worker: Worker, role: Role, number: number, reason: string): void {
    worker.terminate();
    const { life } = workerWords(this.#control, role, number);
    Atomics.store(this.#control.words, life, WorkerLife.absent);
    this.#control.fail(
      new FlagstoneError(
        "WORKER_DIED",
        `Cannot write to the store: its ${role} worker ended with an error: ${reason}. Reopen the ` +
          `store; if it happens again, check that the program may read Flagstone's own modules.`,
      ),
    );
    this.#started.resolve();
    this.#ended(worker);
  }

  #ended(worker: Worker): void {
    this.#workers.delete(worker);
    if (this.#workers.size === 0) this.#allEnded?.();
  }
}

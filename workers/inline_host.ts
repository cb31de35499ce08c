import type { Fs } from "../vfs/mod.ts";
import { type Control, FlushWord, Word, WorkerLife } from "../wal/mod.ts";
import { loopFailure } from "./driver.ts";
import { type FinishMode, FlushLoop } from "./flush_loop.ts";
import { type Host, Role } from "./host.ts";
import { LogLoop } from "./log_loop.ts";
import { type Loop, StepResult } from "./loop.ts";
import { SlabTable } from "./slab_table.ts";

/** How long after a try that found no space on the disk the next one comes. */
const RETRY_MS = 250;

/** A loop, and whether a step of it is scheduled. */
interface InlineWorker {
  readonly role: Role;
  readonly loop: Loop;
  isPending: boolean;
}

/** Decides when a step is taken; `queueMicrotask` by default, a seeded scheduler in simulations. */
export type Scheduler = (task: () => void) => void;

/**
 * Runs the loops on the calling thread, a step at a time: for file systems that only this thread
 * can reach, and for simulations that choose the order of steps.
 */
export class InlineHost implements Host {
  /** Always 0. */
  readonly threads = 0;
  /** None: while a call goes on, nothing else does. */
  readonly disks = [];
  readonly #control: Control;
  readonly #slabs: SlabTable;
  readonly #workers: InlineWorker[];
  readonly #schedule: Scheduler;
  #retries: boolean;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #listener: (() => void) | undefined;
  #seen = 0;

  /** Makes the loops over `fs`. */
  constructor(
    control: Control,
    fs: Fs,
    directory: string,
    finish: FinishMode = "segment",
    schedule?: Scheduler,
    flushWorkers = 2,
  ) {
    this.#control = control;
    this.#slabs = new SlabTable(control);
    const log = new LogLoop(control, this.#slabs, fs, directory);
    this.#workers = [{ role: Role.log, loop: log, isPending: false }];
    for (let worker = 0; worker < flushWorkers; worker++) {
      const loop = new FlushLoop(control, this.#slabs, fs, directory, finish, worker);
      this.#workers.push({ role: Role.flush, loop, isPending: false });
      Atomics.store(
        control.words,
        control.flushWorker(worker) + FlushWord.life,
        WorkerLife.running,
      );
    }
    this.#schedule = schedule ?? queueMicrotask;
    // A simulation decides itself what time passes.
    this.#retries = schedule === undefined;
  }

  /** See {@linkcode Host.start}. */
  start(_timeoutMs: number): Promise<void> {
    return Promise.resolve();
  }

  /** See {@linkcode Host.ring}. */
  ring(role: Role): void {
    for (const worker of this.#workers) {
      if (worker.role === role) this.#call(worker);
    }
  }

  /** See {@linkcode Host.keep}. There are no threads. */
  keep(_role: Role, _workers: number): void {}

  /** See {@linkcode Host.sendBuffer}. */
  sendBuffer(slot: number, generation: number, buffer: SharedArrayBuffer): void {
    this.#slabs.set(slot, generation, buffer);
  }

  /** See {@linkcode Host.onceProgress}. */
  onceProgress(seen: number, listener: () => void): void {
    this.#seen = seen;
    this.#listener = listener;
    this.#tell();
  }

  /** See {@linkcode Host.stop}. */
  async stop(timeoutMs: number): Promise<boolean> {
    this.#retries = false;
    clearTimeout(this.#retryTimer);
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const ended = await Promise.race([this.#drain().then(() => true), late]);
    clearTimeout(timer);
    return ended;
  }

  /** See {@linkcode Host.onceEnded}. */
  onceEnded(_listener: () => void): void {}

  #call(worker: InlineWorker): void {
    if (worker.isPending) return;
    worker.isPending = true;
    this.#schedule(() => this.#step(worker));
  }

  async #drain(): Promise<void> {
    for (const worker of this.#workers) {
      while (this.#workers.some(({ isPending }) => isPending)) {
        await new Promise<void>((resolve) => this.#schedule(resolve));
      }
      this.#rest(worker.loop);
    }
    for (const { loop } of this.#workers) loop.close();
  }

  #rest(loop: Loop): void {
    try {
      while (loop.rest(true)) {
        while (this.#workers.some((worker) => worker.loop.step(true) === StepResult.worked));
      }
    } catch (error) {
      this.#control.fail(loopFailure(error));
    }
    this.#tell();
  }

  #step(worker: InlineWorker): void {
    worker.isPending = false;
    const { words } = this.#control;
    const logBell = Atomics.load(words, Word.logDoorbell);
    const flushBell = Atomics.load(words, Word.flushDoorbell);
    let result: StepResult = StepResult.idle;
    try {
      result = worker.loop.step(false);
    } catch (error) {
      this.#control.fail(loopFailure(error));
    }
    // A gathering loop is called again at the end of main's turn.
    if (result === StepResult.worked) this.#call(worker);
    else if (this.#retries && this.#retryTimer === undefined) this.#retryWhileFull();
    if (Atomics.load(words, Word.logDoorbell) !== logBell) this.ring(Role.log);
    if (Atomics.load(words, Word.flushDoorbell) !== flushBell) this.ring(Role.flush);
    this.#tell();
  }

  /** While the disk is full, both loops try again now and then, as they do in threads of their own. */
  #retryWhileFull(): void {
    if (!this.#workers.some(({ loop }) => loop.isWaitingForSpace)) return;
    if (this.#control.failed) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.ring(Role.log);
      this.ring(Role.flush);
    }, RETRY_MS);
    Deno.unrefTimer(this.#retryTimer);
  }

  #tell(): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    if (Atomics.load(this.#control.words, Word.progress) === this.#seen) return;
    this.#listener = undefined;
    queueMicrotask(listener);
  }
}

import type { Fs } from "../vfs/mod.ts";
import { type Control, Word } from "../wal/mod.ts";
import { loopFailure } from "./driver.ts";
import { type FinishMode, FlushLoop } from "./flush_loop.ts";
import { type Host, Role } from "./host.ts";
import { LogLoop } from "./log_loop.ts";
import { type Loop, StepResult } from "./loop.ts";
import { SlabTable } from "./slab_table.ts";

/** Decides when a step is taken; `queueMicrotask` by default, a seeded scheduler in simulations. */
export type Scheduler = (task: () => void) => void;

/**
 * Runs the loops on the calling thread, a step at a time: for file systems that only this thread
 * can reach, and for simulations that choose the order of steps.
 */
export class InlineHost implements Host {
  /** Always 0. */
  readonly threads = 0;
  readonly #control: Control;
  readonly #slabs: SlabTable;
  readonly #loops: Record<Role, Loop>;
  readonly #pending: Record<Role, boolean> = { log: false, flush: false };
  readonly #schedule: Scheduler;
  #listener: (() => void) | undefined;
  #seen = 0;

  /** Makes the loops over `fs`. */
  constructor(
    control: Control,
    fs: Fs,
    directory: string,
    finish: FinishMode = "segment",
    schedule: Scheduler = queueMicrotask,
  ) {
    this.#control = control;
    this.#slabs = new SlabTable(control);
    this.#loops = {
      log: new LogLoop(control, this.#slabs, fs, directory),
      flush: new FlushLoop(control, this.#slabs, fs, directory, finish),
    };
    this.#schedule = schedule;
  }

  /** See {@linkcode Host.start}. */
  start(_timeoutMs: number): Promise<void> {
    return Promise.resolve();
  }

  /** See {@linkcode Host.ring}. */
  ring(role: Role): void {
    if (this.#pending[role]) return;
    this.#pending[role] = true;
    this.#schedule(() => this.#step(role));
  }

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
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const ended = await Promise.race([this.#drain().then(() => true), late]);
    clearTimeout(timer);
    return ended;
  }

  /** See {@linkcode Host.onceEnded}. */
  onceEnded(_listener: () => void): void {}

  async #drain(): Promise<void> {
    for (const role of [Role.log, Role.flush]) {
      while (this.#pending[role]) {
        await new Promise<void>((resolve) => this.#schedule(resolve));
      }
      this.#rest(role);
      this.#loops[role].close();
    }
  }

  #rest(role: Role): void {
    try {
      while (this.#loops[role].rest(true)) {
        while (this.#loops[role].step(true) === StepResult.worked);
      }
    } catch (error) {
      this.#control.fail(loopFailure(error));
    }
    this.#tell();
  }

  #step(role: Role): void {
    this.#pending[role] = false;
    const { words } = this.#control;
    const logBell = Atomics.load(words, Word.logDoorbell);
    const flushBell = Atomics.load(words, Word.flushDoorbell);
    let result: StepResult = StepResult.idle;
    try {
      result = this.#loops[role].step(false);
    } catch (error) {
      this.#control.fail(loopFailure(error));
    }
    // A gathering loop is called again at the end of main's turn.
    if (result === StepResult.worked) this.ring(role);
    if (Atomics.load(words, Word.logDoorbell) !== logBell) this.ring(Role.log);
    if (Atomics.load(words, Word.flushDoorbell) !== flushBell) this.ring(Role.flush);
    this.#tell();
  }

  #tell(): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    if (Atomics.load(this.#control.words, Word.progress) === this.#seen) return;
    this.#listener = undefined;
    queueMicrotask(listener);
  }
}

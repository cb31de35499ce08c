import { FlagstoneError } from "../errors/mod.ts";
import { fsFromSpec, withDiskHealth } from "../vfs/mod.ts";
import { Control, FlushWord, Word, WorkerLife } from "../wal/mod.ts";
import { FlushLoop } from "./flush_loop.ts";
import { Role } from "./host.ts";
import { LogLoop } from "./log_loop.ts";
import { type Loop, StepResult } from "./loop.ts";
import type { StartMessage } from "./protocol.ts";
import { SlabTable } from "./slab_table.ts";

/** How long the log worker stays awake after work; about what waking it would cost, several times over. */
const LOG_SPIN_MS = 0.2;
/** A turn of main's in which so long nothing is written seems to stand still. */
const STILL_MS = 0.03;
/** Looks at the doorbell between looks at the clock. */
const SPINS_PER_LOOK = 50;

/**
 * A worker with long work to do sleeps so long in between, and the system's timers add some 0.06 ms:
 * others are to have the processor. Without that, threads that were busy on the same one kept the
 * event loop waiting for one or two ticks of the system's clock, 4 ms each.
 */
const PAUSE_MS = { log: 0.01, flush: 0.2 } as const;
const neverRung = new Int32Array(new SharedArrayBuffer(4));

/** The shared words of a worker. */
export function workerWords(
  control: Control,
  role: Role,
  worker: number,
): { doorbell: number; parked: number; life: number } {
  if (role === Role.log) {
    return { doorbell: Word.logDoorbell, parked: Word.logParked, life: Word.logLife };
  }
  const life = control.flushWorker(worker) + FlushWord.life;
  return { doorbell: Word.flushDoorbell, parked: Word.flushParked, life };
}

/** What the store reports when a loop threw: the log cannot be trusted to go on. */
export function loopFailure(error: unknown): unknown {
  if (!(error instanceof FlagstoneError)) return error;
  const details = { path: error.path, offset: error.offset, operation: error.operation };
  const code = error.code === "NO_SPACE" || error.code === "CORRUPT" ? error.code : "WRITE_FAILED";
  return new FlagstoneError(
    code,
    `Cannot write to the store: ${error.message} (${error.code}). It takes no more writes, reads ` +
      `go on; see to the disk, then reopen the store.`,
    Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined)),
  );
}

/** A loop in a thread of its own: steps while there is work, waits on its doorbell, ends when idle or told to. */
export class Driver {
  readonly #control: Control;
  readonly #slabs: SlabTable;
  readonly #loop: Loop;
  readonly #words: { doorbell: number; parked: number; life: number };
  readonly #idleMs: number;
  readonly #spinMs: number;
  #spinUntil = 0;

  /** Makes the loop that `start` asks for. */
  constructor(start: StartMessage) {
    this.#control = new Control(start.control);
    this.#slabs = new SlabTable(this.#control);
    const fs = withDiskHealth(fsFromSpec(start.fs), start.disk);
    const pause = () => void Atomics.wait(neverRung, 0, 0, PAUSE_MS[start.role]);
    this.#loop = start.role === Role.log
      ? new LogLoop(this.#control, this.#slabs, fs, start.directory, undefined, pause)
      : new FlushLoop(
        this.#control,
        this.#slabs,
        fs,
        start.directory,
        start.finish,
        start.worker,
        pause,
      );
    this.#words = workerWords(this.#control, start.role, start.worker);
    this.#idleMs = start.idleMs;
    this.#spinMs = start.role === Role.log && navigator.hardwareConcurrency > 1 ? LOG_SPIN_MS : 0;
  }

  /** Learns of a slot's memory. */
  setBuffer(slot: number, generation: number, buffer: SharedArrayBuffer): void {
    this.#slabs.set(slot, generation, buffer);
  }

  /**
   * Works until something keeps the loop from going on. Returns true if that is memory whose message
   * is still to be received: the caller receives it and calls again. Otherwise the thread ends.
   */
  run(): boolean {
    const { words } = this.#control;
    let hurry = false;
    for (;;) {
      const seen = Atomics.load(words, this.#words.doorbell);
      const result = this.#step(hurry);
      hurry = false;
      if (result === StepResult.needsBuffer) return true;
      if (result === StepResult.worked) {
        this.#spinUntil = performance.now() + this.#spinMs;
        continue;
      }
      if (Atomics.load(words, Word.stop) !== 0) {
        if (this.#rest(true)) continue;
        Atomics.store(words, this.#words.life, WorkerLife.absent);
        break;
      }
      if (result === StepResult.gathering) {
        this.#spinUntil = performance.now() + this.#loop.patienceMs;
        hurry = !this.#spin(seen) && !this.#park(seen, this.#spinUntil - performance.now());
        continue;
      }
      if (this.#spin(seen) || this.#park(seen, this.#idleMs / 2)) continue;
      if (this.#rest(false) || !this.#leave(seen)) continue;
      break;
    }
    this.#loop.close();
    return false;
  }

  #step(hurry: boolean): StepResult {
    try {
      return this.#loop.step(hurry);
    } catch (error) {
      this.#control.fail(loopFailure(error));
      return StepResult.idle;
    }
  }

  #rest(closing: boolean): boolean {
    try {
      return this.#loop.rest(closing);
    } catch (error) {
      this.#control.fail(loopFailure(error));
      return false;
    }
  }

  /**
   * Watches the doorbell for a moment after work, without sleeping: under load the next writes come
   * at once, and then neither side pays for putting a thread to sleep and waking it. Not if main is
   * likely to sleep, nor if it seems to stand still in the midst of a turn: where it shares a
   * processor with this thread it does not go on before this one sleeps.
   */
  #spin(seen: number): boolean {
    const { words } = this.#control;
    let pulse = this.#loop.pulse;
    let pulseMs = performance.now();
    for (let nowMs = pulseMs; nowMs < this.#spinUntil; nowMs = performance.now()) {
      if (Atomics.load(words, Word.turn) !== 0) {
        const next = this.#loop.pulse;
        if (next !== pulse) pulseMs = nowMs;
        else if (nowMs - pulseMs > STILL_MS) return false;
        pulse = next;
      } else if (Atomics.load(words, Word.eager) === 0) return false;
      for (let i = 0; i < SPINS_PER_LOOK; i++) {
        if (Atomics.load(words, this.#words.doorbell) !== seen) return true;
      }
    }
    return false;
  }

  /** Sleeps until the doorbell rings. False if nobody rang for so long. */
  #park(seen: number, timeoutMs: number): boolean {
    if (timeoutMs <= 0) return false;
    const { words } = this.#control;
    Atomics.add(words, this.#words.parked, 1);
    const woken = Atomics.wait(words, this.#words.doorbell, seen, timeoutMs);
    Atomics.sub(words, this.#words.parked, 1);
    return woken !== "timed-out";
  }

  /**
   * Gives the role back. Main may take it in the same moment, or ring; exactly one of the two
   * threads ends up with it. False if this thread goes on.
   */
  #leave(seen: number): boolean {
    const { words } = this.#control;
    const { life, doorbell } = this.#words;
    const { running, leaving, absent } = WorkerLife;
    if (Atomics.compareExchange(words, life, running, leaving) !== running) return true;
    const rung = Atomics.load(words, doorbell) !== seen;
    const next = rung ? running : absent;
    return Atomics.compareExchange(words, life, leaving, next) !== leaving || !rung;
  }
}

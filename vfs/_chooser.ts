import { createRandom, type Random } from "./_random.ts";

/** Decides each question that a crash leaves open; options are numbered from the oldest to the newest state. */
export interface Chooser {
  /** How far one unit of data got: 0 for the synced state, `count - 1` for the newest. */
  data(count: number): number;
  /** How far something got that the journal knows: a length, or the changes of names in their order. */
  meta(count: number): number;
  /** True if one change of a name got to the disk by itself. */
  keepsName(): boolean;
  /** A moment at which the whole file went to the disk, out of `count`; undefined: each unit for itself. */
  moment(count: number): number | undefined;
}

/** Chooses by a seed. */
export class SeededChooser implements Chooser {
  readonly #random: Random;
  readonly #keepData: number;
  readonly #keepMeta: number;

  /**
   * The probabilities with which a change of data, and one of lengths and names, survives. Left
   * out, the seed chooses them for the whole crash: mostly lost, mostly kept or in between, because
   * most bugs show where one of them is kept and the other lost.
   */
  constructor(seed: number, keepData?: number, keepMeta?: number) {
    this.#random = createRandom(seed);
    const likely = [0.05, 0.5, 0.8, 0.95];
    this.#keepData = keepData ?? likely[this.pick(4)] ?? 0.5;
    this.#keepMeta = keepMeta ?? likely[this.pick(4)] ?? 0.5;
  }

  /** One of `count`, all alike. */
  pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  data(count: number): number {
    return this.#version(count, this.#keepData);
  }

  meta(count: number): number {
    return this.#version(count, this.#keepMeta);
  }

  keepsName(): boolean {
    return this.#random() < this.#keepMeta;
  }

  moment(count: number): number | undefined {
    const between = this.#keepData > 0 && this.#keepData < 1;
    return between && this.#random() < 0.15 ? this.pick(count) : undefined;
  }

  #version(count: number, keep: number): number {
    if (this.#random() >= keep) return 0;
    // The newest is what a system that had a little time has written.
    return keep >= 1 || this.#random() < 0.5 ? count - 1 : this.pick(count);
  }
}

/** Goes through all choices, one after another: run, then {@linkcode next} until it says false. */
export class EveryChooser implements Chooser {
  readonly #path: { choice: number; readonly count: number }[] = [];
  #depth = 0;

  /** One of `count`. */
  pick(count: number): number {
    const step = this.#path[this.#depth];
    this.#depth++;
    if (step !== undefined) return step.choice;
    this.#path.push({ choice: 0, count });
    return 0;
  }

  data(count: number): number {
    return this.pick(count);
  }

  meta(count: number): number {
    return this.pick(count);
  }

  keepsName(): boolean {
    return this.pick(2) === 1;
  }

  moment(): undefined {
    // Such states are among those where each unit is chosen for itself.
    return undefined;
  }

  /** Turns to the next combination; false if that was the last. */
  next(): boolean {
    this.#depth = 0;
    let last = this.#path.at(-1);
    while (last !== undefined && last.choice === last.count - 1) {
      this.#path.pop();
      last = this.#path.at(-1);
    }
    if (last === undefined) return false;
    last.choice++;
    return true;
  }
}

import { sealSegment } from "../segment/mod.ts";
import type { Fs } from "../vfs/mod.ts";
import { type Control, SlotState, SlotWord } from "../wal/mod.ts";
import { type Loop, StepResult } from "./loop.ts";
import type { SlabTable } from "./slab_table.ts";

/**
 * Turns durable logs into sealed segments, the oldest first, and zeroes slabs for their next use.
 */
export class FlushLoop implements Loop {
  /** Nothing gains by waiting. */
  readonly patienceMs = 0;
  readonly #control: Control;
  readonly #slabs: SlabTable;
  readonly #fs: Fs;
  readonly #directory: string;

  /** Makes a loop over the slabs of `control`, sealing files in `directory`. */
  constructor(control: Control, slabs: SlabTable, fs: Fs, directory: string) {
    this.#control = control;
    this.#slabs = slabs;
    this.#fs = fs;
    this.#directory = directory;
  }

  /** Zeroes one slab if one is to be zeroed (a writer may wait for it), else seals one segment. */
  step(_hurry: boolean): StepResult {
    if (this.#control.failed) return StepResult.idle;
    const dirty = this.#oldest(SlotState.cleaning);
    if (dirty !== -1) return this.#clean(dirty);
    const logged = this.#oldest(SlotState.logged);
    if (logged !== -1) return this.#seal(logged);
    return StepResult.idle;
  }

  /** Nothing to do for a pause. */
  rest(_closing: boolean): boolean {
    return false;
  }

  /** Nothing stays open between steps. */
  close(): void {}

  #oldest(state: number): number {
    const control = this.#control;
    let found = -1;
    let oldest = Infinity;
    for (let slot = 0; slot < control.slots; slot++) {
      if (control.get(slot, SlotWord.state) !== state) continue;
      const segment = control.get(slot, SlotWord.segment) >>> 0;
      if (segment >= oldest) continue;
      oldest = segment;
      found = slot;
    }
    return found;
  }

  #clean(slot: number): StepResult {
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    image.bytes.fill(0, 0, this.#control.get(slot, SlotWord.end));
    this.#control.set(slot, SlotWord.state, SlotState.free);
    this.#control.announce();
    return StepResult.worked;
  }

  #seal(slot: number): StepResult {
    const control = this.#control;
    const image = this.#slabs.get(slot);
    if (image === undefined) return StepResult.needsBuffer;
    const segment = control.get(slot, SlotWord.segment) >>> 0;
    const end = control.get(slot, SlotWord.end);
    const salt = control.get(slot, SlotWord.salt);
    const fileBytes = sealSegment(this.#fs, this.#directory, segment, image, end, salt);
    control.set(slot, SlotWord.fileBytes, fileBytes);
    control.set(slot, SlotWord.state, SlotState.flushed);
    control.announce();
    return StepResult.worked;
  }
}

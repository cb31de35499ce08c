import { type Control, SegmentImage, SlotWord } from "../wal/mod.ts";

/** The slabs' memory as one thread knows it. */
export class SlabTable {
  readonly #control: Control;
  readonly #images: (SegmentImage | undefined)[] = [];
  readonly #generations: number[] = [];

  /** Knows no slab yet. */
  constructor(control: Control) {
    this.#control = control;
  }

  /** Learns the memory of slot `slot`, of which it is the `generation`-th. */
  set(slot: number, generation: number, buffer: SharedArrayBuffer): void {
    this.#images[slot] = new SegmentImage(buffer);
    this.#generations[slot] = generation;
  }

  /** The memory of slot `slot`, or `undefined` if its newest memory has not arrived yet. */
  get(slot: number): SegmentImage | undefined {
    if (this.#generations[slot] !== this.#control.get(slot, SlotWord.generation)) return undefined;
    return this.#images[slot];
  }
}

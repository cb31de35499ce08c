import { type Control, joinWords, SegmentImage, SlotWord } from "../wal/mod.ts";

/** A slab as the thread that routes writes sees it: a slot's memory and the segment that fills it. */
export class Slab {
  /** Index of the slot in the control block. */
  readonly slot: number;
  /** The memory, shared with the workers. */
  readonly image: SegmentImage;
  /** Number of the segment. */
  readonly segment: number;
  /** A record at offset `o` gets the sequence number `baseSequence + o`. */
  readonly baseSequence: number;
  /** Seed of the segment's checksums. */
  readonly salt: number;

  /** Views the segment that now fills slot `slot`. */
  constructor(control: Control, slot: number, image: SegmentImage) {
    this.slot = slot;
    this.image = image;
    this.segment = control.get(slot, SlotWord.segment) >>> 0;
    this.baseSequence = joinWords(
      control.get(slot, SlotWord.baseLow),
      control.get(slot, SlotWord.baseHigh),
    );
    this.salt = control.get(slot, SlotWord.salt);
  }
}

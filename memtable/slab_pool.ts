import { FlagstoneError } from "../errors/mod.ts";
import {
  CLOSED,
  type Control,
  FILE_HEADER_BYTES,
  highWord,
  LogFileState,
  RECORD_HEADER_BYTES,
  type RecoveredLog,
  reservation,
  SEAL_SPACE_BYTES,
  SegmentImage,
  SlotState,
  SlotWord,
  UNKNOWN_SEQUENCES,
  writeFileHeader,
} from "../wal/mod.ts";
import { Slab } from "./slab.ts";

/** Told of memory that the workers do not have yet. */
export type BufferListener = (slot: number, generation: number, buffer: SharedArrayBuffer) => void;

/** Options of a {@linkcode SlabPool}. */
export interface SlabPoolOptions {
  /** Length of a slab, a multiple of 4096. */
  readonly slabBytes: number;
  /** Identity of the store, for the files' headers. */
  readonly storeId: Uint8Array;
  /** Called when a slot gets memory, before the slot is used. */
  readonly onBuffer: BufferListener;
  /** Most bytes that slabs may span which are not segments yet. Default `UNKNOWN_SEQUENCES`: so many numbers a crash skips. */
  readonly windowBytes?: number;
  /** Says whether the store may take so many bytes more of the disk now; always, if it is not given. */
  readonly mayGrow?: ((bytes: number) => boolean) | undefined;
}

/** How many bytes a slab needs for records of `bytes` in all. */
export function slabBytesFor(bytes: number): number {
  const needed = FILE_HEADER_BYTES + bytes + SEAL_SPACE_BYTES + RECORD_HEADER_BYTES;
  return Math.ceil(needed / 4096) * 4096;
}

function allocate(slabBytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(slabBytes);
  } catch (cause) {
    throw new FlagstoneError(
      "TOO_LARGE",
      `Cannot write: there is no memory for a slab of ${slabBytes} bytes. Write smaller values, or ` +
        `open the store with a smaller slabBytes.`,
      { cause },
    );
  }
}

/**
 * The slabs of a store: hands out zeroed ones, keeps flushed ones readable until their memory is
 * needed, and has them zeroed by the flush worker. Memory is allocated when first needed and reused
 * ever after; a slab made larger for one large value is given back to the system after its flush.
 */
export class SlabPool {
  readonly #control: Control;
  readonly #options: SlabPoolOptions;
  readonly #images: (SegmentImage | undefined)[];
  readonly #resident = new Map<number, Slab>();
  #next: Slab | undefined;

  /** Makes a pool over the slots of `control`; allocates nothing yet. */
  constructor(control: Control, options: SlabPoolOptions) {
    this.#control = control;
    this.#options = options;
    this.#images = Array.from({ length: control.slots }, () => undefined);
  }

  /** The slab that is ready, or about to be, to take over from the active one. */
  get next(): Slab | undefined {
    return this.#next;
  }

  /** The slab that holds `segment` in memory, if one does. */
  resident(segment: number): Slab | undefined {
    return this.#resident.get(segment);
  }

  /** All slabs that hold a segment, the oldest segment first. */
  get residents(): Slab[] {
    return [...this.#resident.values()].sort((a, b) => a.segment - b.segment);
  }

  /** Length of a slab, but for one that was made for a single large value. */
  get slabBytes(): number {
    return this.#options.slabBytes;
  }

  /** Whether a slab can be had now for records of `bytes` in all. */
  hasSpaceFor(bytes: number): boolean {
    const slabBytes = this.#slabBytesFor(bytes);
    return this.count(SlotState.free) > 0 && this.#admits(slabBytes);
  }

  /** Bytes of slab memory allocated. */
  get memoryBytes(): number {
    return this.#images.reduce((sum, image) => sum + (image?.bytes.length ?? 0), 0);
  }

  /** How many slots are in `state` (one of `SlotState`). */
  count(state: number): number {
    let count = 0;
    for (let slot = 0; slot < this.#control.slots; slot++) {
      if (this.#control.get(slot, SlotWord.state) === state) count++;
    }
    return count;
  }

  /**
   * Takes a free slab for `segment`, large enough for records of `recordBytes` in all, and makes it
   * the active one: its header is written, its space is open. `undefined` if no slot is free.
   */
  activate(segment: number, baseSequence: number, recordBytes: number): Slab | undefined {
    const slab = this.#fill(segment, baseSequence, recordBytes);
    if (slab !== undefined) this.#activate(slab, FILE_HEADER_BYTES);
    return slab;
  }

  /**
   * Takes a free slab, of the usual size, for `segment`, to be the active one after the one that now
   * is; asks the flush worker for its file. `undefined` if no slot is free.
   */
  prepare(segment: number, baseSequence: number): Slab | undefined {
    const slab = this.#fill(segment, baseSequence, 0);
    if (slab === undefined) return undefined;
    this.#control.set(slab.slot, SlotWord.file, LogFileState.wanted);
    this.#control.set(slab.slot, SlotWord.state, SlotState.next);
    return this.#next = slab;
  }

  /** Makes the slab that is ready the active one. */
  activateNext(): Slab {
    const slab = this.#next!;
    this.#next = undefined;
    this.#activate(slab, FILE_HEADER_BYTES);
    return slab;
  }

  /** Makes the log that goes on after recovery the active slab: all of its records are durable. */
  adopt(log: RecoveredLog): Slab {
    const { image, segment, baseSequence, salt, end, closed } = log;
    const slot = this.#freeSlot(image.bytes.length);
    this.#setImage(slot, image);
    const slab = this.#describe(slot, image, segment, baseSequence, salt, end, closed);
    this.#control.set(slot, SlotWord.file, LogFileState.ready);
    this.#activate(slab, end);
    return slab;
  }

  /**
   * Takes over a slab of another pool, whose records end at `end`: it serves reads, like one that was
   * flushed. Others may still use its memory, so that is not used again.
   */
  inherit({ image, segment, baseSequence, salt }: Slab, end: number): void {
    const slot = this.#freeSlot(image.bytes.length);
    this.#setImage(slot, image);
    this.#resident.set(segment, this.#describe(slot, image, segment, baseSequence, salt, 0, false));
    this.#control.set(slot, SlotWord.end, end);
    this.#control.set(slot, SlotWord.scribbled, 1);
    this.#control.set(slot, SlotWord.state, SlotState.flushed);
  }

  /**
   * Tells `flushed` of each slab whose segment is sealed (again and again), and sees to it that a
   * slab is free or about to be: if none is, the one of them with the oldest segment goes to be
   * zeroed by the flush worker and no longer serves reads. Returns that one.
   */
  replenish(flushed: (slab: Slab) => void): Slab | undefined {
    const control = this.#control;
    let oldest: Slab | undefined;
    for (const slab of this.#resident.values()) {
      if (control.get(slab.slot, SlotWord.state) !== SlotState.flushed) continue;
      flushed(slab);
      if (oldest === undefined || slab.segment < oldest.segment) oldest = slab;
    }
    if (oldest === undefined) return undefined;
    const { free, cleaning } = SlotState;
    if (this.#next !== undefined || this.count(free) + this.count(cleaning) > 0) return undefined;
    this.#resident.delete(oldest.segment);
    const reusable = oldest.image.bytes.length === this.#options.slabBytes &&
      control.get(oldest.slot, SlotWord.scribbled) === 0;
    if (!reusable) this.#images[oldest.slot] = undefined;
    const next = reusable ? SlotState.cleaning : SlotState.free;
    control.set(oldest.slot, SlotWord.state, next);
    return oldest;
  }

  /** Sends the memory of every slot to `listener`, for a worker that has just started. */
  describe(listener: BufferListener): void {
    this.#images.forEach((image, slot) => {
      if (image === undefined) return;
      const generation = this.#control.get(slot, SlotWord.generation);
      listener(slot, generation, image.bytes.buffer as SharedArrayBuffer);
    });
  }

  /**
   * Gives every slot memory of the usual size; false if some slot holds a segment in memory of
   * another size: once that is flushed, call again.
   */
  allocateAll(): boolean {
    const { slabBytes } = this.#options;
    let all = true;
    for (let slot = 0; slot < this.#control.slots; slot++) {
      const state = this.#control.get(slot, SlotWord.state);
      const length = this.#images[slot]?.bytes.length;
      if (state === SlotState.free) this.#imageFor(slot, slabBytes);
      else if (length !== slabBytes && state === SlotState.flushed) {
        this.#resident.delete(this.#control.get(slot, SlotWord.segment) >>> 0);
        this.#control.set(slot, SlotWord.state, SlotState.free);
        this.#imageFor(slot, slabBytes);
      } else if (length !== slabBytes) all = false;
    }
    return all;
  }

  /** The memory of every slot, and which one of the slot's it is. */
  memory(): { buffers: SharedArrayBuffer[]; generations: number[] } {
    return {
      buffers: this.#images.map((image) => image!.bytes.buffer as SharedArrayBuffer),
      generations: this.#images.map((_, slot) => this.#control.get(slot, SlotWord.generation)),
    };
  }

  #fill(segment: number, baseSequence: number, recordBytes: number): Slab | undefined {
    const slabBytes = this.#slabBytesFor(recordBytes);
    const slot = this.#freeSlot(slabBytes);
    if (slot === -1 || !this.#admits(slabBytes)) return undefined;
    const image = this.#imageFor(slot, slabBytes);
    const capacityBytes = image.bytes.length;
    const header = { segment, capacityBytes, storeId: this.#options.storeId, baseSequence };
    const salt = writeFileHeader(image, header);
    return this.#describe(slot, image, segment, baseSequence, salt, 0, false);
  }

  #slabBytesFor(recordBytes: number): number {
    return Math.max(this.#options.slabBytes, slabBytesFor(recordBytes));
  }

  #admits(slabBytes: number): boolean {
    return this.#fitsWindow(slabBytes) && this.#options.mayGrow?.(slabBytes) !== false;
  }

  /**
   * After a crash, numbers are skipped that may have been given to what was not in a log yet: so slabs
   * that are no segments yet must not span more.
   */
  #fitsWindow(slabBytes: number): boolean {
    const { windowBytes = UNKNOWN_SEQUENCES } = this.#options;
    let bytes = slabBytes;
    for (let slot = 0; slot < this.#control.slots; slot++) {
      const state = this.#control.get(slot, SlotWord.state);
      if (state < SlotState.next || state > SlotState.logged) continue;
      bytes += this.#images[slot]!.bytes.length;
    }
    return bytes <= windowBytes;
  }

  /** From now on space can be taken from `start` on. */
  #activate(slab: Slab, start: number): void {
    this.#resident.set(slab.segment, slab);
    this.#control.set(slab.slot, SlotWord.state, SlotState.active);
    this.#control.set(slab.slot, SlotWord.reserved, reservation(start, 0));
  }

  #describe(
    slot: number,
    image: SegmentImage,
    segment: number,
    baseSequence: number,
    salt: number,
    durable: number,
    closed: boolean,
  ): Slab {
    const control = this.#control;
    control.set(slot, SlotWord.segment, segment);
    control.set(slot, SlotWord.salt, salt);
    control.set(slot, SlotWord.baseLow, baseSequence | 0);
    control.set(slot, SlotWord.baseHigh, highWord(baseSequence));
    control.set(slot, SlotWord.reserved, CLOSED);
    control.set(slot, SlotWord.writeWanted, 0);
    control.set(slot, SlotWord.syncWanted, 0);
    control.set(slot, SlotWord.end, 0);
    control.set(slot, SlotWord.written, durable);
    control.set(slot, SlotWord.synced, durable);
    control.set(slot, SlotWord.marked, closed ? durable : 0);
    control.set(slot, SlotWord.closed, closed ? durable : 0);
    control.set(slot, SlotWord.file, LogFileState.none);
    control.set(slot, SlotWord.scribbled, 0);
    control.set(slot, SlotWord.fileBytes, 0);
    control.set(slot, SlotWord.syncAsked, 0);
    return new Slab(control, slot, image);
  }

  /** A free slot, one whose memory fits if there is one; -1 if none is free. */
  #freeSlot(slabBytes: number): number {
    let found = -1;
    for (let slot = 0; slot < this.#control.slots; slot++) {
      if (this.#control.get(slot, SlotWord.state) !== SlotState.free) continue;
      if (this.#images[slot]?.bytes.length === slabBytes) return slot;
      found = slot;
    }
    return found;
  }

  #imageFor(slot: number, slabBytes: number): SegmentImage {
    const image = this.#images[slot];
    if (image !== undefined && image.bytes.length === slabBytes) return image;
    const fresh = new SegmentImage(allocate(slabBytes));
    this.#setImage(slot, fresh);
    return fresh;
  }

  #setImage(slot: number, image: SegmentImage): void {
    this.#images[slot] = image;
    const generation = this.#control.get(slot, SlotWord.generation) + 1;
    this.#options.onBuffer(slot, generation, image.bytes.buffer as SharedArrayBuffer);
    this.#control.set(slot, SlotWord.generation, generation);
  }
}

import type { Memtable } from "../memtable/mod.ts";
import { type Control, SlotWord, Word } from "../wal/mod.ts";

/** What attached writers need of the owner. */
export interface AttachedWants {
  /** One of them found the active slab full, or there is none. */
  readonly rotation: boolean;
  /** So much of the active slab is used that the next one should be made ready. */
  readonly next: boolean;
  /** Something is to be written: the log worker may have ended, and only the owner can start it. */
  readonly log: boolean;
}

/** Looks what attached writers have asked for, and what follows from what they did. */
export function wantsOfAttached(control: Control, memtable: Memtable): AttachedWants {
  const { active } = memtable;
  const wanted = Atomics.load(control.words, Word.rotateWanted);
  const isAnswered = active !== undefined && active.segment !== wanted >>> 0;
  if (wanted !== 0 && isAnswered) Atomics.store(control.words, Word.rotateWanted, 0);
  const rotation = wanted !== 0 && !isAnswered;
  if (active === undefined) return { rotation, next: false, log: false };
  const end = control.reservedEnd(active.slot);
  const next = end >= memtable.prepareAt;
  return { rotation, next, log: end > control.get(active.slot, SlotWord.written) };
}

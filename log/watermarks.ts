import type { Slab } from "../memtable/mod.ts";
import { type Control, SlotState, SlotWord } from "../wal/mod.ts";
import type { AckQueue } from "./ack_queue.ts";

/**
 * Keeps the promises that the workers' watermarks cover, for segments that may not be durable in
 * full, oldest first; takes those that are off the list. Returns the sequence number below which all
 * is durable, as far as these slabs tell, or 0.
 */
export function settle(
  control: Control,
  slabs: Slab[],
  written: AckQueue,
  synced: AckQueue,
): number {
  const { active, logged } = SlotState;
  let durableSlabs = 0;
  let durable = 0;
  for (const { slot, segment, baseSequence, image } of slabs) {
    const state = control.get(slot, SlotWord.state);
    // The slot may have gone all the way round, and have another segment by now.
    const isGone = state < active || state > logged ||
      control.get(slot, SlotWord.segment) >>> 0 !== segment;
    const isLogged = isGone || state === logged;
    const syncedTo = control.get(slot, SlotWord.synced);
    const isDurable = isGone || (isLogged && syncedTo === control.get(slot, SlotWord.end));
    const limit = baseSequence + image.bytes.length;
    written.settle(isLogged ? limit : baseSequence + control.get(slot, SlotWord.written));
    // Without what is older, what is durable here means nothing, and no worker says that it is.
    if (isDurable) durable = limit;
    else if (syncedTo > 0) durable = baseSequence + syncedTo;
    synced.settle(durable);
    if (isDurable) durableSlabs++;
    if (!isLogged) break;
  }
  slabs.splice(0, durableSlabs);
  return durable;
}

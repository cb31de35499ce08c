import type { Slab } from "../memtable/mod.ts";
import {
  fillRecord,
  kindAndFlags,
  publishRecord,
  RecordFlag,
  RecordKind,
  recordSpace,
  SlotWord,
} from "../wal/mod.ts";
import type { LogWriter } from "./log_writer.ts";

const NO_KEY = new Int32Array(0);

/** Where records are: from `start` to `end` in `slab`. */
export interface RecordPlace {
  readonly slab: Slab;
  readonly start: number;
  readonly end: number;
}

/**
 * Appends records without keys next to one another, as a batch if they are several, and publishes
 * the first one last: the log worker sees all of them or none. `undefined` if no slab is free.
 */
export function appendRecords(
  log: LogWriter,
  values: readonly Uint8Array[],
): RecordPlace | undefined {
  let space = 0;
  for (const bytes of values) space += recordSpace(0, bytes.length);
  const start = log.reserve(space);
  if (start === -1) return undefined;
  const slab = log.memtable.active!;
  const { image, baseSequence, salt } = slab;
  const mark = log.control.get(slab.slot, SlotWord.synced);
  let offset = start;
  let firstLength = 0;
  for (let i = 0; i < values.length; i++) {
    const bytes = values[i]!;
    const kind = kindAndFlags(
      RecordKind.put,
      i < values.length - 1 ? RecordFlag.batchContinues : 0,
    );
    const sequence = baseSequence + offset;
    const length = fillRecord(image, offset, kind, sequence, mark, NO_KEY, 0, bytes, salt);
    if (i === 0) firstLength = length;
    else publishRecord(image, offset, length);
    offset += recordSpace(0, bytes.length);
  }
  publishRecord(image, start, firstLength);
  return { slab, start, end: offset };
}

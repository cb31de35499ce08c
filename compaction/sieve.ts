import { VisitTable } from "../index/mod.ts";
import { alignRecord } from "../wal/mod.ts";
import { MoveWord, Over, type SieveOrder, type SieveResult } from "./job.ts";
import { RecordList } from "./record_list.ts";

/** Where nothing goes, as a snapshot sees all of it, it is not copied unless this part of it is dead. */
export const LEAST_DEAD_GAIN_PART = 0.05;

/** What {@linkcode sieve} has to decide about. */
export interface SieveParts {
  readonly order: SieveOrder;
  /** Space of all records in the sources. */
  readonly recordBytes: number;
  /** Of each source, the puts that are their keys' newest. Those that go are taken out. */
  readonly alive: readonly RecordList[];
  /** Of each source, the tombstones. What goes becomes one, unless nothing older is left. */
  readonly tombstones: readonly RecordList[];
}

/**
 * The hand of SIEVE (Zhang et al., NSDI 2024) goes over the records of some segments, in the order in
 * which they were written: a key that was read since the hand came by last stays, in its place, and
 * counts as not read from now on; any other goes.
 */
export function sieve({ order, recordBytes, alive, tombstones }: SieveParts): SieveResult {
  const visits = new VisitTable(order.visits);
  const stays: number[] = [];
  const kept = alive.map(() => new RecordList());
  const goers = alive.map(() => new RecordList());
  const bytes = { alive: 0, files: 0, kept: 0, gone: 0, filesGone: 0 };
  let examined = 0;
  let isStopped = false;
  alive.forEach((list, source) => {
    for (const i of list.byOffset()) {
      const sequence = list.sequence(i);
      const space = alignRecord(list.get(i, MoveWord.length));
      const fileBytes = order.fileBytes.get(sequence) ?? 0;
      bytes.alive += space;
      bytes.files += fileBytes;
      isStopped ||= fileBytes > 0 && bytes.filesGone >= order.mostFileBytes;
      const isPassed = isStopped || (source === 0 && list.get(i, MoveWord.offset) < order.from);
      let goes = order.takesAll ? !isStopped : bytes.kept + space > order.keptBytes;
      if (!order.takesAll && !isPassed && !goes) {
        const h1 = list.get(i, MoveWord.h1);
        goes = !visits.wasVisited(h1);
        if (!goes) stays.push(h1);
      }
      if (goes && sequence >= order.pinnedBelow) {
        goers[source]!.take(list, i);
        bytes.gone += space;
        bytes.filesGone += fileBytes;
      } else {
        kept[source]!.take(list, i);
        bytes.kept += space;
        if (!isStopped) examined++;
      }
    }
  });
  // Only now: two keys of this stretch may share a bit.
  for (const h1 of stays) visits.clear(h1);
  const back = recordBytes - bytes.alive + bytes.gone + bytes.filesGone;
  const leastPart = bytes.gone === 0
    ? Math.max(order.leastPart, LEAST_DEAD_GAIN_PART)
    : order.leastPart;
  if (!isStopped && back < leastPart * (recordBytes + bytes.files)) {
    for (const list of [...alive, ...tombstones]) list.length = 0;
    return { passed: true, evicted: new Int32Array(0), examined: Infinity };
  }
  const evicted = new RecordList();
  alive.forEach((list, source) => {
    const gone = goers[source]!;
    for (let i = 0; i < gone.length; i++) {
      gone.set(i, MoveWord.over, Over.evicted);
      tombstones[source]!.take(gone, i);
      evicted.take(gone, i);
    }
    list.become(kept[source]!);
  });
  return {
    passed: false,
    evicted: evicted.words(),
    examined: isStopped ? examined : Infinity,
  };
}

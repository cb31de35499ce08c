import { FILE_HEADER_BYTES, SEAL_SPACE_BYTES } from "../wal/mod.ts";
import type { SegmentSet } from "./segment_set.ts";

/** Most files that one job replaces: each is removed with a sync of the directory. */
const MAX_SOURCES = 64;
/** A compacted segment below one part in so many of a slab is small; once there are several, they become one. */
const SMALL_PART = 8;
const SMALL_FILES = 8;
/** The new file is built in memory: so many times what is to be alive in it, if all tombstones are needed. */
const MOST_PART = 4;
/** Looking for older records costs the reading of footers; worth it for this part of their length in tombstones. */
const SEARCH_PART = 4;

/** What to compact, by what a segment must be like. */
export interface PickRules {
  /** From which part of its records on that is dead a segment is compacted. */
  readonly deadPart: number;
  /** How much may be alive in the sources of one job together. */
  readonly liveBytes: number;
  /** The oldest first, so that tombstones find what they are about gone; else those that give most. */
  readonly oldestFirst: boolean;
  /** Older records are looked for whatever that costs. */
  readonly searchAlways: boolean;
  /** Segments from here on are not to be touched: they may not be sealed in order yet. */
  readonly below: number;
  /** Segments that are not to be touched. */
  readonly isExcluded: (segment: number) => boolean;
  /** Of a compacted segment: true if something is gone since its tombstones were looked at. */
  readonly mayDropTombstones: (segment: number) => boolean;
}

/** Segments to be replaced by one. */
export interface Pick {
  /** In the order in which they are to be removed. */
  readonly sources: readonly number[];
  /** All others in which something is dead. */
  readonly others: readonly number[];
  readonly searchOthers: boolean;
  /** The newest segment of which the sources have records. */
  readonly upTo: number;
  /** One of them has the highest number there is, which must leave a trace. */
  readonly leaveFile: boolean;
}

interface Candidate {
  readonly segment: number;
  /** Bytes of its records that are to be copied. */
  readonly keptBytes: number;
  readonly deadPart: number;
}

/** The next job; `undefined` if there is nothing worth doing. */
export function pickSegments(segments: SegmentSet, rules: PickRules): Pick | undefined {
  const { newest } = segments;
  const all = segments.files;
  const candidates = all
    .filter((segment) => segments.newestIn(segment) < rules.below && !rules.isExcluded(segment))
    .map((segment) => candidateOf(segments, segment, rules));
  const small = candidates.filter(({ segment }) => isSmall(segments, segment, rules));
  const isWorthIt = ({ segment, deadPart }: Candidate) =>
    deadPart >= rules.deadPart &&
    // An empty file that keeps the highest number stays until there is a higher one.
    (recordBytesOf(segments, segment) > 0 || segments.newestIn(segment) < newest);
  const wanted = candidates.filter(isWorthIt);
  if (small.length >= SMALL_FILES) {
    for (const one of small) if (!wanted.includes(one)) wanted.push(one);
  }
  if (wanted.length === 0) return undefined;
  const order = new Map(all.map((segment, i) => [segment, i]));
  const byAge = (a: Candidate, b: Candidate) => order.get(a.segment)! - order.get(b.segment)!;
  wanted.sort(rules.oldestFirst ? byAge : (a, b) => b.deadPart - a.deadPart || byAge(a, b));
  const chosen: Candidate[] = [];
  let kept = 0;
  let most = 0;
  for (const candidate of wanted) {
    const { segment, keptBytes } = candidate;
    kept += keptBytes;
    most += segments.liveBytesOf(segment) + tombstoneBytesOf(segments, segment);
    if (chosen.length > 0 && (kept > rules.liveBytes || most > rules.liveBytes * MOST_PART)) break;
    chosen.push(candidate);
    if (chosen.length === MAX_SOURCES) break;
  }
  const sources = chosen.sort(byAge).map(({ segment }) => segment);
  return describePick(segments, sources, rules.searchAlways);
}

/** Of segments that are to be replaced, the oldest first, all that a job needs to know. */
export function describePick(
  segments: SegmentSet,
  sources: readonly number[],
  searchAlways = false,
): Pick {
  const isSource = new Set(sources);
  const others = segments.files.filter((segment) =>
    !isSource.has(segment) && segments.live.deadOf(segment) > 0
  );
  const upTo = Math.max(...sources.map((segment) => segments.newestIn(segment)));
  const tombstones = sources.reduce((sum, segment) => sum + tombstoneBytesOf(segments, segment), 0);
  const footers = others.reduce((sum, segment) => {
    const { fileBytes, recordsEnd } = segments.factsOf(segment);
    return sum + fileBytes - recordsEnd;
  }, 0);
  const searchOthers = searchAlways || tombstones * SEARCH_PART >= footers;
  return { sources, others, searchOthers, upTo, leaveFile: upTo === segments.newest };
}

function candidateOf(segments: SegmentSet, segment: number, rules: PickRules): Candidate {
  const keptBytes = keptBytesOf(segments, segment, rules.mayDropTombstones(segment));
  return { segment, keptBytes, deadPart: deadPartOf(segments, segment, keptBytes) };
}

/** Bytes of the records of `segment` that are to be copied if it is compacted. */
export function keptBytesOf(
  segments: SegmentSet,
  segment: number,
  dropsTombstones: boolean,
): number {
  // Of a log, all that is not alive is worth a look: tombstones and marks, and what the log itself
  // overwrote. A compacted segment has nothing but puts and tombstones that were needed.
  const stays = segment > 0 || dropsTombstones ? 0 : tombstoneBytesOf(segments, segment);
  return Math.min(recordBytesOf(segments, segment), segments.liveBytesOf(segment) + stays);
}

/** Part of the records of `segment` that comes back if `keptBytes` of them stay. */
export function deadPartOf(segments: SegmentSet, segment: number, keptBytes: number): number {
  const recordBytes = recordBytesOf(segments, segment);
  return recordBytes === 0 ? 1 : 1 - keptBytes / recordBytes;
}

function isSmall(segments: SegmentSet, segment: number, rules: PickRules): boolean {
  return segment < 0 && segments.bytesOf(segment) * SMALL_PART < rules.liveBytes &&
    recordBytesOf(segments, segment) > 0;
}

/** Space of the records of `segment`, but for the seal. */
function recordBytesOf(segments: SegmentSet, segment: number): number {
  const { recordsEnd } = segments.factsOf(segment);
  return recordsEnd - FILE_HEADER_BYTES - (segment > 0 ? SEAL_SPACE_BYTES : 0);
}

/** Space of the tombstones of a compacted segment; of a log, no less than that. */
export function tombstoneBytesOf(segments: SegmentSet, segment: number): number {
  return recordBytesOf(segments, segment) - segments.factsOf(segment).putBytes;
}
